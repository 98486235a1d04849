"""Servers that refuse long commands, and a cluster that is one node to its clients, as ElastiCache Serverless is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster
from staleproof.keys import Keyspace
from staleproof.providers.redis import AsyncRedisProvider, ClusterConnections, RedisProvider
from staleproof.providers.redis.cluster_rotation import parcel
from staleproof.providers.redis.parcels import Waves
from staleproof.tags import tag_id
from staleproof.testing import Blocking, FollowerContract, ProviderContract
from staleproof.testing.examples import MINUTE, invalidation
from tests.integration.fussy_server import MOST_ARGUMENTS, FussyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.valkey import Valkey

pytestmark = pytest.mark.redis

PURGE = 10_000


@pytest.fixture(scope="module")
def serverless() -> Iterator[FussyServer]:
    """A cluster whose only node says that clients find it behind the server that refuses."""
    with Supervisor() as owner, FussyServer() as fussy:
        cluster = ValkeyCluster(owner, "serverless", primaries=1).start()
        fussy.target = cluster.primaries[0].port
        cluster.primaries[0].ask("CONFIG", "SET", "cluster-announce-port", fussy.port)
        yield fussy


@pytest.fixture
def single(valkey: Valkey) -> Iterator[FussyServer]:
    """The session's server behind one that refuses."""
    with FussyServer(valkey.port) as fussy:
        yield fussy


@pytest.fixture(params=["single", pytest.param("serverless", marks=pytest.mark.slow)])
def fussy(request: pytest.FixtureRequest) -> FussyServer:
    server: FussyServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=["blocking", pytest.param("awaiting", marks=pytest.mark.slow)])
def provider(request: pytest.FixtureRequest, fussy: FussyServer, fresh_namespace: str) -> Iterator[Any]:
    clustered = "serverless" in request.fixturenames or "serverless" in request.node.name
    options: Any = {"namespace": fresh_namespace, "cluster": clustered, "timeout": 10.0}
    if request.param == "blocking":
        provider: Any = RedisProvider.from_url(fussy.url, **options)
    else:
        provider = Blocking(AsyncRedisProvider.from_url(fussy.url, **options))
    yield provider
    getattr(provider, "shut", provider.close)()


def test_a_purge_of_ten_thousand_tags_and_keys(provider: Any, fussy: FussyServer) -> None:
    """Versions, keys, leases, row fences and guards of all are named in commands that are short enough."""
    names = tuple(f"t{number}" for number in range(PURGE))
    ids = [tag_id(name) for name in names]
    before = provider.snapshot(ids, MINUTE, guard=True)
    for name in (names[0], names[-1]):
        provider.put(name, b"1", MINUTE)
    places = provider.invalidate([invalidation(*names, keys=names, row_version=7, lag_ms=MINUTE)])
    assert len(places) > 1
    after = provider.snapshot(ids, MINUTE, guard=True)
    assert not set(before.versions) & set(after.versions)
    assert set(after.min_versions) == {7}
    assert [provider.read(name, []).entry for name in (names[0], names[-1])] == [None, None]
    assert fussy.refused == []
    assert fussy.longest <= MOST_ARGUMENTS


def test_a_soft_purge_too(provider: Any, fussy: FussyServer) -> None:
    """What keeps the old versions names each tag by itself."""
    names = tuple(f"t{number}" for number in range(PURGE // 4))
    provider.invalidate([invalidation(*names, keys=names, soft=True)])
    assert fussy.refused == []


class OnServerless:
    """The whole contract on a cluster of that shape."""

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep

    @pytest.fixture
    def evict(self, serverless: FussyServer) -> Iterator[Callable[[bytes], None]]:
        connections = ClusterConnections(serverless.url)

        def evict(name: bytes) -> None:
            connections.exchange(Waves([[parcel(("DEL", name))]]))

        yield evict
        connections.close()

    @pytest.fixture(autouse=True)
    def nothing_refused(self, serverless: FussyServer) -> Iterator[None]:
        yield
        assert serverless.refused == []


@pytest.mark.slow
class TestServerless(OnServerless, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, serverless: FussyServer, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider.from_url(
            serverless.url, namespace=fresh_namespace, cluster=True, timeout=10.0
        )
        yield provider
        provider.close()


@pytest.mark.slow
class TestAsyncServerless(OnServerless, ProviderContract):
    @pytest.fixture
    def provider(self, serverless: FussyServer, fresh_namespace: str) -> Iterator[Any]:
        provider = Blocking(
            AsyncRedisProvider.from_url(serverless.url, namespace=fresh_namespace, cluster=True, timeout=10.0)
        )
        yield provider
        provider.shut()


@pytest.mark.slow
def test_a_link_may_be_handed_very_much(serverless: FussyServer, fresh_namespace: str) -> None:
    """What was pushed is noted in commands that are short enough."""
    provider: Any = RedisProvider.from_url(
        serverless.url, namespace=fresh_namespace, cluster=True, timeout=10.0
    )
    places = [f"{number}-0#event" for number in range(PURGE)]
    provider.pushed("peer", places)
    (count,) = provider.connections.exchange(
        Waves([[parcel(("ZCARD", Keyspace(fresh_namespace).pushed("peer")))]])
    )
    assert count == PURGE
    assert serverless.refused == []
    provider.close()
