"""Addresses say who to be; what they contradict is told before anything connects."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof import ConfigurationError
from staleproof.aws import IamCredentials, SecretCredentials, parse
from staleproof.config import Settings, provider
from staleproof.providers.redis.connections import Connections


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://app:p%3Fiam%3D1@host:6379/0",
        "rediss://host/0?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_an_ordinary_address_stays_as_it_is(url: str) -> None:
    """What has nothing of ours in it is the client library's alone."""
    assert parse(url) == (url, None, None)


def test_an_address_may_name_a_user_of_iam() -> None:
    """User, cache, kind and region of a token stand in the address, and leave it."""
    url = "rediss://IAM-user@host:6379/0?iam=My-Cache&serverless=true&region=us-east-1&ssl_ca_certs=/ca.pem"
    found = parse(url)
    assert found.url == "rediss://host:6379/0?ssl_ca_certs=%2Fca.pem"
    assert repr(found.credentials) == (
        "IamCredentials('my-cache', 'iam-user', region='us-east-1', serverless=True)"
    )


def test_an_address_may_name_a_secret() -> None:
    """The user of a secret is that of the address, or the one that the secret names."""
    found = parse("rediss://app@host:6379/0?secret=prod/cache")
    assert (found.url, repr(found.credentials)) == (
        "rediss://host:6379/0",
        "SecretCredentials('prod/cache', 'app')",
    )
    assert (
        repr(parse("rediss://host?secret=prod/cache").credentials) == "SecretCredentials('prod/cache', None)"
    )


def test_an_address_may_name_a_reader() -> None:
    """Replicas are reached as the primary is: with the same password, or the same credentials."""
    assert parse("rediss://app:x@host:6379/1?reader=other:6380")[:2] == (
        "rediss://app:x@host:6379/1",
        "rediss://app:x@other:6380/1",
    )
    found = parse("rediss://app@host:6379/1?reader=other&iam=shop")
    assert found[:2] == ("rediss://host:6379/1", "rediss://other/1")
    assert isinstance(found.credentials, IamCredentials)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://app@host?iam=shop", "rediss://"),
        ("redis://host?secret=prod/cache", "rediss://"),
        ("rediss://app:hush@host?iam=shop", "has a password"),
        ("rediss://app@host?iam=shop&secret=prod/cache", "leave one of them out"),
        ("rediss://host?iam=shop", "needs the id of a user"),
        ("rediss://app@host?iam=host.cache.amazonaws.com", "not its endpoint"),
        ("rediss://app@host?iam=shop&serverless=perhaps", "neither true nor false"),
        ("rediss://host?serverless=true", "go with iam"),
        ("rediss://app@host?iam=shop&region=here", "AWS region"),
        ("rediss://host?reader=a/b", "no endpoint"),
    ],
)
def test_a_contradiction_is_told(url: str, told: str) -> None:
    """Nothing is guessed: the error says what to write instead, and shows no password."""
    with pytest.raises(ConfigurationError, match=told) as raised:
        parse(url)
    assert "hush" not in str(raised.value)


def settings(url: str) -> Settings:
    return Settings.from_env({"STALEPROOF_CACHE_URL": url, "STALEPROOF_NAMESPACE": "shop"}, file="none")


def test_settings_take_such_an_address() -> None:
    """`STALEPROOF_CACHE_URL` may hold one; the provider has its credentials, and its reader."""
    made: Any = provider(settings("rediss://app@host:6379/0?iam=shop&reader=other:6379"))
    for each in (made, made.reader):
        assert isinstance(each.connections._credentials, IamCredentials)
    plain: Any = provider(settings("rediss://host:6379/0"))
    assert plain.connections._credentials is None
    secret: Any = provider(settings("rediss://host:6379/0?secret=prod/cache"))
    assert isinstance(secret.connections._credentials, SecretCredentials)


def test_credentials_in_two_places_are_refused() -> None:
    """A password in the address and credentials beside it: nobody could tell which counts."""
    with pytest.raises(ConfigurationError, match="keep one") as raised:
        Connections("rediss://app:hush@host", credentials=IamCredentials("shop", "app"))
    assert "hush" not in str(raised.value)
