"""Settings from the Parameter Store over HTTP, and the stand-in of the unit tests held against it."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local.emulator import Emulator
from local.supervisor import Supervisor
from staleproof import ConfigurationError, Policy, ProviderUnavailableError
from staleproof.config import ParameterStore, Reloader, Settings
from staleproof.config.parameter_store import client
from tests.unit.settings_parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]

ENVIRON = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop", "STALEPROOF_FILE": "none"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Supervisor() as owner:
        server = Emulator(owner)
        server.start()
        yield server


@pytest.fixture
def path() -> str:
    """A path that no other test uses."""
    return f"/staleproof/{secrets.token_hex(8)}"


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment in which AWS's own libraries find the emulator, as they would find the service."""
    environ = {
        "AWS_ENDPOINT_URL_SSM": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ


@pytest.fixture
def put(emulator: Emulator, aws: dict[str, str]) -> Callable[..., None]:
    """Stores a parameter."""
    del aws
    service = emulator.client("ssm", "eu-west-1")

    def store(name: str, value: str, kind: str = "String") -> None:
        service.put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)

    return store


def test_settings_come_from_the_service(put: Callable[..., None], path: str) -> None:
    """More than two pages of parameters, nested names and a SecureString arrive whole."""
    for number in range(22):
        put(f"{path}/policies/p{number}/ttl", f"{number + 1}m")
    put(f"{path}/pickle_keys", "k" * 32, "SecureString")
    settings = Settings.from_env(ENVIRON, ssm_path=path)
    assert settings.policies["p21"] == Policy(ttl="22m")
    assert [key.reveal() for key in settings.pickle_keys] == ["k" * 32]
    assert settings.origin("policies.p21.ttl") == f"ssm {path}/policies/p21/ttl"
    assert "k" * 32 not in repr(settings)


def test_a_change_is_taken_by_a_running_process(put: Callable[..., None], path: str) -> None:
    """What is put into the Parameter Store reaches the listener, and what is wrong does not."""
    put(f"{path}/ttl", "1h")
    told: list[float | None] = []
    settings = Settings.from_env(ENVIRON, ssm_path=path)
    reloader = Reloader(settings, lambda new: told.append(new.policy.ttl))
    put(f"{path}/ttl", "2h")
    assert reloader.reload()
    put(f"{path}/ttl", "soon")
    assert not reloader.reload()
    assert (told, reloader.settings.policy.ttl, reloader.failures) == ([7_200], 7_200, 1)


def test_a_service_that_is_away_is_to_be_retried(
    emulator: Emulator, put: Callable[..., None], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start without the service says: retry. A running process keeps what it has."""
    put(f"{path}/ttl", "1h")
    reloader = Reloader(Settings.from_env(ENVIRON, ssm_path=path), lambda _: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    with pytest.raises(ProviderUnavailableError, match="retry"):
        Settings.from_env(ENVIRON, ssm_path=path)
    emulator.stop()
    try:
        assert not reloader.reload()
    finally:
        emulator.start()
    assert reloader.error.startswith("ProviderUnavailableError")
    assert reloader.settings.policy.ttl == 3_600


def test_without_credentials_somebody_must_mend_it(
    put: Callable[..., None], path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A function without a role is misconfigured, not unlucky."""
    put(f"{path}/ttl", "1h")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="check the function's role"):
        Settings.from_env(ENVIRON, ssm_path=path)


def test_the_command_shows_a_stage(
    put: Callable[..., None], path: str, aws: dict[str, str], tmp_path: Any
) -> None:
    """`staleproof config --ssm-path` lists what the stage's functions would take."""
    put(f"{path}/ttl", "1h")
    put(f"{path}/cache_url", "rediss://app:hush@cache", "SecureString")
    command = [sys.executable, "-m", "staleproof.cli", "config", "--json", "--ssm-path", path]
    environ = {**aws, "STALEPROOF_NAMESPACE": "shop"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)
    assert ran.returncode == 0, ran.stderr
    rows = {row["setting"]: row for row in json.loads(ran.stdout)}
    assert (rows["ttl"]["value"], rows["ttl"]["origin"]) == ("1h", f"ssm {path}/ttl")
    assert rows["cache_url"]["value"] == "***"
    assert "hush" not in ran.stdout


@pytest.mark.parametrize("kind", ["stand-in", "emulator"])
def test_the_stand_in_answers_as_the_service_does(
    kind: str, put: Callable[..., None], path: str, aws: dict[str, str]
) -> None:
    """What the unit tests read from a dictionary is what the service sends: names, types, secrets, all pages."""
    del aws
    held = Parameters()
    store: Callable[..., None] = held.put if kind == "stand-in" else put
    for number in range(12):
        store(f"{path}/policies/p{number:02}/ttl", "1m")
    store(f"{path}/ttl", "hush", "SecureString")
    store(f"{path}x/ttl", "not below")
    reader = ParameterStore(lambda: held) if kind == "stand-in" else ParameterStore(client)
    assert [(name, each.value, each.secret, each.origin) for name, each in reader.read(path).items()] == [
        *(
            (f"policies.p{number:02}.ttl", "1m", False, f"ssm {path}/policies/p{number:02}/ttl")
            for number in range(12)
        ),
        ("ttl", "hush", True, f"ssm {path}/ttl"),
    ]
