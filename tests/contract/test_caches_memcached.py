"""A whole cache on Memcached, both faces: the laws that need no journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from local.memcached import Memcached
from local.supervisor import Supervisor
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider
from staleproof.testing import Blocking, CacheContract
from staleproof.testing.cache_case import BOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from staleproof.testing.abilities import Ability

NODES = 3


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Three nodes of this module's own."""
    with Supervisor() as owner:
        nodes = [Memcached(owner, f"cache-{number}") for number in range(NODES)]
        for node in nodes:
            node.start()
        yield f"memcached://{','.join(node.host_and_port for node in nodes)}/"


@pytest.mark.memcached
@pytest.mark.slow
class OnMemcached(CacheContract):
    """Its clock ticks once a second; near copies follow a journal, and are not there without one."""

    lacks: ClassVar[Collection[Ability]] = frozenset({"journal", "scan"})
    finest = 1.0

    @pytest.fixture
    def clock(self) -> Clock:
        return SYSTEM_CLOCK

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return time.sleep


class TestMemcached(OnMemcached):
    @pytest.fixture
    def staleness(self) -> float | None:
        return BOUND

    @pytest.fixture
    def provider(self, address: str, fresh_namespace: str) -> Iterator[MemcachedProvider]:
        provider = MemcachedProvider.from_url(address, namespace=fresh_namespace)
        yield provider
        provider.close()


class TestAsyncMemcached(OnMemcached):
    @pytest.fixture
    def staleness(self) -> float | None:
        return None

    @pytest.fixture
    def provider(self, address: str, fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncMemcachedProvider.from_url(address, namespace=fresh_namespace))
        yield blocking
        blocking.shut()
