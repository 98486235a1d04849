"""Every provider, both faces, one contract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof.clock import ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.stores import EVICTIONS
from staleproof.testing import Blocking, FollowerContract, ProviderContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OnMemory:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def elapse(self, clock: ManualClock) -> Callable[[float], None]:
        return clock.advance


class TestMemory(OnMemory, ProviderContract, FollowerContract):
    @pytest.fixture(params=EVICTIONS)
    def provider(self, clock: ManualClock, request: pytest.FixtureRequest) -> MemoryProvider:
        return MemoryProvider("contract", eviction=request.param, clock=clock)

    @pytest.fixture
    def evict(self, provider: MemoryProvider) -> Callable[[bytes], None]:
        return provider.drop


class TestAsyncMemory(OnMemory, ProviderContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        blocking = Blocking(AsyncMemoryProvider("contract", clock=clock))
        yield blocking
        blocking.shut()

    @pytest.fixture
    def evict(self, provider: Any) -> Callable[[bytes], None]:
        drop: Callable[[bytes], None] = provider.inner.drop
        return drop


class TestTiered(OnMemory, ProviderContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> TieredProvider:
        return TieredProvider(MemoryProvider("contract", clock=clock), clock=clock)

    @pytest.fixture
    def evict(self, provider: Any) -> Callable[[bytes], None]:
        drop: Callable[[bytes], None] = provider.remote.drop
        return drop


class TestAsyncTiered(OnMemory, ProviderContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        remote = AsyncMemoryProvider("contract", clock=clock)
        blocking = Blocking(AsyncTieredProvider(remote, clock=clock))
        yield blocking
        blocking.shut()

    @pytest.fixture
    def evict(self, provider: Any) -> Callable[[bytes], None]:
        drop: Callable[[bytes], None] = provider.remote.inner.drop
        return drop


@pytest.mark.redis
class OnRedis:
    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep  # the server's own clock must move

    @pytest.fixture
    def evict(self, valkey_url: str) -> Iterator[Callable[[bytes], None]]:
        with redis.Redis.from_url(valkey_url) as client:

            def evict(name: bytes) -> None:
                client.delete(name)

            yield evict


class TestRedis(OnRedis, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[RedisProvider]:
        provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
        yield provider
        provider.close()


class TestAsyncRedis(OnRedis, ProviderContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield blocking
        blocking.shut()


class TestTieredRedis(OnRedis, ProviderContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[TieredProvider]:
        provider = TieredProvider(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield provider
        provider.close()


class TestAsyncTieredRedis(OnRedis, ProviderContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        remote = AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace)
        blocking = Blocking(AsyncTieredProvider(remote))
        yield blocking
        blocking.shut()
