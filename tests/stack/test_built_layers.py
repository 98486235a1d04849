"""What `sam build` makes: whole, for Lambda's processor, and enough for the functions to run."""

from __future__ import annotations

import ast
import json
import os
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.change_records import RULES, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".venvs" / "sam" / "bin"
LAYERS = ("LibraryLayer", "PipelineLayer")
FUNCTIONS = {
    "InvalidateFromTable": "invalidate_from_table",
    "InvalidateFromBus": "invalidate_from_bus",
    "Replicate": "replicate",
}
ANSWERS: dict[str, dict[str, Any]] = {
    "invalidate_from_table": {"batchItemFailures": []},
    "invalidate_from_bus": {"applied": 1, "ignored": 0, "dead_lettered": 0, "failed": 0},
    "replicate": {"shipped": 0, "complete": True},
}
MAX_UNZIPPED = 250 * 1_024 * 1_024
AARCH64 = 183
"""The machine's number in an ELF header."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.stack,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (SAM / "sam").exists(), reason="there is no .venvs/sam; `make env-sam` makes it"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sam build` filled."""
    folder = tmp_path_factory.mktemp("built")
    environ = {
        **os.environ,
        "PATH": f"{SAM}:{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [str(SAM / "sam"), "build", "--template-file", "template.yaml", "--build-dir", str(folder)]
    command += ["--cached", "--cache-dir", str(tmp_path_factory.mktemp("cache")), "--parallel"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def packages(built: Path) -> list[Path]:
    return [built / layer / "python" for layer in LAYERS]


def test_all_layers_together_fit(built: Path) -> None:
    """Unzipped they stay far below Lambda's bound, with room for an application's own code."""
    size = sum(
        path.stat().st_size for layer in packages(built) for path in layer.rglob("*") if path.is_file()
    )

    assert size < MAX_UNZIPPED / 2


def test_every_binary_is_for_lambdas_processor(built: Path) -> None:
    """Wherever it was built, every extension module is for arm64 and CPython 3.13."""
    binaries = [path for layer in packages(built) for path in layer.rglob("*.so*")]
    assert binaries
    for path in binaries:
        head = path.read_bytes()[:20]
        assert head[:4] == b"\x7fELF", path
        assert struct.unpack_from("<H", head, 18) == (AARCH64,), path
        if "cpython-" in path.name:
            assert "cpython-313-aarch64" in path.name


def test_nothing_is_in_a_layer_that_does_not_run(built: Path) -> None:
    """No build backend, no test runner, no byte code of another interpreter, no lock."""
    names = {path.name for layer in packages(built) for path in layer.rglob("*")}
    tops = {path.name for layer in packages(built) for path in layer.iterdir()}

    assert names & {"__pycache__", "requirements.lock", "build.lock", ".build"} == set()
    assert tops & {"hatchling", "pip", "setuptools", "pytest", "pluggy"} == set()
    assert {"staleproof", "msgspec", "redis", "hiredis", "staleproof_pipeline", "pydantic", "boto3"} <= tops


def test_no_package_lies_in_two_layers(built: Path) -> None:
    """Which of two copies would be imported is nothing to wonder about."""
    library, pipeline = ({path.name for path in layer.iterdir()} for layer in packages(built))

    assert library & pipeline == set()


def test_the_rules_are_where_the_functions_look(built: Path) -> None:
    """The rules layer puts `rules.yaml` at the top of /opt."""
    template = (built / "template.yaml").read_text()

    assert "STALEPROOF_RULES: /opt/rules.yaml" in template
    assert (ROOT / "shared" / "rules" / "rules.yaml").is_file()


def imported(path: Path) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it, but for types only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


EXTRAS = {"aiobotocore", "kafka", "localstack_client"}
"""What no layer carries: imported where an address asks for it, with an error that names the extra."""


def test_every_import_resolves_in_the_layers(built: Path) -> None:
    """What our code imports is in a layer or in the standard library: nothing is left to chance."""
    there = {path.name.partition(".")[0] for layer in packages(built) for path in layer.iterdir()}
    ours = [built / "LibraryLayer/python/staleproof", built / "PipelineLayer/python/staleproof_pipeline"]
    files = [
        path for folder in [*ours, *(built / name for name in FUNCTIONS)] for path in folder.rglob("*.py")
    ]
    # `staleproof/cli` and `staleproof/testing` are for people, who install their extras; no function imports them.
    files = [path for path in files if not {"cli", "testing"} & set(path.parts)]
    missing = {name for path in files for name in imported(path)} - there - set(sys.stdlib_module_names)

    assert len(files) > 40
    assert missing - EXTRAS == set()


@pytest.mark.parametrize(("name", "folder"), FUNCTIONS.items())
def test_a_function_runs_on_nothing_but_its_layers(
    built: Path, tmp_path: Path, name: str, folder: str
) -> None:
    """In a bare interpreter with the built layers and the built function, the handler handles.

    Extension modules are for another processor; this machine's own, of the same versions, stand in for them.
    """
    site = Path(sysconfig.get_paths()["purelib"])
    for layer in packages(built):
        for package in layer.iterdir():
            if package.is_dir() and any(package.rglob("*.so")):
                (tmp_path / package.name).symlink_to(site / package.name)
    event = sample("eventbridge-application" if "bus" in folder else "dynamodb-modify")
    path = [str(each) for each in (tmp_path, *packages(built), built / name)]
    program = f"""
import json, sys
sys.path[:0] = {path!r}
import app
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
    def get_remaining_time_in_millis(self): return 6000
print("answer", json.dumps(app.handler(json.loads({json.dumps(event)!r}), Context())))
"""
    environ = {
        "STALEPROOF_CACHE_URL": "memory://",
        "STALEPROOF_NAMESPACE": "flights",
        "STALEPROOF_REGION": "eu-west-1",
        "STALEPROOF_RULES_TEXT": RULES,
        "STALEPROOF_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": folder,
    }
    ran = subprocess.run(
        [sys.executable, "-S", "-B", "-c", program],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    (answer,) = (
        line.removeprefix("answer ") for line in ran.stdout.splitlines() if line.startswith("answer")
    )
    assert json.loads(answer) == ANSWERS[folder]
