"""A cluster whose nodes die, come back, and change places; and connections that lead to where they should not."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.loopback import HOST, free_port
from local.supervisor import Supervisor
from local.valkey_cluster import SLOTS, ValkeyCluster, ask
from staleproof import (
    AsyncCache,
    Cache,
    ConfigurationError,
    NearCache,
    Policy,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, ClusterConnections, RedisProvider, Tracker
from staleproof.providers.redis.slots import slot_of
from staleproof.tags import ROOT, tag_id
from staleproof.testing import Blocking
from staleproof.testing.examples import MINE, MINUTE, invalidation
from tests.contract.cluster_world import Mover
from tests.integration.proxy import Proxy
from tests.integration.row_load import ROWS, RowLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

SECONDS = float(os.environ.get("STALEPROOF_LOAD_SECONDS", "30"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries that no test kills."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "cluster").start()


@pytest.fixture
def mortal() -> Iterator[ValkeyCluster]:
    """Three primaries with a replica each, to be mistreated."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "mortal", replicas=1, node_timeout_ms=1_000).start()


def blocking(url: str, namespace: str, **options: Any) -> Any:
    return RedisProvider.from_url(url, namespace=namespace, cluster=True, **options)


def awaiting(url: str, namespace: str, **options: Any) -> Any:
    return Blocking(AsyncRedisProvider.from_url(url, namespace=namespace, cluster=True, **options))


@pytest.fixture(params=[blocking, awaiting], ids=["blocking", "awaiting"])
def connect(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Callable[..., Any]]:
    """Open providers of one face, and close them after the test."""
    opened = []

    def connect(url: str, **options: Any) -> Any:
        opened.append(request.param(url, fresh_namespace, **options))
        return opened[-1]

    yield connect
    for provider in opened:
        getattr(provider, "shut", provider.close)()


def insist(call: Callable[[], Any]) -> Any:
    """Repeat *call* while it is unavailable."""

    def done() -> Any:
        with suppress(ProviderUnavailableError):
            return [call()]
        return None

    return wait_until(done, "it is available")[0]


# --- where keys are ---------------------------------------------------------------------------------------


def test_slots_are_what_the_server_says(cluster: ValkeyCluster) -> None:
    """Of every kind of key that we have, and of odd ones."""
    keys = Keyspace("n")
    names = [
        *(
            keys.guard,
            keys.journal,
            keys.followers,
            keys.pushed("p"),
            keys.version(ROOT),
            keys.min_version(ROOT),
        ),
        *(
            make(key)
            for key in ("k", "}k", "{k", "a{7}b", "{}", "x" * 999)
            for make in (keys.entry, keys.lease)
        ),
        *(b"", b"{", b"}", b"{}", b"{}{a}", b"a{b}c{d}", b"\x00{\xff}\x01", "ü{é}".encode()),
    ]
    names += [keys.mark(name) for name in names[:16]]
    assert [slot_of(name) for name in names] == [
        cluster.primaries[0].ask("CLUSTER", "KEYSLOT", name) for name in names
    ]


def test_what_belongs_together_shares_a_slot() -> None:
    """An entry, its lease, what is staged for it, and the mark of each."""
    keys = Keyspace("n")
    for key in ("k", "}k", "{k", "a{7}b", "{}", "x" * 999, ""):
        entry = keys.entry(key)
        together = [
            entry,
            keys.lease(key),
            entry + b":s" + MINE,
            keys.mark(entry),
            keys.mark(keys.lease(key)),
        ]
        assert len({slot_of(name) for name in together}) == 1
    for name in (keys.guard, keys.version(ROOT), keys.min_version(ROOT), keys.journal):
        assert slot_of(keys.mark(name)) == slot_of(name)


def test_any_node_leads_to_all(cluster: ValkeyCluster, connect: Callable[..., Any]) -> None:
    """What is written by way of one node is read by way of another."""
    first, second = (connect(node.url) for node in cluster.primaries[:2])
    for number in range(50):
        first.put(f"k{number}", b"%d" % number, MINUTE)
    assert [second.read(f"k{number}", []).entry for number in range(50)] == [b"%d" % n for n in range(50)]


def test_each_node_learns_the_scripts(cluster: ValkeyCluster, connect: Callable[..., Any]) -> None:
    """A node that does not know a script is taught, whichever it is."""
    provider = connect(cluster.url)
    for node in cluster.primaries:
        node.ask("SCRIPT", "FLUSH")
    for number in range(20):
        provider.begin(f"k{number}", [ROOT], MINE, MINUTE, MINUTE, guard=False)
        assert provider.store(f"k{number}", b"1", MINUTE, MINE)


def test_what_does_not_go_with_a_cluster_is_said(cluster: ValkeyCluster, valkey_url: str) -> None:
    """A server that is none, a database, a socket, a reader, clearing at restarts."""
    wrong: list[tuple[str, dict[str, Any], str]] = [
        (valkey_url, {}, "is no cluster; leave out cluster=True"),
        (cluster.url.replace("/0", "/3"), {}, "has no database 3"),
        ("unix:///tmp/x.sock", {}, "no cluster"),
        (cluster.url, {"reader_url": cluster.url}, "reader_url: a cluster's replicas"),
        (cluster.url, {"restarts": "clear"}, "durability='replicated'"),
        (cluster.url + "?cluster=perhaps", {}, "neither true nor false"),
    ]
    for url, options, text in wrong:
        for face in (blocking, awaiting):
            with pytest.raises(ConfigurationError, match=text):
                _read_once(face(url, "n", **options))


def _read_once(provider: Any) -> None:
    try:
        provider.read("k", [])
    finally:
        getattr(provider, "shut", provider.close)()


def test_a_cluster_is_no_single_server(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """Who forgets to say that it is one is told by the first key that lies elsewhere."""
    provider = RedisProvider.from_url(cluster.url, namespace=fresh_namespace)
    with pytest.raises(ProviderRejectedError, match=r"is a node of a cluster.*cluster=true in the URL"):
        provider.read("k", [ROOT])
    provider.close()


# --- many at once ---------------------------------------------------------------------------------------------


def test_a_crowd_of_threads_takes_turns_at_every_node(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """Pools are bounded by node, nobody waits for two nodes in opposite orders, everybody gets their own answers."""
    provider = blocking(cluster.url, fresh_namespace, max_connections=2, timeout=10.0)
    tags = [tag_id(str(number)) for number in range(12)]
    versions = provider.snapshot(tags, MINUTE, guard=False).versions

    def ask_for(number: int) -> bool:
        some = [tags[(number + step) % 12] for step in range(6)]
        expected = [versions[(number + step) % 12] for step in range(6)]
        return list(provider.read(f"k{number}", some).versions) == expected

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask_for, range(1_500)))
    for node in cluster.primaries:
        assert _ours(node) <= 3  # and one by way of which the topology was asked for
    provider.close()


def _ours(node: Any) -> int:
    listed: bytes = ask(node, "CLIENT", "LIST")
    return listed.count(b" name=staleproof ")


def test_a_crowd_of_tasks_takes_turns_too(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """The same under asyncio, also when some are cancelled in mid-reply; each event loop has its own connections."""

    async def crowd(provider: AsyncRedisProvider) -> None:
        tags = [tag_id(str(number)) for number in range(8)]
        versions = (await provider.snapshot(tags, MINUTE, guard=False)).versions
        tasks = [asyncio.create_task(provider.read("k", tags)) for _ in range(300)]
        await asyncio.sleep(0)
        for task in tasks[::7]:
            task.cancel()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(answer, asyncio.CancelledError):
                assert not isinstance(answer, BaseException)
                assert list(answer.versions) == list(versions)
        await provider.close()

    provider = AsyncRedisProvider.from_url(
        cluster.url, namespace=fresh_namespace, cluster=True, max_connections=3, timeout=10.0
    )
    for _ in range(3):
        asyncio.run(crowd(provider))


def test_a_fork_does_not_share_its_parents_sockets(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """Parent and child read at the same time and each gets its own answers."""
    provider = blocking(cluster.url, fresh_namespace)
    for name in ("parent", "child"):
        provider.put(name, name.encode() * 1_000, MINUTE)
    child = os.fork()
    name = "parent" if child else "child"
    right = all(provider.read(name, []).entry == name.encode() * 1_000 for _ in range(200))
    if not child:
        os._exit(0 if right else 1)
    assert right
    assert os.waitpid(child, 0)[1] == 0
    provider.close()


def test_closed_connections_are_replaced_unnoticed(
    cluster: ValkeyCluster, connect: Callable[..., Any]
) -> None:
    """At every node, for every step."""
    provider = connect(cluster.url)
    tags = [tag_id(str(number)) for number in range(12)]
    for _ in range(3):
        before = provider.snapshot(tags, MINUTE, guard=True).versions
        for node in cluster.primaries:
            node.ask("CLIENT", "KILL", "TYPE", "normal")
        assert list(provider.read("k", tags).versions) == list(before)
        for node in cluster.primaries:
            node.ask("CLIENT", "KILL", "TYPE", "normal")
        assert list(provider.snapshot(tags, MINUTE, guard=True).versions) == list(before)


# --- nodes that die ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_primary_is_unavailable_at_once_and_its_heir_is_found(
    mortal: ValkeyCluster, connect: Callable[..., Any]
) -> None:
    """The other nodes' keys are there all the time, and nobody waits longer than for a refused connection."""
    provider = connect(mortal.url, timeout=0.5)
    keys = Keyspace(provider.namespace)
    dying = mortal.primaries[1]
    where = {f"k{number}": mortal.owner(slot_of(keys.entry(f"k{number}"))) for number in range(30)}
    for key in where:
        provider.put(key, key.encode(), MINUTE)
    replicas = [mortal.replica_of(node) for node in mortal.primaries]
    for node in replicas:
        wait_until(lambda node=node: node.ask("DBSIZE"), "the replicas have the keys")  # type: ignore[misc]
    dying.kill()
    for key, node in where.items():
        began = time.monotonic()
        if node is dying:
            with pytest.raises(ProviderUnavailableError):
                provider.read(key, [])
        else:
            assert provider.read(key, []).entry == key.encode()
        assert time.monotonic() - began < 0.5
    mortal.promoted([dying])
    lost = [key for key in where if insist(lambda key=key: provider.read(key, [])).entry is None]  # type: ignore[misc]
    assert len(lost) <= 1  # the last one perhaps did not reach the replica
    dying.start()
    mortal.settled()
    assert provider.read("k0", []).entry == b"k0"
    assert provider.invalidate([invalidation("t", keys=("k0",))])


def test_a_hanging_node_costs_the_timeout_and_no_more(
    cluster: ValkeyCluster, connect: Callable[..., Any]
) -> None:
    """The call fails as unavailable, the answers of the other nodes to it are not mistaken for those to the next."""
    provider = connect(cluster.url, timeout=0.3)
    tags = [tag_id(str(number)) for number in range(12)]
    versions = provider.snapshot(tags, MINUTE, guard=False).versions
    cluster.primaries[2].signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(ProviderUnavailableError):
            provider.read("k", tags)
        assert time.monotonic() - began < 3
    finally:
        cluster.primaries[2].signal(signal.SIGCONT)
    assert list(insist(lambda: provider.read("k", tags)).versions) == list(versions)


@pytest.mark.slow
def test_the_endpoints_name_leads_back_when_all_known_nodes_are_gone(
    connect: Callable[..., Any],
) -> None:
    """A cluster that was replaced behind its name is found again, with nobody's help."""
    with Supervisor() as owner:
        old = ValkeyCluster(owner, "old", primaries=1).start()
        with Proxy(old.primaries[0].port) as name:
            provider = connect(name.url, timeout=0.5)
            provider.put("k", b"old", MINUTE)
            old.primaries[0].kill()
            with pytest.raises(ProviderUnavailableError):
                provider.read("k", [])
            new = ValkeyCluster(owner, "new", primaries=1).start()
            name.target = new.primaries[0].port
            assert insist(lambda: provider.read("k", [])).entry is None
            provider.put("k", b"new", MINUTE)
            assert provider.read("k", []).entry == b"new"


def test_an_endpoint_that_is_away_is_unavailable(connect: Callable[..., Any]) -> None:
    """It says so at once, naming it."""
    port = free_port()
    with pytest.raises(ProviderUnavailableError, match=f"{HOST}:{port} cannot be reached"):
        connect(f"redis://{HOST}:{port}/0").read("k", [])


def test_connections_to_nodes_that_left_are_closed(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """A node that serves nothing any more is not kept company."""
    provider: Any = blocking(cluster.url, fresh_namespace)
    provider.snapshot([tag_id(str(number)) for number in range(30)], MINUTE, guard=False)
    connections: ClusterConnections = provider.connections
    gone = ("node-that-left", 1)
    connections._nodes[gone] = connections._endpoint.beside(*gone)
    assert len(connections._nodes) == 4
    connections.renew()
    provider.read("k", [])
    provider.invalidate([])
    provider.journal_end()
    assert gone not in connections._nodes
    provider.close()


# --- slots that move under load --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("face", "how"), [("blocking", "by key"), ("awaiting", "by key"), ("blocking", "at once")]
)
def test_no_read_is_stale_while_slots_move(
    cluster: ValkeyCluster, fresh_namespace: str, face: str, how: str
) -> None:
    """Loads, reads, near reads and invalidations go on through a resharding that never rests, and P1 holds."""
    make = {"blocking": blocking, "awaiting": awaiting}[face]

    def cache(**options: Any) -> Any:
        provider = make(cluster.url, fresh_namespace, timeout=1.0)
        if face == "blocking":
            return Cache(provider, **options)
        from staleproof.testing import BlockingCache  # noqa: PLC0415

        return BlockingCache(AsyncCache(provider.behind, **options), provider.portal)

    keys = Keyspace(fresh_namespace)
    names = [keys.journal, keys.guard, keys.version(ROOT)]
    names += [keys.version(tag_id(f"row:{row}")) for row in range(0, ROWS, 3)]
    names += [keys.entry(f"row:{row}") for row in range(1, ROWS, 3)]
    slots = [slot_of(name) for name in names]
    at = iter(range(10**9))

    def move(rest: Callable[[float], object]) -> None:
        number = next(at)
        target = cluster.primaries[(number // len(slots) + number) % 3]
        if how == "by key":
            cluster.move(slots[number % len(slots)], target, meanwhile=lambda: rest(0.01))
        else:
            cluster.move_at_once(slots[number % len(slots)], target)

    policy = Policy(ttl="5m", lease="2s", patience="1s")
    load = RowLoad(
        lambda: cache(policy=policy, near=False),
        [
            (lambda: cache(policy=policy, near=False), 0.0),
            (lambda: cache(policy=policy.but(staleness=0)), 0.0),
            (lambda: cache(policy=policy.but(staleness=0.3)), 0.3),
        ],
    )
    mover = Mover(move)
    with load:
        load.until(min(SECONDS, 15))
    mover.stop()
    print(
        f"\nresharding {how}, {face}: {mover.moves} slots moved, {load.reads} reads, "
        f"{load.acknowledged} invalidations acknowledged, {load.refused} refused"
    )
    assert load.stale == []
    assert load.acknowledged > ROWS
    assert mover.moves > 20


# --- a tracked near cache --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_tracker_follows_the_journal_to_another_node(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """The former node pushes nothing any more, and confirms nothing either; from the new one copies go by push."""
    near = NearCache()
    bound = 0.6
    cache = Cache(
        blocking(cluster.url, fresh_namespace, timeout=0.5),
        policy=Policy(staleness=bound, fallback="error"),
        near=near,
    )
    other = Cache(blocking(cluster.url, fresh_namespace), near=False)
    tracker = Tracker(blocking(cluster.url, fresh_namespace, timeout=0.5), near, interval=bound / 6).start()
    wait_until(lambda: tracker.confirmations > 0, "it is in step")
    slot = slot_of(Keyspace(fresh_namespace).journal)
    targets = [node for node in cluster.primaries if node is not cluster.owner(slot)] * 2
    for row, target in enumerate(targets, 1):
        cluster.move(slot, target)
        other.invalidate("rows")
        acknowledged = time.monotonic()
        while time.monotonic() <= acknowledged + bound:
            cache.get_or_load("row", lambda row=row: row, tags=["rows"])  # type: ignore[misc]
        assert cache.get_or_load("row", lambda row=row: row, tags=["rows"]) == row  # type: ignore[misc]
        before, pushes = tracker.confirmations, tracker.pushes
        wait_until(lambda before=before: tracker.confirmations > before, "it is in step again")  # type: ignore[misc]
        cache.get_or_load("row", lambda row=row: row, tags=["rows"])  # type: ignore[misc]
        other.invalidate("rows")
        wait_until(lambda: "row" not in near.copies, "the copy went by push")
        assert tracker.pushes > pushes
    tracker.stop()
    cache.close()
    other.close()


def test_nothing_is_left_open(cluster: ValkeyCluster, fresh_namespace: str) -> None:
    """A closed provider has no connection to any node."""
    gc.collect()
    before = [_ours(node) for node in cluster.primaries]
    provider = blocking(cluster.url, fresh_namespace)
    provider.snapshot([tag_id(str(number)) for number in range(30)], MINUTE, guard=False)
    assert [_ours(node) for node in cluster.primaries] != before
    provider.close()
    wait_until(lambda: [_ours(node) for node in cluster.primaries] <= before, "all are closed")
    assert threading.active_count() < SLOTS
