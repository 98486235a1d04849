"""A server that runs full in the middle of a load: it refuses the value, and nobody waits for the load that is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import AsyncCache, Cache, Policy
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.testing.blocking import BlockingCache, Portal

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

PATIENT = Policy(lease="1h", patience="1h")
"""Whoever meets a lease that was left behind waits for an hour, so that a test sees it."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-full")
        server.start()
        yield server


@pytest.fixture
def admin(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture(params=["blocking", "awaiting"])
def cache(request: pytest.FixtureRequest, valkey: Valkey, fresh_namespace: str) -> Iterator[Any]:
    """A cache of either face, in blocking words."""
    if request.param == "blocking":
        with Cache(RedisProvider.from_url(valkey.url, namespace=fresh_namespace), policy=PATIENT) as made:
            yield made
        return
    portal = Portal()
    behind = AsyncCache(AsyncRedisProvider.from_url(valkey.url, namespace=fresh_namespace), policy=PATIENT)
    yield BlockingCache(behind, portal)
    portal.call(behind.close)
    portal.shut()


@pytest.mark.parametrize("many", [False, True], ids=["one key", "many keys"])
def test_a_value_that_does_not_fit_leaves_no_lease(
    cache: Any, admin: redis.Redis, fresh_namespace: str, many: bool
) -> None:
    """The reader has his value, the next one loads at once, and with room again it is stored."""

    def load() -> str:
        admin.config_set("maxmemory", 1)
        return "value"

    def read() -> Any:
        if many:
            return cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, load()))["k"]
        return cache.get_or_load("k", load)

    began = time.monotonic()
    for _ in range(3):
        assert read() == "value"
        assert not admin.exists(Keyspace(fresh_namespace).lease("k"))
    admin.config_set("maxmemory", 0)
    if many:
        cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, "kept"))
    else:
        cache.get_or_load("k", lambda: "kept")
    assert cache.get("k") == "kept"
    assert time.monotonic() - began < 10
    assert dict(cache.statistics.unstored) == {"provider": 3}
