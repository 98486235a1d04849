"""What an import costs: nobody pays for what they do not use, and nothing happens before it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT, Module, modules

HEAVY = (
    "pydantic", "boto3", "botocore", "asyncio", "aws_lambda_powertools", "redis", "valkey", "yaml", "rich",
)  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after *statement*."""
    program = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{n.split('.')[0] for n in sys.modules}})))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("statement", ["import staleproof", "from staleproof import Cache, Policy"])
def test_the_core_loads_no_client_library(statement: str) -> None:
    """A cold start pays for no client library, no event loop and no validator until one is used."""
    assert loaded_by(statement) & set(HEAVY) == set()


def test_the_async_face_loads_no_server_library() -> None:
    """An `AsyncCache` may need asyncio, and no client library."""
    assert loaded_by("from staleproof import AsyncCache") & (set(HEAVY) - {"asyncio"}) == set()


every_function = pytest.mark.parametrize(
    "module",
    [each for each in modules("functions") if each.path.name == "app.py"],
    ids=lambda each: each.name,
)
NOBODY = "127.0.0.1:1"
SETTINGS = {
    "STALEPROOF_CACHE_URL": f"redis://{NOBODY}/0",
    "STALEPROOF_NAMESPACE": "shop",
    "STALEPROOF_RULES": str(ROOT / "shared" / "rules" / "rules.yaml"),
    "STALEPROOF_DEAD_LETTER_QUEUE_URL": f"http://{NOBODY}/queue",
    "STALEPROOF_PEERS": "us-east-1",
    "STALEPROOF_BUS": "staleproof",
}


def import_function(module: Module, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Import the handler as Lambda does, in a fresh interpreter that knows nothing but *settings*."""
    name = ".".join(module.path.relative_to(ROOT).with_suffix("").parts)
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AWS_REGION": "eu-west-1"}
    command = [sys.executable, "-c", f"from {name} import handler"]
    environ = {**bare, "AWS_DEFAULT_REGION": "eu-west-1", **settings}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=ROOT)


@every_function
def test_importing_a_function_connects_to_nothing(module: Module) -> None:
    """A function's import needs its settings and no network: neither the cache nor AWS is there."""
    ran = import_function(module, SETTINGS)

    assert ran.returncode == 0, ran.stderr


@every_function
def test_a_function_without_its_settings_says_what_is_missing(module: Module) -> None:
    """A function imported without its settings fails at once, by an error that names a missing variable."""
    ran = import_function(module, {})

    assert ran.returncode != 0
    assert "ConfigurationError: STALEPROOF_" in ran.stderr
