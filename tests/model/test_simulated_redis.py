"""The simulated server is held to the same contract as the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from staleproof.providers.redis import RedisProvider
from staleproof.testing import FollowerContract, ManualClock, ProviderContract
from tests.model.simulated_redis import SimulatedConnections, SimulatedRedis

if TYPE_CHECKING:
    from collections.abc import Callable


class TestSimulatedRedis(ProviderContract, FollowerContract):
    @pytest.fixture
    def server(self) -> SimulatedRedis:
        return SimulatedRedis(ManualClock())

    @pytest.fixture
    def provider(self, server: SimulatedRedis) -> RedisProvider:
        return RedisProvider(cast("Any", SimulatedConnections(server)), "contract")

    @pytest.fixture
    def evict(self, server: SimulatedRedis) -> Callable[[bytes], None]:
        def evict(name: bytes) -> None:
            server.do_unlink(name)

        return evict

    @pytest.fixture
    def elapse(self, server: SimulatedRedis) -> Callable[[float], None]:
        return server.clock.advance
