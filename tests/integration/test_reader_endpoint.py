"""Reads from a replica: as fresh as the policy's bound, for the replica shows that it has our place in the journal."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.conditions import wait_until
from local.loopback import HOST
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import AsyncCache, Cache, ConfigurationError, Policy, bounded
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

BOUND = 0.3
READING = Policy(consistency=bounded(BOUND, reader=True))


class Pair:
    """A primary and its replica, and how often the replica was asked for entries."""

    def __init__(self, primary: Valkey, replica: Valkey) -> None:
        self.primary, self.replica = primary, replica
        self.admin = redis.Redis.from_url(replica.url)

    def asked(self) -> int:
        found: Any = self.admin.info("commandstats")
        return int(found.get("cmdstat_mget", {"calls": 0})["calls"])

    def lag(self, *, behind: bool) -> None:
        """Cut the replica off from its primary, or let it catch up."""
        if behind:
            self.admin.replicaof("no", "one")
        else:
            self.admin.replicaof(HOST, self.primary.port)
            self.in_step()

    def in_step(self) -> None:
        def caught_up() -> bool:
            state: Any = self.admin.info("replication")
            return state.get("master_link_status") == "up" and not state["master_sync_in_progress"]

        wait_until(caught_up, "the replica is in step")
        with redis.Redis.from_url(self.primary.url) as client:
            client.wait(1, 5_000)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Pair]:
    with Supervisor() as owner:
        servers = [Valkey(owner, f"valkey-reader-{number}") for number in (1, 2)]
        for server in servers:
            server.start()
            with redis.Redis.from_url(server.url) as client:
                client.config_set("repl-diskless-sync-delay", 0)
        pair = Pair(*servers)
        pair.lag(behind=False)
        yield pair
        pair.admin.close()


@pytest.fixture
def cache(nodes: Pair, fresh_namespace: str) -> Iterator[Cache]:
    provider = RedisProvider.from_url(
        nodes.primary.url, namespace=fresh_namespace, reader_url=nodes.replica.url
    )
    with Cache(provider, policy=READING) as cache:
        yield cache


def forget_copies(cache: Cache) -> None:
    """Let the next read find no near copy, but the same place in the journal."""
    assert cache.core.near is not None
    for key in list(cache.core.near.copies):
        cache.core.near.discard(key)


def test_a_replica_in_step_answers(cache: Cache, nodes: Pair) -> None:
    """A hit comes from the replica, and from nowhere else."""
    assert cache.get_or_load("k", lambda: 1, tags=["t"]) == 1
    nodes.in_step()
    forget_copies(cache)
    before = nodes.asked()
    with redis.Redis.from_url(nodes.primary.url) as primary:
        found: Any = primary.info("commandstats")
        reads = found["cmdstat_mget"]["calls"]
        assert cache.get_or_load("k", lambda: 2, tags=["t"]) == 1
        found = primary.info("commandstats")
        assert found["cmdstat_mget"]["calls"] == reads
    assert nodes.asked() == before + 1


def test_a_replica_that_lags_beyond_the_bound_is_not_believed(cache: Cache, nodes: Pair) -> None:
    """An invalidation that the replica has not seen holds all the same, at the latest after the bound."""
    assert cache.get_or_load("k", lambda: 1, tags=["t"]) == 1
    nodes.in_step()
    nodes.lag(behind=True)
    try:
        with Cache(RedisProvider.from_url(nodes.primary.url, namespace=cache.namespace)) as writer:
            writer.invalidate("t")
        acknowledged = time.monotonic()
        while time.monotonic() <= acknowledged + BOUND:
            forget_copies(cache)
            cache.get_or_load("k", lambda: 2, tags=["t"])
        forget_copies(cache)
        assert cache.get_or_load("k", lambda: 2, tags=["t"]) == 2
    finally:
        nodes.lag(behind=False)


def test_a_replica_that_is_away_costs_no_answer(nodes: Pair, fresh_namespace: str) -> None:
    """The primary answers instead, and after some failures the replica is left alone; the primary never is."""
    provider = RedisProvider.from_url(
        nodes.primary.url, namespace=fresh_namespace, reader_url="redis://127.0.0.1:1/0"
    )
    with Cache(provider, policy=READING.but(fallback="error")) as cache:
        assert cache.get_or_load("k", lambda: 1) == 1
        for _ in range(10):
            forget_copies(cache)
            assert cache.get_or_load("k", lambda: 2) == 1
        assert cache.core.reader_breaker.is_open
        assert not cache.core.breaker.in_a_row


def test_the_asyncio_face_reads_there_too(nodes: Pair, fresh_namespace: str) -> None:
    """The same, awaited."""

    async def read_twice() -> int:
        provider = AsyncRedisProvider.from_url(
            nodes.primary.url, namespace=fresh_namespace, reader_url=nodes.replica.url
        )
        async with AsyncCache(provider, policy=READING) as cache:
            assert await cache.get_or_load("k", one) == 1
            nodes.in_step()
            assert cache.core.near is not None
            cache.core.near.discard("k")
            before = nodes.asked()
            assert await cache.get_or_load("k", two) == 1
            return nodes.asked() - before

    async def one() -> int:
        return 1

    async def two() -> int:
        return 2

    assert asyncio.run(read_twice()) == 1


def test_a_reader_needs_a_bound() -> None:
    """A replica lags: strictness cannot be had there."""
    with pytest.raises(ConfigurationError, match="reader=True needs a staleness"):
        Policy(reader=True)
