"""Credentials of IAM: tokens are made anew in time, by whoever this process then is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError, CredentialRetrievalError, ProfileNotFound

from staleproof import ConfigurationError, ProviderUnavailableError
from staleproof.aws import IamCredentials
from staleproof.aws.iam import CONNECTION_LIFETIME, KEPT, TOKEN_LIFETIME
from staleproof.aws.identity import AmbientIdentity
from staleproof.aws.signing import Keys
from staleproof.clock import ManualClock
from tests.unit.aws_shapes import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "s1"}


class Frozen:
    """What botocore's credentials return: a moment's keys."""

    def __init__(self, access: str) -> None:
        self.access_key, self.secret_key, self.token = access, "SECRET", "session"


class Chain:
    """Credentials that refresh themselves, as botocore's chain finds them; counts how often it looks for them."""

    def __init__(self, *, failing: Exception | None = None) -> None:
        self.access = "ROLE1"
        self.looked = 0
        self.failing = failing

    def __call__(self) -> Any:
        self.looked += 1
        return self

    def get_frozen_credentials(self) -> Frozen:
        if self.failing is not None:
            raise self.failing
        return Frozen(self.access)


def credentials(
    environ: Mapping[str, str] | None = None, chain: Any = None, clock: ManualClock | None = None
) -> IamCredentials:
    identity = AmbientIdentity(ENVIRON if environ is None else environ, chain)
    return IamCredentials(
        "my-cache", "app", region="eu-west-1", identity=identity, clock=clock or ManualClock()
    )


def test_a_token_is_kept_and_made_anew_in_time() -> None:
    """It is one token for 14 of its 15 minutes, so what is handed out works for a minute or more."""
    clock = ManualClock()
    held = credentials(clock=clock)
    first = held.get_credentials()
    clock.advance(KEPT - 1)
    assert held.get_credentials() == first
    clock.advance(1)
    assert held.get_credentials() != first
    assert KEPT + 60 <= TOKEN_LIFETIME


def test_a_token_of_before_a_freeze_is_not_used() -> None:
    """While a process is frozen only the wall clock goes on, and the token's time with it."""
    clock = ManualClock()
    held = credentials(clock=clock)
    first = held.get_credentials()
    clock.freeze(KEPT)
    assert held.get_credentials() != first


def test_keys_in_the_environment_are_read_for_each_token() -> None:
    """Rotated keys make a new token at once, however young the old one is."""
    environ = dict(ENVIRON)
    held = credentials(environ)
    _, first = held.get_credentials()
    environ.update(AWS_ACCESS_KEY_ID="AKIDNEXT", AWS_SESSION_TOKEN="s2")  # noqa: S106 - an example
    _, second = held.get_credentials()
    assert "AKIDEXAMPLE" in first
    assert "AKIDNEXT" in second
    assert "Security-Token=s2" in second


def test_a_role_is_looked_for_once_and_asked_each_time() -> None:
    """Where botocore finds a role, its credentials refresh themselves: they are kept, and asked for each token."""
    chain = Chain()
    held = credentials({}, chain)
    assert "ROLE1" in held.get_credentials()[1]
    chain.access = "ROLE2"
    assert "ROLE2" in held.get_credentials()[1]
    assert chain.looked == 1


def test_the_environment_goes_before_a_role() -> None:
    """The order is botocore's."""
    chain = Chain()
    assert "AKIDEXAMPLE" in credentials(ENVIRON, chain).get_credentials()[1]
    assert chain.looked == 0


def test_a_refused_token_is_not_used_again() -> None:
    """After a refusal the next token is made anew, and once a minute who this process is, too."""
    clock, chain = ManualClock(), Chain()
    held = credentials({}, chain, clock)
    first = held.get_credentials()
    clock.advance(1)
    for _ in range(3):
        held.rejected()
        assert held.get_credentials() != first
    assert chain.looked == 2
    clock.advance(60)
    held.rejected()
    held.get_credentials()
    assert chain.looked == 3


def test_nobody_is_told_as_misconfigured() -> None:
    """Without any AWS keys there is nothing to retry."""
    with pytest.raises(ConfigurationError, match="give the function, task or instance a role"):
        credentials({}, lambda: None).get_credentials()
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        credentials({"AWS_ACCESS_KEY_ID": "A"}).get_credentials()


def test_a_metadata_service_that_is_away_is_told() -> None:
    """What botocore raises becomes ours: what passes is to be retried, what does not is to be mended."""
    passing = [
        ConnectTimeoutError(endpoint_url="http://169.254.170.2"),
        CredentialRetrievalError(provider="container-role", error_msg="no answer"),
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        refusal("IDPCommunicationError"),
    ]
    for error in passing:
        with pytest.raises(ProviderUnavailableError, match=r"(?i)retry"):
            credentials({}, Chain(failing=error)).get_credentials()
    for error in (
        ProfileNotFound(profile="app"),
        refusal("InvalidIdentityToken"),
        refusal("AccessDenied", 403),
    ):
        with pytest.raises(ConfigurationError, match="AWS credentials: "):
            credentials({}, Chain(failing=error)).get_credentials()


def test_both_faces_hand_out_the_same() -> None:
    """Awaited or not, it is the same user and token."""
    held = credentials()
    assert asyncio.run(held.get_credentials_async()) == held.get_credentials()


def test_the_region_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`AWS_REGION`, which Lambda sets and botocore ignores, goes before `AWS_DEFAULT_REGION`; none is an error."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert IamCredentials("my-cache", "app").region == "eu-west-1"
    monkeypatch.delenv("AWS_REGION")
    assert IamCredentials("my-cache", "app").region == "us-east-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match="set AWS_REGION"):
        IamCredentials("my-cache", "app")
    with pytest.raises(ConfigurationError, match="AWS region"):
        IamCredentials("my-cache", "app", region="Ireland")


def test_connections_end_before_the_server_cuts_them() -> None:
    """ElastiCache cuts a connection after 12 hours; ours are replaced within 11."""
    assert credentials().lifetime == CONNECTION_LIFETIME == 11 * 3_600


def test_nothing_shows_a_secret() -> None:
    """What may be logged shows whose credentials they are, and neither token nor keys."""
    held = credentials()
    held.get_credentials()
    assert repr(held) == "IamCredentials('my-cache', 'app', region='eu-west-1', serverless=False)"
    assert Keys("A", "hush").__repr__() == "Keys('A', ***)"


def test_a_token_from_the_environment_needs_no_botocore() -> None:
    """A function's cold start pays for no signer of AWS's, 70 ms, and no session, 90 ms."""
    program = (
        "import sys; from staleproof.aws import IamCredentials;"
        "IamCredentials('my-cache', 'app', region='eu-west-1').get_credentials();"
        "print(*sorted({'boto3', 'botocore', 'asyncio', 'redis'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRON, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""
