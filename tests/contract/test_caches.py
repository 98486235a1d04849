"""Every provider, both faces, plain and near: one contract of a whole cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from staleproof.clock import SYSTEM_CLOCK, Clock, ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import Blocking, CacheContract
from staleproof.testing.abilities import Able
from staleproof.testing.cache_case import BOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from staleproof.testing.abilities import Ability


def fast(*wanted: str) -> Any:
    """The bounds of near copies, those that are not *wanted* in every run marked slow."""
    bounds = {"plain": None, "checked": 0.0, "bounded": BOUND}
    params = [
        pytest.param(bound, id=name, marks=() if name in wanted else pytest.mark.slow)
        for name, bound in bounds.items()
    ]

    @pytest.fixture(params=params)
    def staleness(_: object, request: pytest.FixtureRequest) -> float | None:
        bound: float | None = request.param
        return bound

    return staleness


class OnMemory:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def elapse(self, clock: ManualClock) -> Callable[[float], None]:
        return clock.advance


class TestMemory(OnMemory, CacheContract):
    @pytest.fixture
    def provider(self, clock: ManualClock) -> MemoryProvider:
        return MemoryProvider("contract", clock=clock)


class TestAsyncMemory(OnMemory, CacheContract):
    staleness = fast("bounded")

    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        blocking = Blocking(AsyncMemoryProvider("contract", clock=clock))
        yield blocking
        blocking.shut()


class Tiered(Able):
    """A tier keeps what nobody reads for as long as its `life` says, whatever the policy's `idle`."""

    lacks: ClassVar[Collection[Ability]] = frozenset({"idle"})


class TestTieredMemory(Tiered, OnMemory, CacheContract):
    staleness = fast("checked")

    @pytest.fixture
    def provider(self, clock: ManualClock) -> TieredProvider:
        return TieredProvider(MemoryProvider("contract", clock=clock), clock=clock)


class TestAsyncTieredMemory(Tiered, OnMemory, CacheContract):
    staleness = fast()

    @pytest.fixture
    def provider(self, clock: ManualClock) -> Iterator[Any]:
        remote = AsyncMemoryProvider("contract", clock=clock)
        blocking = Blocking(AsyncTieredProvider(remote, clock=clock))
        yield blocking
        blocking.shut()


@pytest.mark.redis
class OnRedis:
    @pytest.fixture
    def clock(self) -> Clock:
        return SYSTEM_CLOCK

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep  # the server's own clock must move


class TestRedis(OnRedis, CacheContract):
    staleness = fast("checked")

    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[RedisProvider]:
        provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)
        yield provider
        provider.close()


class TestAsyncRedis(OnRedis, CacheContract):
    staleness = fast("plain")

    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield blocking
        blocking.shut()


@pytest.mark.slow
class TestTieredRedis(Tiered, OnRedis, CacheContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[TieredProvider]:
        provider = TieredProvider(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
        yield provider
        provider.close()


@pytest.mark.slow
class TestAsyncTieredRedis(Tiered, OnRedis, CacheContract):
    @pytest.fixture
    def provider(self, valkey_url: str, fresh_namespace: str) -> Iterator[Any]:
        remote = AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace)
        blocking = Blocking(AsyncTieredProvider(remote))
        yield blocking
        blocking.shut()
