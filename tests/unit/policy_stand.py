"""A cache of either face over one memory server that can go away, with a source that can fail: for laws of policies.

The asyncio face runs in an event loop of its own thread, so a law is written once, in blocking words.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from local.conditions import wait_until
from staleproof import AsyncCache, Cache, Policy, ProviderUnavailableError
from staleproof.policies.breaker import Breaker
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock
from staleproof.testing.blocking import BlockingCache, Portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN = {"namespace", "inner", "statistics"}


class Switch:
    """A provider in front of *inner* that can be away; it counts what it was asked while it was."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.namespace: str = inner.namespace
        self.away: type[Exception] | None = None
        self.refused = 0
        self.only: set[str] | None = None

    def go(self, error: type[Exception] = ProviderUnavailableError, only: set[str] | None = None) -> None:
        """Be away: for every question, or for those named *only*."""
        self.away, self.only = error, only

    def come(self) -> None:
        """Be back."""
        self.away = self.only = None

    def check(self, name: str) -> None:
        """Raise, if this question is not answered now."""
        if self.away is not None and (self.only is None or name in self.only):
            self.refused += 1
            raise self.away(f"{name} is not answered")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if not callable(method):
            return method
        if inspect.iscoroutinefunction(method):

            async def ask_async(*args: Any, **kwargs: Any) -> Any:
                self.check(name)
                return await method(*args, **kwargs)

            return ask_async

        def ask(*args: Any, **kwargs: Any) -> Any:
            self.check(name)
            return method(*args, **kwargs)

        return ask


class Source:
    """What is cached: it counts its reads, takes its time by the manual clock, and fails when told.

    Attributes:
        value: what the next read returns.
        failure: what it raises instead, or None.
        takes: seconds by which a read moves the clock.
        calls: how often it was read.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.value: Any = 1
        self.failure: Exception | None = None
        self.takes = 0.0
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        self._clock.advance(self.takes)
        if self.failure is not None:
            raise self.failure
        return self.value


class Stand:
    """One face under test.

    Attributes:
        clock: moves only when told.
        memory: the server's own state, to be looked at.
        server: the server as the cache sees it.
        cache: the cache, in blocking words.
        core: its core.
        source: what is cached.
    """

    def __init__(
        self,
        portal: Portal | None,
        policy: Policy,
        *,
        beside: Stand | None = None,
        breaker: Breaker | None = None,
        **options: Any,
    ) -> None:
        self.portal = portal
        self.clock: ManualClock = beside.clock if beside else ManualClock()
        self.memory: MemoryProvider = beside.memory if beside else MemoryProvider("laws", clock=self.clock)
        self.source = Source(self.clock)
        breaker = breaker or Breaker(0, clock=self.clock)
        options |= {"policy": policy, "clock": self.clock, "breaker": breaker}
        if portal is None:
            self.server: Any = Switch(self.memory)
            self.cache: Any = Cache(self.server, **options)
            self._driver: Any = self.cache.driver
        else:
            self.server = Switch(AsyncMemoryProvider(inner=self.memory))
            behind = AsyncCache(self.server, **options)
            self.cache = BlockingCache(behind, portal)
            self._driver = behind.driver
        self.core = self.cache.core
        self.statistics = self.core.statistics

    def another(self, policy: Policy | None = None, **options: Any) -> Stand:
        """Return another process over the same server."""
        return Stand(self.portal, policy or self.core.policy, beside=self, **options)

    def read(self, load: Callable[[], Any] | None = None, key: str = "k", **options: Any) -> Any:
        """Read *key* under the tag `t`."""
        return self.cache.get_or_load(key, load or self.source, tags=["t"], **options)

    def settle(self) -> None:
        """Wait until nothing goes on in the background."""

        def still() -> bool:
            busy = self._driver.workers.busy if self.portal is None else len(self._driver._departed)
            return not busy and not len(self._driver.flights)

        wait_until(still, "the background is done", timeout=10, every=0.001)

    def entry(self, key: str = "k") -> bytes | None:
        """Return what the server has under *key*, without reading it."""
        found: bytes | None = self.memory._cells.entries.peek(self.memory.keys.entry(key))
        return found

    def lease(self, key: str = "k") -> bytes | None:
        """Return who holds the lease of *key*."""
        held: bytes | None = self.memory._cells.leases.peek(self.memory.keys.lease(key))
        return held

    def take_lease(self, key: str = "k", milliseconds: int = 10_000) -> None:
        """Hold the lease of *key*, as another process would."""
        self.memory.begin(key, [], b"somebody", milliseconds, 60_000, guard=False)


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    """The event loop of every asyncio face."""
    opened = Portal()
    yield opened
    opened.shut()


@pytest.fixture(params=["blocking", "awaiting"])
def stand(request: pytest.FixtureRequest, portal: Portal) -> Callable[..., Stand]:
    """Make a stand of one face, with a policy of these fields."""

    def make(options: dict[str, Any] | None = None, /, **fields: Any) -> Stand:
        return Stand(portal if request.param == "awaiting" else None, Policy(**fields), **(options or {}))

    return make
