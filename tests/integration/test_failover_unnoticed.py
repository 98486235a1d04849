"""What no error tells: a primary that was demoted and goes on answering, a connection that is dead unawares."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.loopback import free_port
from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyPair, ask
from staleproof import (
    AsyncCache,
    Cache,
    ConfigurationError,
    Policy,
    ProviderUnavailableError,
    bounded,
)
from staleproof.providers.redis import AsyncRedisProvider, Connections, RedisProvider, proof
from staleproof.providers.redis.async_connections import AsyncConnections
from staleproof.providers.redis.exchange import commands
from staleproof.testing import Blocking, BlockingCache
from staleproof.testing.blocking import Portal
from staleproof.testing.examples import MINUTE, invalidation
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

FACES = pytest.mark.parametrize("face", ["blocking", pytest.param("awaiting", marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def nodes() -> Iterator[ValkeyPair]:
    with Supervisor() as owner:
        yield ValkeyPair(owner, "unnoticed").start()


@pytest.fixture
def pair(nodes: ValkeyPair) -> ValkeyPair:
    """A primary with a replica in step."""
    nodes.follow(nodes.nodes[0])
    return nodes


@pytest.fixture
def name(pair: ValkeyPair) -> Iterator[Proxy]:
    with Proxy(pair.primary.port) as name:
        yield name


@pytest.fixture
def connect(fresh_namespace: str) -> Iterator[Callable[..., Any]]:
    opened: list[Any] = []

    def connect(url: str, face: str = "blocking", **options: Any) -> Any:
        if face == "blocking":
            opened.append(RedisProvider(Connections(url), fresh_namespace, **options))
        else:
            opened.append(Blocking(AsyncRedisProvider(AsyncConnections(url), fresh_namespace, **options)))
        return opened[-1]

    yield connect
    for provider in opened:
        getattr(provider, "shut", provider.close)()


def demote(pair: ValkeyPair, name: Proxy) -> None:
    """Promote the replica, point the name at it, and leave the former primary a replica of nobody, with what it has."""
    former, heir = pair.primary, pair.replicas[0]
    ask(former, "WAIT", 1, 5_000)
    ask(heir, "REPLICAOF", "NO", "ONE")
    ask(former, "REPLICAOF", "127.0.0.1", free_port())
    name.target = heir.port


@FACES
def test_who_only_reads_leaves_a_demoted_primary(
    pair: ValkeyPair, name: Proxy, connect: Callable[..., Any], face: str
) -> None:
    """Its connection still works and it still answers; within the time of a watch nobody is served by it any more."""
    watch = 0.2
    reader = connect(name.url, face, watch=watch)
    reader.put("k", b"old", MINUTE)
    demote(pair, name)
    writer = connect(name.url)
    writer.invalidate([invalidation(keys=("k",))])
    acknowledged = time.monotonic()
    while time.monotonic() < acknowledged + watch:
        reader.read("k", [])
    assert reader.read("k", []).entry is None


@FACES
def test_a_watch_of_nothing_asks_each_time(
    pair: ValkeyPair, name: Proxy, connect: Callable[..., Any], face: str
) -> None:
    """Then not one read is served by a demoted primary."""
    reader = connect(name.url, face, watch=0)
    reader.put("k", b"old", MINUTE)
    demote(pair, name)
    connect(name.url).put("k", b"new", MINUTE)
    assert reader.read("k", []).entry == b"new"


@pytest.mark.slow
def test_a_name_that_leads_to_a_replica_is_unavailable(pair: ValkeyPair, connect: Callable[..., Any]) -> None:
    """Until it leads elsewhere; what is stored there was perhaps invalidated long ago."""
    connect(pair.primary.url).put("k", b"1", MINUTE)
    ask(pair.primary, "WAIT", 1, 5_000)
    with Proxy(pair.replicas[0].port) as name:
        for face in ("blocking", "awaiting"):
            provider = connect(name.url, face)
            with pytest.raises(
                ProviderUnavailableError, match="leads to a replica, and a primary is wanted; retry"
            ):
                provider.read("k", [])
            name.target = pair.primary.port
            assert provider.read("k", []).entry == b"1"
            name.target = pair.replicas[0].port


def test_a_reader_may_lead_to_replicas(pair: ValkeyPair, connect: Callable[..., Any]) -> None:
    """That is what it is for; and who never wants to be asked is not."""
    connect(pair.primary.url).put("k", b"1", MINUTE)
    ask(pair.primary, "WAIT", 1, 5_000)
    reader = connect(pair.replicas[0].url)
    provider = connect(pair.primary.url, reader=reader)
    assert provider.reader.read("k", []).entry == b"1"
    assert connect(pair.replicas[0].url, watch=math.inf).read("k", []).entry == b"1"


@FACES
def test_of_several_readers_one_that_is_there_answers(
    pair: ValkeyPair, fresh_namespace: str, face: str
) -> None:
    """Replicas are asked for what policies with `reader` read; one that is away costs nobody an answer."""
    places = [f"redis://127.0.0.1:{free_port()}/0", pair.replicas[0].url]
    policy = Policy(consistency=bounded(30, reader=True), fallback="error")
    if face == "blocking":
        cache: Any = Cache(
            RedisProvider.from_url(pair.primary.url, namespace=fresh_namespace, reader_url=places),
            policy=policy,
        )
    else:
        provider = AsyncRedisProvider.from_url(pair.primary.url, namespace=fresh_namespace, reader_url=places)
        cache = BlockingCache(AsyncCache(provider, policy=policy), Portal())
    assert cache.get_or_load("k", lambda: 1) == 1
    ask(pair.primary, "WAIT", 1, 5_000)
    before = _reads(pair.replicas[0])
    for _ in range(5):
        cache.core.near.discard("k")
        assert cache.get_or_load("k", lambda: 2) == 1
    assert _reads(pair.replicas[0]) == before + 5
    cache.close()


def _reads(node: Any) -> int:
    found = ask(node, "INFO", "commandstats")
    return int(found.get("cmdstat_mget", {"calls": 0})["calls"])


@FACES
def test_what_was_silent_for_long_is_opened_anew(
    pair: ValkeyPair, connect: Callable[..., Any], face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection in use stays; one that lay idle is not trusted, for nobody says when a balancer has forgotten it."""
    clock = [1_000_000.0]
    monkeypatch.setattr("staleproof.providers.redis.wire.time", lambda: clock[0])
    monkeypatch.setattr("staleproof.providers.redis.async_connections.time", lambda: clock[0])
    provider = connect(pair.primary.url, face)

    def connection() -> int:
        if face == "blocking":
            (reply,) = provider.connections.exchange(commands([("CLIENT", "ID")]))
        else:
            (reply,) = provider.portal.call(
                provider.behind.connections.exchange, commands([("CLIENT", "ID")])
            )
        return int(reply)

    first = connection()
    for _ in range(5):
        clock[0] += proof.IDLE_SECONDS - 1
        assert connection() == first
    clock[0] += proof.IDLE_SECONDS + 2
    second = connection()
    assert second != first
    clock[0] -= 10  # the clock was set back
    assert connection() != second


@pytest.mark.parametrize("watch", [-1, math.nan, "1s"])
def test_an_impossible_watch_is_refused(valkey_url: str, watch: Any) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match="watch="):
        RedisProvider(Connections(valkey_url), "n", watch=watch)


def test_the_answer_of_a_server_without_roles_is_believed() -> None:
    """One that refuses the question, or does not tell, is no replica."""
    for reply in (Exception("ERR unknown command"), [], [b"server", b"x"], None):
        proof.must_be_primary(reply)
    for role in (b"slave", b"replica"):
        with pytest.raises(proof.DemotedError):
            proof.must_be_primary([b"role", role])
