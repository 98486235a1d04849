"""Data structures, both faces: in memory, on one server, on a cluster, on the oldest engine over TLS; one contract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster
from staleproof.clock import SYSTEM_CLOCK, Clock, ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import AsyncRedisProvider, ClusterConnections, RedisProvider
from staleproof.providers.redis.cluster_rotation import parcel
from staleproof.providers.redis.parcels import Waves
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import Blocking, StructuresContract
from tests.integration.debian_redis import Certificates, DebianRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OnMemory:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def elapse(self, clock: ManualClock) -> Callable[[float], None]:
        return clock.advance


class TestMemory(OnMemory, StructuresContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> MemoryProvider:
        return MemoryProvider("contract", clock=clock)

    @pytest.fixture
    def evict(self, provider: MemoryProvider) -> Callable[[bytes], None]:
        return provider.drop


class TestAsyncTieredMemory(OnMemory, StructuresContract):
    """Both asyncio providers at once: what is tiered passes structures on."""

    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        remote = AsyncMemoryProvider("contract", clock=clock)
        blocking = Blocking(AsyncTieredProvider(remote, clock=clock))
        yield blocking
        blocking.shut()

    @pytest.fixture
    def evict(self, provider: Any) -> Callable[[bytes], None]:
        drop: Callable[[bytes], None] = provider.behind.remote.inner.drop
        return drop


@pytest.mark.redis
class OnRedis:
    finest = 0.05

    @pytest.fixture
    def clock(self) -> Clock:
        return SYSTEM_CLOCK

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep  # the server's own clock must move

    @pytest.fixture
    def evict(self, valkey_url: str) -> Iterator[Callable[[bytes], None]]:
        with redis.Redis.from_url(valkey_url) as client:

            def evict(name: bytes) -> None:
                client.delete(name)

            yield evict


class TestTieredRedis(OnRedis, StructuresContract):
    """A blocking tiered provider over a blocking one: what is tiered passes structures on."""

    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[TieredProvider]:
        provider = TieredProvider(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield provider
        provider.close()


class TestAsyncRedis(OnRedis, StructuresContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield blocking
        blocking.shut()


# --- a cluster, and the oldest engine -------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "structures").start()


class OnCluster(OnRedis):
    @pytest.fixture
    def evict(self, cluster: ValkeyCluster) -> Iterator[Callable[[bytes], None]]:
        connections = ClusterConnections(cluster.url, timeout=5.0)

        def evict(name: bytes) -> None:
            connections.exchange(Waves([[parcel(("DEL", name))]]))

        yield evict
        connections.close()


@pytest.mark.slow
class TestCluster(OnCluster, StructuresContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider.from_url(cluster.url, namespace=fresh_namespace, cluster=True, timeout=5.0)
        yield provider
        provider.close()


@pytest.mark.slow
class TestAsyncCluster(OnCluster, StructuresContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        url = f"{cluster.url}?cluster=true"
        provider = Blocking(AsyncRedisProvider.from_url(url, namespace=fresh_namespace, timeout=5.0))
        yield provider
        provider.shut()


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    """Redis 7.0 over TLS."""
    with Supervisor() as owner:
        server = DebianRedis(owner, "structures-redis", Certificates(tmp_path_factory.mktemp("tls")))
        server.start()
        yield server
        server.close()


@pytest.mark.slow
class TestRedisOverTls(OnRedis, StructuresContract):
    """A user may touch our keys and no others."""

    @pytest.fixture
    def provider(self, debian: DebianRedis, fresh_namespace: str) -> Iterator[RedisProvider]:
        debian.set_user(
            "app", "on", ">secret", f"~sp:{fresh_namespace}:*", "resetchannels", "+@all", "-@dangerous"
        )
        provider = RedisProvider.from_url(debian.url("app:secret"), namespace=fresh_namespace)
        yield provider
        provider.close()

    @pytest.fixture
    def evict(self, debian: DebianRedis) -> Callable[[bytes], None]:
        return debian.admin.delete  # type: ignore[no-any-return]
