"""Passwords from Secrets Manager: read when needed, and once more when the server refuses them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from staleproof import ConfigurationError, ProviderUnavailableError
from staleproof.aws import SecretCredentials
from staleproof.aws.secret import READ_EVERY
from staleproof.clock import ManualClock
from tests.unit.aws_shapes import Recording, refusal

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/cache-AbCdEf"


class Secrets:
    """One secret, whatever it is called.

    Attributes:
        text: what it holds; an exception is raised instead.
        regions: where clients were made.
    """

    def __init__(self, text: Any) -> None:
        self.text = text
        self.regions: list[str | None] = []
        self.client = Recording("secretsmanager", {"get_secret_value": self._answer})

    def connect(self, region: str | None) -> Any:
        self.regions.append(region)
        return self.client

    def _answer(self, SecretId: str) -> Any:  # noqa: N803 - as the API writes it
        if isinstance(self.text, Exception):
            raise self.text
        return {"Name": SecretId, "SecretString": self.text} if self.text else {"SecretBinary": b"x"}


def credentials(
    text: Any, user: str | None = None, *, name: str = "prod/cache", clock: ManualClock | None = None
) -> tuple[SecretCredentials, Secrets]:
    secrets = Secrets(text)
    return SecretCredentials(name, user, connect=secrets.connect, clock=clock or ManualClock()), secrets


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        (json.dumps({"username": "app", "password": "hush", "user_arn": "x"}), None, ("app", "hush")),
        (json.dumps({"username": "app", "password": "hush"}), "other", ("other", "hush")),
        (json.dumps({"password": "hush"}), None, ("hush",)),
        ("hush", None, ("hush",)),
        ("hush", "app", ("app", "hush")),
        ("{not json", None, ("{not json",)),
    ],
)
def test_a_secret_is_user_and_password(text: str, user: str | None, expected: tuple[str, ...]) -> None:
    """It is what AWS's rotation function writes, or the bare password; a user that is named goes first."""
    assert credentials(text, user)[0].get_credentials() == expected


def test_a_secret_is_read_once() -> None:
    """However many connections open, the service is asked once, by either face."""
    held, secrets = credentials("hush")
    assert secrets.regions == []
    assert asyncio.run(held.get_credentials_async()) == ("hush",)
    assert asyncio.run(held.get_credentials_async()) == held.get_credentials()
    assert secrets.client.count("get_secret_value") == 1


def test_a_refused_password_is_read_anew() -> None:
    """After a rotation the server refuses the old password, and the next connection has the new one."""
    clock = ManualClock()
    held, secrets = credentials("old", clock=clock)
    held.get_credentials()
    secrets.text = "new"
    clock.advance(READ_EVERY)
    held.rejected()
    assert held.get_credentials() == ("new",)
    assert len(secrets.regions) == 1


def test_a_wrong_password_does_not_flood_the_service() -> None:
    """While the server refuses what was just read, it is not read again and again."""
    clock = ManualClock()
    held, secrets = credentials("wrong", clock=clock)
    for _ in range(10):
        held.get_credentials()
        held.rejected()
    assert secrets.client.count("get_secret_value") == 1
    clock.advance(READ_EVERY)
    held.rejected()
    held.get_credentials()
    assert secrets.client.count("get_secret_value") == 2


def test_a_secret_that_another_thread_forgets_just_then_is_told_all_the_same() -> None:
    """A refusal elsewhere, between the reading and its end, takes what is held, and not what this one returns."""

    class Forgetful(SecretCredentials):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, None if name == "_held" else value)

    forgetful = Forgetful("prod/cache", connect=Secrets("hush").connect, clock=ManualClock())
    assert forgetful.get_credentials() == ("hush",)
    assert asyncio.run(forgetful.get_credentials_async()) == ("hush",)


def test_an_arn_says_where_the_secret_lies() -> None:
    """A secret of another region is asked of that region."""
    held, secrets = credentials("hush", name=ARN)
    held.get_credentials()
    assert secrets.regions == ["us-east-1"]


@pytest.mark.parametrize(
    "text", ["", json.dumps({"username": "app"}), json.dumps({"password": 5}), json.dumps({"password": ""})]
)
def test_a_secret_without_a_password_is_told(text: str) -> None:
    """The error names the secret and what to store in it, and shows nothing that it holds."""
    with pytest.raises(ConfigurationError, match=r"secret prod/cache (holds|has) no text"):
        credentials(text)[0].get_credentials()


@pytest.mark.parametrize(
    ("error", "raised", "told"),
    [
        (refusal("ResourceNotFoundException"), ConfigurationError, "secret prod/cache"),
        (refusal("AccessDeniedException", 400, "GetSecretValue"), ConfigurationError, "allow GetSecretValue"),
        (refusal("ThrottlingException"), ProviderUnavailableError, "retry"),
        (refusal("InternalServiceError", 500), ProviderUnavailableError, "retry"),
        (EndpointConnectionError(endpoint_url="https://x"), ProviderUnavailableError, "way to the service"),
    ],
)
def test_a_service_that_refuses_is_told(error: Exception, raised: type[Exception], told: str) -> None:
    """The class says whether to retry; afterwards it is asked again."""
    held, secrets = credentials(error)
    with pytest.raises(raised, match=told):
        held.get_credentials()
    secrets.text = "hush"
    assert held.get_credentials() == ("hush",)


def test_a_secret_shows_nothing() -> None:
    """What may be logged shows which secret it is, and not what it holds."""
    held, _ = credentials("hush")
    held.get_credentials()
    assert repr(held) == "SecretCredentials('prod/cache', None)"
