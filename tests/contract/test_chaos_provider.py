"""A chaos provider without chaos is the provider that it wraps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.clock import ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import (
    AsyncChaosProvider,
    Blocking,
    Chaos,
    ChaosProvider,
    FollowerContract,
    ProviderContract,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Calm:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def elapse(self, clock: ManualClock) -> Callable[[float], None]:
        return clock.advance

    @pytest.fixture
    def server(self, clock: ManualClock) -> MemoryProvider:
        return MemoryProvider("contract", clock=clock)

    @pytest.fixture
    def evict(self, server: MemoryProvider) -> Callable[[bytes], None]:
        return server.drop


class TestCalmChaos(Calm, ProviderContract, FollowerContract):
    @pytest.fixture
    def provider(self, server: MemoryProvider) -> ChaosProvider:
        return ChaosProvider(server, Chaos(1), between=lambda _: None)


class TestCalmAsyncChaos(Calm, ProviderContract):
    @pytest.fixture
    def provider(self, server: MemoryProvider) -> Iterator[Any]:
        blocking = Blocking(AsyncChaosProvider(AsyncMemoryProvider(inner=server), Chaos(1)))
        yield blocking
        blocking.shut()
