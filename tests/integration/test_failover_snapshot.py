"""A process that becomes a snapshot: nothing of it is open then, and copies of it have chance numbers of their own."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.conditions import wait_until
from local.loopback import exchange
from local.memcached import Memcached
from local.supervisor import Supervisor
from local.valkey import Valkey
from local.valkey_cluster import ValkeyCluster
from staleproof.providers import snapstart
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.tags import tag_id
from staleproof.testing.examples import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

TAGS = [tag_id(str(number)) for number in range(12)]


class Runtime(ModuleType):
    """Stands in for the runtime's hooks: a snapshot can be taken of no process but Lambda's."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []

    def register_before_snapshot(self, function: Callable[[], object]) -> None:
        self.before.insert(0, function)

    def register_after_restore(self, function: Callable[[], object]) -> None:
        self.after.append(function)

    def snapshot(self) -> None:
        for function in self.before:
            function()

    def restore(self) -> None:
        for function in self.after:
            function()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    runtime = Runtime()
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    monkeypatch.setenv(snapstart.KIND, snapstart.SNAPSHOT)
    snapstart._register.cache_clear()
    yield runtime
    snapstart._register.cache_clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """A server that nobody else is connected to."""
    with Supervisor() as owner:
        server = Valkey(owner, "snapshot")
        server.start()
        yield server


def ours(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return len([each for each in client.client_list() if each["name"] == "staleproof"])


def test_nothing_is_open_in_a_snapshot(runtime: Runtime, server: Valkey) -> None:
    """What was connected at start-up is closed, and the first call after the restore connects again."""
    provider = RedisProvider.from_url(server.url, namespace="snapshot")
    provider.put("k", b"1", MINUTE)
    assert ours(server.url) == 1
    runtime.snapshot()
    wait_until(lambda: ours(server.url) == 0, "it is closed")
    runtime.restore()
    assert provider.read("k", []).entry == b"1"
    provider.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_nor_of_an_event_loop_that_is_over(runtime: Runtime, server: Valkey) -> None:
    """Each invocation runs a loop of its own, so there is none any more when the snapshot is taken."""
    provider = AsyncRedisProvider.from_url(server.url, namespace="snapshot")

    async def read() -> Any:
        await provider.put("k", b"1", MINUTE)  # noqa: F821 - it is deleted below, later
        return (await provider.read("k", [])).entry  # noqa: F821

    assert asyncio.run(read()) == b"1"
    runtime.snapshot()
    wait_until(lambda: ours(server.url) == 0, "it is closed")
    runtime.restore()
    assert asyncio.run(read()) == b"1"
    asyncio.run(provider.close())
    del provider
    gc.collect()  # what the loops left behind is told here


@pytest.fixture(scope="module")
def memcached() -> Iterator[Memcached]:
    with Supervisor() as owner:
        node = Memcached(owner, "snapshot-memcached")
        node.start()
        yield node


def lines(node: Memcached) -> int:
    """How many are connected to *node*, but for who asks."""
    told = exchange(node.port, b"stats\r\n", 1 << 16)
    return int(told.partition(b"STAT curr_connections ")[2].split(b"\r\n")[0])


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_nor_to_a_memcached_node(runtime: Runtime, memcached: Memcached, awaited: bool) -> None:
    """They are closed, and opened anew by the first call; copies draw different numbers there as well."""
    before = lines(memcached)
    open_one = AsyncMemcachedProvider if awaited else MemcachedProvider
    provider: Any = open_one.from_url(memcached.url, namespace="snapshot")

    async def read() -> Any:
        await provider.put("k", b"1", MINUTE)
        return (await provider.read("k", [])).entry

    def look() -> Any:
        if awaited:
            return asyncio.run(read())
        provider.put("k", b"1", MINUTE)
        return provider.read("k", []).entry

    assert look() == b"1"
    runtime.snapshot()
    wait_until(lambda: lines(memcached) == before, "it is closed")
    assert random.seed in runtime.after
    runtime.restore()
    assert look() == b"1"
    if awaited:
        asyncio.run(provider.close())
    else:
        provider.close()
    gc.collect()


@pytest.mark.slow
def test_nor_to_any_node_of_a_cluster(runtime: Runtime) -> None:
    """And who serves what is asked again: days may have passed."""
    with Supervisor() as owner:
        cluster = ValkeyCluster(owner, "snapshot").start()
        provider: Any = RedisProvider.from_url(cluster.url, namespace="snapshot", cluster=True)
        before = provider.snapshot(TAGS, MINUTE, guard=False).versions
        runtime.snapshot()
        wait_until(lambda: not any(ours(node.url) for node in cluster.nodes), "all are closed")
        assert provider.connections.chart.unsure
        runtime.restore()
        assert list(provider.read("k", TAGS).versions) == list(before)
        provider.close()


def test_copies_differ_in_chance(runtime: Runtime, server: Valkey) -> None:
    """Two processes restored from one snapshot draw other numbers."""
    provider = RedisProvider.from_url(server.url, namespace="snapshot")
    runtime.snapshot()
    frozen = random.getstate()
    drawn = []
    for _ in range(2):
        random.setstate(frozen)
        runtime.restore()
        drawn.append(random.getrandbits(64))
    assert drawn[0] != drawn[1]
    provider.close()


def test_another_process_registers_nothing(
    runtime: Runtime, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is no snapshot, nor one whose runtime has no hooks."""
    monkeypatch.setenv(snapstart.KIND, "on-demand")
    RedisProvider.from_url(server.url, namespace="snapshot").close()
    assert runtime.before == runtime.after == []
    monkeypatch.setenv(snapstart.KIND, snapstart.SNAPSHOT)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    RedisProvider.from_url(server.url, namespace="snapshot").close()
    assert runtime.before == runtime.after == []
