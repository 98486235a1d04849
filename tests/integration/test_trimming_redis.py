"""Trimming on a server: whatever lies there, an invalidation that is applied is acknowledged."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof.events.invalidation import Invalidation
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.testing import Blocking

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis
GARBAGE = [b"garbage", b"\xff\xfe", b"1-x", b"-5-0", b"99999999999999999999999-0"]


@pytest.fixture(params=[RedisProvider, AsyncRedisProvider])
def provider(request: pytest.FixtureRequest, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
    """A provider that trims at every invalidation."""
    made = request.param.from_url(valkey_url, namespace=fresh_namespace)
    made._trimming.due = lambda: True
    made._horizon_ms = 0
    face = made if request.param is RedisProvider else Blocking(made)
    yield face
    getattr(face, "shut", face.close)()


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """Somebody else."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def record(namespace: str) -> Invalidation:
    return Invalidation(id="x", origin="o", namespace=namespace, tags=("t",))


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_position_holds_nothing_back(
    provider: Any, client: redis.Redis, valkey_url: str, fresh_namespace: str, garbage: bytes
) -> None:
    """A link whose position cannot be read gets everything that is left, and is told of the gap; trimming goes on."""
    client.hset(Keyspace(fresh_namespace).followers, "eu", garbage)
    (place,) = provider.invalidate([record(fresh_namespace)])
    assert provider.trim(3_600_000) == 0
    with closing(RedisProvider.from_url(valkey_url, namespace=fresh_namespace)) as link:
        assert not link.undelivered("eu", 10).contiguous
        link.advance("eu", place)
        (later,) = provider.invalidate([record(fresh_namespace)])
        page = link.undelivered("eu", 10)
    assert (page.contiguous, [each for each, _ in page.records]) == (True, [later])


def test_an_applied_invalidation_does_not_fail_for_its_trim(
    provider: Any, client: redis.Redis, fresh_namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The positions are a key of another type: invalidations are acknowledged, and the failure is told once."""
    client.set(Keyspace(fresh_namespace).followers, "no hash")
    with caplog.at_level(logging.WARNING, "staleproof"):
        for _ in range(3):
            assert provider.invalidate([record(fresh_namespace)])
    assert len([each for each in caplog.records if "could not be trimmed" in each.getMessage()]) == 1
