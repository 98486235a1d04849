"""A primary that is killed under load: what was acknowledged holds if it was replicated, and what is lost otherwise.

The replica that is promoted has been cut off from its primary for a while before: otherwise, on one machine, it has
everything, and there would be nothing to show.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster, ValkeyPair, ask
from staleproof import AsyncCache, Cache, ConfigurationError, Policy, ProviderUnavailableError
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.redis.slots import slot_of
from staleproof.tags import tag_id
from staleproof.testing.blocking import BlockingCache, Portal
from staleproof.testing.examples import MINUTE, invalidation
from tests.integration.proxy import Proxy
from tests.integration.row_load import ROWS, RowLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.valkey import Valkey

pytestmark = pytest.mark.redis

SECONDS = float(os.environ.get("STALEPROOF_LOAD_SECONDS", "30"))
CUT = 0.4
"""Seconds for which the replica is cut off before its primary is killed."""

BOUND = 0.5


def cut_off(replica: Valkey) -> None:
    """Have *replica* lose its primary, and refuse to let it back."""
    ask(replica, "CONFIG", "SET", "masteruser", "nobody")
    ask(replica, "CONFIG", "SET", "masterauth", "wrong")
    ask(replica, "CLIENT", "KILL", "TYPE", "master")


def let_back(replica: Valkey) -> None:
    """Let *replica* follow its primary again."""
    ask(replica, "CONFIG", "SET", "masteruser", "")
    ask(replica, "CONFIG", "SET", "masterauth", "")


class Stand:
    """Servers that are about to lose a primary, and how caches over them are made.

    Args:
        namespace: of the caches.
        url: where they connect, `cluster=true` in it if that is a cluster.
        durability: of what they invalidate.
        face: `blocking` or `awaiting`.
    """

    def __init__(self, namespace: str, url: str, durability: Any, face: str) -> None:
        self.namespace, self.face = namespace, face
        self.url = f"{url}{'&' if '?' in url else '?'}durability={durability}"
        self._options: dict[str, Any] = {"namespace": namespace, "timeout": 0.5}

    def cache(self, **options: Any) -> Any:
        """Return a cache of a process of its own."""
        if self.face == "blocking":
            return Cache(RedisProvider.from_url(self.url, **self._options), **options)
        provider = AsyncRedisProvider.from_url(self.url, **self._options)
        return BlockingCache(AsyncCache(provider, **options), Portal())

    def load(self) -> RowLoad:
        """Return writers, plain readers, and readers with near caches that always ask, or ask within a bound."""
        policy = Policy(ttl="5m", lease="2s", patience="1s")
        strict, bounded = policy.but(staleness=0), policy.but(staleness=BOUND)
        return RowLoad(
            lambda: self.cache(policy=policy, near=False),
            [
                (lambda: self.cache(policy=policy, near=False), 0.0),
                (lambda: self.cache(policy=policy, near=False), 0.0),
                (lambda: self.cache(policy=strict), 0.0),
                (lambda: self.cache(policy=bounded), BOUND),
            ],
        )


def told(what: str, load: RowLoad, killed: float) -> None:
    """Print what happened: it is a figure of the documentation."""
    stale, rows = load.stale, {each.row for each in load.stale}
    when = f", {stale[0].at - killed:.1f} to {stale[-1].at - killed:.1f} s after the kill" if stale else ""
    print(
        f"\n{what}: {load.reads} reads, {load.acknowledged} invalidations acknowledged, "
        f"{load.refused} attempts refused; {len(stale)} stale reads of {len(rows)} of {ROWS} rows{when}"
    )


@pytest.fixture
def owner() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


# --- a cluster ------------------------------------------------------------------------------------------


def lose_a_primary_of(cluster: ValkeyCluster, stand: Stand, seconds: float) -> tuple[RowLoad, float]:
    """Run the load; kill the primary that has the journal, whose replica has been cut off for a while."""
    dying = cluster.owner(slot_of(Keyspace(stand.namespace).journal))
    heir = cluster.replica_of(dying)
    with stand.load() as load:
        load.until(seconds / 4)
        cut_off(heir)
        load.until(seconds / 4 + CUT)
        load.hold()
        dying.kill()
        killed = load.now
        cluster.promoted([dying])
        let_back(heir)
        load.until(load.now + 3)
        load.go_on()
        load.until(seconds)
    return load, killed


@pytest.mark.slow
@pytest.mark.parametrize("face", ["blocking", "awaiting"])
def test_a_cluster_that_loses_a_primary_forgets_nothing_that_was_replicated(
    owner: Supervisor, fresh_namespace: str, face: str
) -> None:
    """No read is staler than promised: not while the primary is away, and not after another took its place."""
    cluster = ValkeyCluster(owner, "durable", replicas=1).start()
    stand = Stand(fresh_namespace, f"{cluster.url}?cluster=true", "replicated", face)
    load, killed = lose_a_primary_of(cluster, stand, SECONDS)
    told(f"cluster, replicated, {face}", load, killed)
    assert load.stale == []
    assert load.refused > 0
    assert load.acknowledged > ROWS


@pytest.mark.slow
def test_a_cluster_that_loses_a_primary_forgets_what_it_alone_had(
    owner: Supervisor, fresh_namespace: str
) -> None:
    """What was acknowledged in the last moments may be lost: the exposure that the documentation tells."""
    cluster = ValkeyCluster(owner, "exposed", replicas=1).start()
    stand = Stand(fresh_namespace, f"{cluster.url}?cluster=true", "primary", "blocking")
    load, killed = lose_a_primary_of(cluster, stand, min(SECONDS, 12))
    told(f"cluster, primary only, replica {CUT} s behind", load, killed)
    assert load.stale
    assert min(each.at for each in load.stale) > killed


# --- a pair ----------------------------------------------------------------------------------------------


def lose_the_primary_of(pair: ValkeyPair, name: Proxy, stand: Stand, seconds: float) -> tuple[RowLoad, float]:
    """Run the load; kill the primary, promote the replica, which has been cut off for a while, and move the name."""
    dying, heir = pair.primary, pair.replicas[0]
    with stand.load() as load:
        load.until(seconds / 4)
        cut_off(heir)
        load.until(seconds / 4 + CUT)
        load.hold()
        dying.kill()
        killed = load.now
        let_back(heir)
        load.until(killed + 1)
        pair.follow(heir)
        name.target = heir.port
        dying.start()
        pair.follow(heir)
        load.until(load.now + 3)
        load.go_on()
        load.until(seconds)
    return load, killed


@pytest.fixture
def pair(owner: Supervisor) -> ValkeyPair:
    return ValkeyPair(owner, "pair").start()


@pytest.fixture
def name(pair: ValkeyPair) -> Iterator[Proxy]:
    with Proxy(pair.primary.port) as name:
        yield name


@pytest.mark.slow
@pytest.mark.parametrize("face", ["blocking", "awaiting"])
def test_a_pair_that_loses_its_primary_forgets_nothing_that_was_replicated(
    pair: ValkeyPair, name: Proxy, fresh_namespace: str, face: str
) -> None:
    """The same with one primary behind a name."""
    stand = Stand(fresh_namespace, name.url, "replicated", face)
    load, killed = lose_the_primary_of(pair, name, stand, SECONDS)
    told(f"pair, replicated, {face}", load, killed)
    assert load.stale == []
    assert load.refused > 0
    assert load.acknowledged > ROWS


@pytest.mark.slow
def test_a_pair_that_loses_its_primary_forgets_what_it_alone_had(
    pair: ValkeyPair, name: Proxy, fresh_namespace: str
) -> None:
    """The same exposure."""
    stand = Stand(fresh_namespace, name.url, "primary", "blocking")
    load, killed = lose_the_primary_of(pair, name, stand, min(SECONDS, 12))
    told(f"pair, primary only, replica {CUT} s behind", load, killed)
    assert load.stale
    assert min(each.at for each in load.stale) > killed


# --- the rules of waiting -----------------------------------------------------------------------------------


@pytest.fixture(params=["blocking", pytest.param("awaiting", marks=pytest.mark.slow)])
def cache(request: pytest.FixtureRequest, name: Proxy, fresh_namespace: str) -> Iterator[Any]:
    cache = Stand(fresh_namespace, name.url, "replicated", request.param).cache(near=False)
    yield cache
    cache.close()


def test_what_is_acknowledged_is_on_the_replica(cache: Any, pair: ValkeyPair) -> None:
    """When the call returns, the replica has no version of the tag any more, and the journal's record."""
    keys = Keyspace(cache.namespace)
    version, replica = keys.version(tag_id("t")), pair.replicas[0]
    for _ in range(20):
        cache.get_or_load("k", lambda: 1, tags=["t"])
        wait_until(lambda: ask(replica, "EXISTS", version), "the replica has the version")
        before = ask(replica, "XLEN", keys.journal)
        cache.invalidate("t")
        assert not ask(replica, "EXISTS", version)
        assert ask(replica, "XLEN", keys.journal) == before + 1


def test_without_a_replica_nothing_is_acknowledged(cache: Any, pair: ValkeyPair) -> None:
    """It is applied, and said to be unavailable, at once; with the replica back it is acknowledged."""
    cache.invalidate("t")
    cut_off(pair.replicas[0])
    began = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"not acknowledged, for no replica is online; retry"):
        cache.invalidate("t")
    assert time.monotonic() - began < 2
    let_back(pair.replicas[0])
    pair.follow(pair.primary)
    cache.invalidate("t")


@pytest.mark.slow
def test_a_second_attempt_waits_for_what_the_first_one_did(owner: Supervisor, fresh_namespace: str) -> None:
    """That there is nothing left to remove is no reason to acknowledge: the replica may not have seen it go."""
    cluster = ValkeyCluster(owner, "again", replicas=1).start()
    provider: Any = RedisProvider.from_url(
        cluster.url, namespace=fresh_namespace, cluster=True, durability="replicated", timeout=0.5
    )
    keys = Keyspace(fresh_namespace)
    others = [
        cluster.owner(slot_of(name)) for name in (keys.guard, keys.journal)
    ]  # they are always written to
    tag = next(
        tag
        for tag in map(str, itertools.count())
        if cluster.owner(slot_of(keys.version(tag_id(tag)))) not in others
    )
    version = keys.version(tag_id(tag))
    primary = cluster.owner(slot_of(version))
    replica = cluster.replica_of(primary)
    provider.snapshot([tag_id(tag)], MINUTE, guard=False)
    wait_until(lambda: _has(replica, version), "the replica has the version")
    replica.signal(signal.SIGSTOP)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError, match="0 of 1 replicas have it"):
            provider.invalidate([invalidation(tag)])
        assert not primary.ask("EXISTS", version)
        provider.close()  # a new connection has written nothing yet
    replica.signal(signal.SIGCONT)
    _acknowledge(lambda: provider.invalidate([invalidation(tag)]))
    assert not _has(replica, version)
    provider.close()


def _has(replica: Any, name: bytes) -> bool:
    return b"%b" % name in replica.ask("CLUSTER", "GETKEYSINSLOT", slot_of(name), 10)


def _acknowledge(invalidate: Callable[[], Any]) -> None:
    def done() -> bool:
        try:
            invalidate()
        except ProviderUnavailableError:
            return False
        return True

    wait_until(done, "it is acknowledged")


@pytest.mark.slow
def test_every_replica_that_is_online_is_waited_for(owner: Supervisor, fresh_namespace: str) -> None:
    """How many there are is the server's to say: with three, three have it."""
    trio = ValkeyPair(owner, "trio", replicas=3).start()
    provider = RedisProvider.from_url(trio.primary.url, namespace=fresh_namespace, durability="replicated")
    for number in range(10):
        provider.invalidate([invalidation(f"t{number}")])
        lengths = [ask(node, "XLEN", provider.keys.journal) for node in trio.replicas]
        assert lengths == [number + 1] * 3
    provider.close()


def test_another_durability_is_refused(valkey_url: str) -> None:
    """There are two."""
    with pytest.raises(ConfigurationError, match="neither 'primary' nor 'replicated'"):
        RedisProvider.from_url(valkey_url, namespace="n", durability="disk")  # type: ignore[arg-type]
    for cluster in ("false", "true"):
        with pytest.raises(ConfigurationError, match="neither 'primary' nor 'replicated'"):
            RedisProvider.from_url(f"{valkey_url}?cluster={cluster}&durability=disk", namespace="n")
