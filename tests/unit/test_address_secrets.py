"""An address that cannot be read tells nothing of its password, whatever stands in it unescaped."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from staleproof import ConfigurationError
from staleproof.aws import composition as aws
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

SECRETS = [
    "s3cr/etpw",
    "s3cr?etpw",
    "s3cr#etpw",
    "[s3cr",
    "s3cr]",
    "s3cr\u2100etpw",
    "77/etpw",
    "77?etpw",
    "77#etpw",
]


def told(error: BaseException | None) -> str:
    """Return everything that *error* and those behind it say, those that are not shown included."""
    text = ""
    while error is not None:
        text += "".join(traceback.format_exception_only(error)) + repr(error.args)
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("query", ["", "?cluster=true", "/0?protocol=2"])
@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("provider", [RedisProvider, AsyncRedisProvider])
def test_an_address_torn_by_its_password_is_refused_in_silence(
    provider: Any, cluster: bool, query: str, secret: str
) -> None:
    """Neither the message nor an error behind it repeats a part of the password; no part is taken for a port."""
    with pytest.raises(ConfigurationError, match=r"cache URL: .*%2F for /") as raised:
        provider.from_url(f"redis://user:{secret}@h{query}", namespace="n", cluster=cluster)
    assert not any(part in told(raised.value) for part in ("s3cr", "etpw", "77"))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("query", ["iam=x", "secret=x", "reader=other"])
def test_an_extended_address_torn_by_its_password_is_refused_in_silence(query: str, secret: str) -> None:
    """The same holds where the address says how connections prove themselves."""
    with pytest.raises(ConfigurationError, match="cache URL: ") as raised:
        aws.provider(f"rediss://user:{secret}@h?{query}", namespace="n")
    assert not any(part in told(raised.value) for part in ("s3cr", "etpw", "77"))


@pytest.mark.parametrize("secret", ["s3cr/et", "s3cr?et", "s3cr#et", "s3cr,et", "s3cr"])
@pytest.mark.parametrize("provider", [MemcachedProvider, AsyncMemcachedProvider])
def test_memcached_refuses_a_password_in_silence(provider: Any, secret: str) -> None:
    """It knows none, and repeats none."""
    with pytest.raises(ConfigurationError, match="no user or password") as raised:
        provider.from_url(f"memcached://user:{secret}@h", namespace="n")
    assert "s3cr" not in told(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:p%2Fw@h:6379/0",
        "rediss://h/",
        "redis://:p@[::1]:7",
        "unix:///tmp/a@b.sock?db=1",
        "redis://h/2?db=1",
    ],
)
def test_an_address_as_it_should_be_is_taken(url: str) -> None:
    """Escaped passwords, sockets with odd names, and databases in the path or the query."""
    assert RedisProvider.from_url(url, namespace="n").connections.where
