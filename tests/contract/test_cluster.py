"""The contract of providers, both faces: on clusters, also while slots move; on a pair whose nodes change places."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster, ValkeyPair
from staleproof.providers.redis import AsyncRedisProvider, ClusterConnections, RedisProvider
from staleproof.providers.redis.async_connections import AsyncConnections
from staleproof.providers.redis.cluster_rotation import parcel
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.parcels import Waves
from staleproof.testing import Blocking, FollowerContract, ProviderContract
from tests.contract.cluster_world import Mover, Persistent, promote, reshape
from tests.integration.debian_redis import BINARY, Certificates, DebianRedis
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.ports import Provider

pytestmark = pytest.mark.redis


ENGINES = [pytest.param(None, id="valkey-9"), pytest.param(BINARY, id="redis-7.0", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=ENGINES)
def cluster(request: pytest.FixtureRequest) -> Iterator[ValkeyCluster]:
    """Three primaries, of the newest engine and of the oldest."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "contract", binary=request.param).start()


def blocking(url: str, namespace: str) -> Iterator[Any]:
    provider = RedisProvider.from_url(url, namespace=namespace, cluster=True, timeout=5.0)
    yield provider
    provider.close()


def awaiting(url: str, namespace: str) -> Iterator[Any]:
    provider = Blocking(AsyncRedisProvider.from_url(f"{url}?cluster=true", namespace=namespace, timeout=5.0))
    yield provider
    provider.shut()


class OnCluster:
    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep

    @pytest.fixture
    def evict(self, cluster: ValkeyCluster) -> Iterator[Callable[[bytes], None]]:
        connections = ClusterConnections(cluster.url, timeout=5.0)

        def evict(name: bytes) -> None:
            connections.exchange(Waves([[parcel(("DEL", name))]]))

        yield evict
        connections.close()


class TestCluster(OnCluster, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        yield from blocking(cluster.url, fresh_namespace)


class TestAsyncCluster(OnCluster, ProviderContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        yield from awaiting(cluster.url, fresh_namespace)


class WhileSlotsMove(OnCluster):
    finest = 0.1

    @pytest.fixture(autouse=True)
    def moving(self, cluster: ValkeyCluster, fresh_namespace: str, provider: Any) -> Iterator[None]:
        """Slots are on their way before, while and after a law is tried."""
        mover = reshape(cluster, fresh_namespace)
        yield
        mover.stop()


@pytest.mark.slow
class TestClusterWhileSlotsMove(WhileSlotsMove, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        yield from blocking(cluster.url, fresh_namespace)


@pytest.mark.slow
class TestAsyncClusterWhileSlotsMove(WhileSlotsMove, ProviderContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        yield from awaiting(cluster.url, fresh_namespace)


# --- a pair, and the oldest engine ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair() -> Iterator[ValkeyPair]:
    """A primary and its replica."""
    with Supervisor() as owner:
        yield ValkeyPair(owner, "contract-pair").start()


class WhileNodesChangePlaces:
    """The name that clients know is pointed at each new primary; every call is repeated while it is unavailable."""

    finest = 0.6
    mover: Mover

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep

    @pytest.fixture
    def name(self, pair: ValkeyPair) -> Iterator[Proxy]:
        """Where clients connect."""
        with Proxy(pair.primary.port) as name:
            yield name

    @pytest.fixture(autouse=True)
    def moving(self, pair: ValkeyPair, name: Proxy, provider: Any) -> Iterator[None]:
        self.mover = promote(pair, name)
        yield
        self.mover.stop()

    def test_a_scan_finds_every_key_of_its_namespace(self, provider: Provider) -> None:
        """A cursor is its server's: what changes places in mid-scan is scanned anew; here nobody moves meanwhile."""
        self.mover.stop()
        ProviderContract.test_a_scan_finds_every_key_of_its_namespace(self, provider)  # type: ignore[arg-type]

    @pytest.fixture
    def evict(self, name: Proxy) -> Iterator[Callable[[bytes], None]]:
        connections = Connections(name.url, timeout=5.0)

        def deleted(key: bytes) -> bool:
            connections.renew()
            (reply,) = connections.exchange(commands([("DEL", key)]))
            return isinstance(reply, int)

        def evict(key: bytes) -> None:
            wait_until(lambda: deleted(key), "the primary has deleted it")

        yield evict
        connections.close()


@pytest.mark.slow
class TestPairWhileNodesChangePlaces(WhileNodesChangePlaces, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, name: Proxy, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider(Connections(name.url, timeout=5.0), fresh_namespace, watch=0)
        yield Persistent(provider)
        provider.close()


@pytest.mark.slow
class TestAsyncPairWhileNodesChangePlaces(WhileNodesChangePlaces, ProviderContract):
    @pytest.fixture
    def provider(self, name: Proxy, fresh_namespace: str) -> Iterator[Any]:
        provider = Blocking(
            AsyncRedisProvider(AsyncConnections(name.url, timeout=5.0), fresh_namespace, watch=0)
        )
        yield Persistent(provider)
        provider.shut()


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    """Redis 7.0 over TLS."""
    with Supervisor() as owner:
        server = DebianRedis(owner, "contract-redis", Certificates(tmp_path_factory.mktemp("tls")))
        server.start()
        yield server
        server.close()


class OnRedisOverTls:
    """A user may touch our keys and no others."""

    @pytest.fixture
    def url(self, debian: DebianRedis, fresh_namespace: str) -> str:
        """Where the user connects."""
        debian.set_user(
            "app", "on", ">secret", f"~sp:{fresh_namespace}:*", "resetchannels", "+@all", "-@dangerous"
        )
        return debian.url("app:secret")

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep

    @pytest.fixture
    def evict(self, debian: DebianRedis) -> Callable[[bytes], None]:
        return debian.admin.delete  # type: ignore[no-any-return]


@pytest.mark.slow
class TestRedisOverTls(OnRedisOverTls, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, url: str, fresh_namespace: str) -> Iterator[RedisProvider]:
        provider = RedisProvider.from_url(url, namespace=fresh_namespace)
        yield provider
        provider.close()


@pytest.mark.slow
class TestAsyncRedisOverTls(OnRedisOverTls, ProviderContract):
    @pytest.fixture
    def provider(self, url: str, fresh_namespace: str) -> Iterator[Any]:
        provider = Blocking(AsyncRedisProvider.from_url(url, namespace=fresh_namespace))
        yield provider
        provider.shut()
