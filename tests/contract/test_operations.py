"""Operations: every provider that can run them, both faces, one contract; on the oldest server and a cluster too."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.supervisor import Supervisor
from local.valkey_cluster import ValkeyCluster
from staleproof.clock import ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.redis.slots import slot_of
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import Blocking, OperationsContract
from staleproof.testing.operations_contract import NAMES
from tests.contract.cluster_world import Mover
from tests.integration.debian_redis import DebianRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OnMemory:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def elapse(self, clock: ManualClock) -> Callable[[float], None]:
        return clock.advance


class TestMemory(OnMemory, OperationsContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> MemoryProvider:
        return MemoryProvider("contract", clock=clock)


class TestAsyncTiered(OnMemory, OperationsContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        remote = AsyncMemoryProvider("contract", clock=clock)
        blocking = Blocking(AsyncTieredProvider(remote, clock=clock))
        yield blocking
        blocking.shut()


@pytest.mark.redis
class OnServer:
    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep  # the server's own clock must move


class TestTieredRedis(OnServer, OperationsContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        provider = TieredProvider(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield provider
        provider.close()


class TestAsyncRedis(OnServer, OperationsContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield blocking
        blocking.shut()


@pytest.fixture(scope="module")
def oldest() -> Iterator[DebianRedis]:
    """Redis 7.0."""
    with Supervisor() as owner:
        server = DebianRedis(owner, "operations-7.0")
        server.start()
        yield server
        server.close()


class TestOldestRedis(OnServer, OperationsContract):
    @pytest.fixture
    def provider(self, oldest: DebianRedis, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider.from_url(oldest.url(), namespace=fresh_namespace)
        yield provider
        provider.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries."""
    with Supervisor() as owner:
        yield ValkeyCluster(owner, "operations").start()


class TestCluster(OnServer, OperationsContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider.from_url(cluster.url, namespace=fresh_namespace, cluster=True, timeout=5.0)
        yield provider
        provider.close()


class TestAsyncCluster(OnServer, OperationsContract):
    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        url = f"{cluster.url}?cluster=true"
        blocking = Blocking(AsyncRedisProvider.from_url(url, namespace=fresh_namespace, timeout=5.0))
        yield blocking
        blocking.shut()


@pytest.mark.slow
class TestClusterWhileSlotsMove(OnServer, OperationsContract):
    """The slots of what the contract touches go from primary to primary, with rests in mid-move."""

    finest = 0.1

    @pytest.fixture
    def provider(self, cluster: ValkeyCluster, fresh_namespace: str) -> Iterator[Any]:
        provider = RedisProvider.from_url(cluster.url, namespace=fresh_namespace, cluster=True, timeout=10.0)
        slots = itertools.cycle({slot_of(provider.keys.operated(name, "any")) for name in ("n", "m", *NAMES)})
        targets = itertools.cycle(cluster.primaries)

        def move(rest: Callable[[float], object]) -> None:
            cluster.move(next(slots), next(targets), meanwhile=lambda: rest(0.004))

        mover = Mover(move)
        yield provider
        mover.stop()
        provider.close()
