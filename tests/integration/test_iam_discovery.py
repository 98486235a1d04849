"""Discovery and secrets over HTTP, by boto3's own clients, from an emulator of AWS's APIs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from local.emulator import Emulator
from local.supervisor import Supervisor
from staleproof import Cache, ConfigurationError, ProviderUnavailableError
from staleproof.aws import SecretCredentials, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.valkey import Valkey

pytestmark = [pytest.mark.stack, pytest.mark.redis, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def emulator(valkey: Valkey) -> Iterator[Emulator]:
    """An emulator whose caches are the session's server."""
    with Supervisor() as owner:
        server = Emulator(owner, valkey.port)
        server.start()
        yield server


@pytest.fixture(autouse=True)
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which AWS's own libraries find the emulator, as they would find the services."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_ELASTICACHE", emulator.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", emulator.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


@pytest.fixture
def name(emulator: Emulator) -> str:
    """A replication group that no other test uses."""
    made = f"shop-{secrets.token_hex(4)}"
    client = emulator.client("elasticache", "eu-west-1")
    client.create_replication_group(
        ReplicationGroupId=made, ReplicationGroupDescription="a shop", Engine="valkey", NumCacheClusters=1
    )
    return made


def test_a_cache_is_made_of_a_name(name: str, fresh_namespace: str) -> None:
    """From a name to a value, through clients that this process makes for itself."""
    environ = {"STALEPROOF_NAMESPACE": fresh_namespace, "STALEPROOF_FILE": "none"}
    cache = Cache.from_aws(name, environ=environ)
    values = iter((1, 2))
    assert [cache.get_or_load("k", lambda: next(values)) for _ in range(2)] == [1, 1]
    cache.close()


def test_an_arn_leads_to_its_region(name: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever region this process is in, an ARN is asked of its own."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    account = emulator.client("elasticache", "eu-west-1")
    (group,) = account.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
    assert describe(group["ARN"]).name == name
    with pytest.raises(ConfigurationError, match=f"no cache '{name}' in region us-east-1"):
        describe(name)


def test_a_service_that_is_away_is_to_be_retried(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at the service's endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_ELASTICACHE", "http://127.0.0.1:1")
    with pytest.raises(ProviderUnavailableError, match="retry"):
        describe(name)


def test_a_secret_is_read(emulator: Emulator) -> None:
    """By name, from the service of this region."""
    secret = f"prod/{secrets.token_hex(4)}"
    service = emulator.client("secretsmanager", "eu-west-1")
    service.create_secret(Name=secret, SecretString='{"username": "app", "password": "hush"}')
    assert SecretCredentials(secret).get_credentials() == ("app", "hush")
    with pytest.raises(ConfigurationError, match="secret prod/none"):
        SecretCredentials("prod/none").get_credentials()
