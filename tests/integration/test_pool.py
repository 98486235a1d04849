"""The pool keeps its promises: as many connections as were asked for, a turn for everybody, times one can wait."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import Cache, ConfigurationError, Policy, ProviderRejectedError
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.redis.async_connections import AsyncConnections
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.exchange import commands
from staleproof.testing import Blocking

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.redis,
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """A server whose clients are all this module's."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-pool")
        server.start()
        yield server


@pytest.fixture
def client(server: Valkey) -> Iterator[redis.Redis]:
    """The server as an administrator sees it."""
    with redis.Redis.from_url(server.url) as client:
        yield client


def open_gate(client: redis.Redis, crowd: int, gate: str) -> None:
    """Wait until *crowd* connections wait at *gate*, and let them all go."""
    wait_until(
        lambda: client.info("clients")["blocked_clients"] >= crowd, f"{crowd} connections at work at once"
    )
    client.rpush(gate, *range(crowd))


def all_at_once(connections: Connections, client: redis.Redis, crowd: int, gate: str) -> list[Any]:
    """Have *crowd* exchanges under way at the same time, and return their replies."""
    wait = commands([("BLPOP", gate, 8)])
    with ThreadPoolExecutor(crowd) as threads:
        waiting = [threads.submit(connections.exchange, wait) for _ in range(crowd)]
        open_gate(client, crowd, gate)
        return sorted(int(each.result()[0][1]) for each in waiting)


def test_as_many_threads_work_at_once_as_were_asked_for(server: Valkey, client: redis.Redis) -> None:
    """A pool of 150 connections has 150, whatever the client library's own default is."""
    connections = Connections(server.url, timeout=10, max_connections=150)
    assert all_at_once(connections, client, 150, "threads") == list(range(150))
    connections.close()


def test_as_many_tasks_work_at_once_as_were_asked_for(server: Valkey, client: redis.Redis) -> None:
    """The same under asyncio."""

    async def scenario() -> list[int]:
        connections = AsyncConnections(server.url, timeout=10, max_connections=150)
        wait = commands([("BLPOP", "tasks", 8)])
        waiting = [asyncio.create_task(connections.exchange(wait)) for _ in range(150)]
        await asyncio.to_thread(open_gate, client, 150, "tasks")
        replies = await asyncio.gather(*waiting)
        await connections.close()
        return sorted(int(each[0][1]) for each in replies)

    assert asyncio.run(scenario()) == list(range(150))


def test_a_forked_child_gets_its_full_pool(server: Valkey, client: redis.Redis) -> None:
    """What the parent has opened is not counted against the child."""
    connections = Connections(server.url, timeout=10, max_connections=60)
    assert len(all_at_once(connections, client, 60, "parent")) == 60
    child = os.fork()
    if not child:
        signal.alarm(10)
        right = False
        try:
            with redis.Redis.from_url(server.url) as own:
                right = len(all_at_once(connections, own, 60, "child")) == 60
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(all_at_once(connections, client, 60, "parent again")) == 60
    connections.close()


def test_a_fork_amid_a_wait_for_a_turn_leaves_the_child_able_to_connect(
    server: Valkey, client: redis.Redis
) -> None:
    """Threads of the parent that wait for a connection, or hold one, do not exist in the child."""
    connections = Connections(server.url, timeout=10, max_connections=1)
    wait = commands([("BLPOP", "amid", 8)])
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(connections.exchange, wait) for _ in range(3)]
        wait_until(lambda: connections._waiting == 2, "two threads wait for the one connection")
        child = os.fork()
        if not child:
            signal.alarm(10)
            right = False
            try:
                right = connections.ask(b"*1\r\n$4\r\nPING\r\n") == b"PONG"
            finally:
                os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.rpush("amid", 1, 2, 3)
        assert sorted(each.result()[0][1] for each in waiting) == [b"1", b"2", b"3"]
    connections.close()


@pytest.mark.parametrize("size", [1, 2])
def test_nobody_starves_on_a_small_pool(server: Valkey, size: int) -> None:
    """Connections are handed to whoever waits, past those who come by: two dozen busy threads all get their turns."""
    provider = RedisProvider.from_url(server.url, namespace="pool", max_connections=size, timeout=1.0)
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(400):
                provider.read("k", ())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(24)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    provider.close()


def test_a_connection_given_back_belongs_to_whoever_waits(server: Valkey) -> None:
    """It is handed over, not laid out for the next who comes by: that would be its last holder, again and again."""
    connections = Connections(server.url, timeout=10, max_connections=1)
    wire = connections._grow()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(connections._grow)
        wait_until(lambda: connections._waiting == 1, "a thread waits for the one connection")
        connections._give_back(wire)
        assert not connections._idle
        assert waiting.result() is wire


def test_no_task_starves_on_a_small_pool(server: Valkey) -> None:
    """The same under asyncio."""

    async def scenario() -> None:
        provider = AsyncRedisProvider.from_url(server.url, namespace="pool", max_connections=2, timeout=1.0)

        async def read() -> None:
            for _ in range(50):
                await provider.read("k", ())

        await asyncio.gather(*[read() for _ in range(24)])
        await provider.close()

    asyncio.run(scenario())


FACES = pytest.mark.parametrize("face", [RedisProvider, AsyncRedisProvider], ids=["blocking", "awaiting"])


@FACES
@pytest.mark.parametrize("timeout", [0, -1, 1e-9, 3_601, float("inf"), float("nan"), None, "1"], ids=repr)
def test_timeouts_that_cannot_be_waited_are_refused(server: Valkey, face: Any, timeout: Any) -> None:
    """The error names the value and the range when the provider is made, not at the first read."""
    with pytest.raises(ConfigurationError, match=r"timeout=.*use 0\.001 to 3600\.0 seconds"):
        face.from_url(server.url, namespace="pool", timeout=timeout)


@FACES
@pytest.mark.parametrize("timeout", [0.9999999, 1, 1.9999996, 3_600, "1s", timedelta(seconds=1)])
def test_any_timeout_within_the_range_works(server: Valkey, face: Any, timeout: Any) -> None:
    """Fractions that round to whole seconds are seconds."""
    provider: Any = face.from_url(server.url, namespace="pool", timeout=timeout)
    if face is AsyncRedisProvider:
        provider = Blocking(provider)
    assert provider.read("k", ()).entry is None
    getattr(provider, "shut", provider.close)()


@FACES
@pytest.mark.parametrize("staleness", [None, 0, 60])
def test_a_full_server_serves_reads_unstored(
    server: Valkey, client: redis.Redis, face: Any, staleness: float | None, fresh_namespace: str
) -> None:
    """Without room for a lease or a value, reads go through to the source; an invalidation is not acknowledged."""
    provider: Any = face.from_url(server.url, namespace=fresh_namespace)
    if face is AsyncRedisProvider:
        provider = Blocking(provider)
    cache = Cache(provider, policy=Policy(staleness=staleness))
    cache.get_or_load("warm", lambda: 0)
    values = iter(range(1, 10))
    try:
        client.config_set("maxmemory", 1)
        for expected in (1, 2):
            assert cache.get_or_load("k", lambda: next(values), tags_from=lambda _: ["late"]) == expected
        assert cache.statistics.unstored == {"provider": 2}
        assert cache.get_or_load("warm", lambda: -1) == 0
        with pytest.raises(ProviderRejectedError):
            cache.invalidate("late")
    finally:
        client.config_set("maxmemory", 0)
    assert [cache.get_or_load("k", lambda: next(values)) for _ in range(2)] == [3, 3]
    getattr(provider, "shut", provider.close)()
