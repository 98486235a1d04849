"""The pytest plugin: fixtures for the tests of applications. It comes with the package, and loads nothing until used.

=========================  ============================================================================================
`staleproof_clock`         a clock that moves only when told: `advance(seconds)`, and `freeze(seconds)` as a paused
                           machine does; the caches of the other fixtures live by it
`staleproof_cache`         an empty blocking cache in memory, fresh for each test
`staleproof_async_cache`   the same for asyncio
`staleproof_replace`       a function: from now on to the end of the test the caches that it is given work in memory
`staleproof_off`           within the test every cache of the process is switched off
=========================  ============================================================================================
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof import AsyncCache, Cache
    from staleproof.clock import ManualClock
    from staleproof.testing.replacing import Replacement

CONTRACTS = (
    "cache_case",
    "flight_contract",
    "follower_contract",
    "freshness_contract",
    "function_contract",
    "life_contract",
    "limit_contract",
    "many_contract",
    "near_contract",
    "provider_contract",
    "record_contract",
    "several_contract",
    "soft_contract",
    "values_contract",
)

# So that a law that does not hold shows the values, as an assertion of the user's own would.
pytest.register_assert_rewrite(*(f"staleproof.testing.{name}" for name in CONTRACTS))


@pytest.fixture
def staleproof_clock() -> ManualClock:
    """A clock that moves only when told."""
    from staleproof.clock import ManualClock  # noqa: PLC0415 - at first use, like everything here

    return ManualClock()


@pytest.fixture
def staleproof_cache(staleproof_clock: ManualClock) -> Iterator[Cache]:
    """An empty blocking cache in memory; its refreshes in the background are done at once."""
    from staleproof.faces.blocking import Cache  # noqa: PLC0415
    from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415
    from staleproof.testing.prompt_workers import PromptWorkers  # noqa: PLC0415

    cache = Cache(MemoryProvider("test", clock=staleproof_clock), clock=staleproof_clock)
    cache.driver.workers = PromptWorkers()
    yield cache
    cache.close()


@pytest.fixture
def staleproof_async_cache(staleproof_clock: ManualClock) -> AsyncCache:
    """An empty asyncio cache in memory; `staleproof.testing.refreshed` waits for its refreshes."""
    from staleproof.faces.awaiting import AsyncCache  # noqa: PLC0415
    from staleproof.providers.async_memory import AsyncMemoryProvider  # noqa: PLC0415

    return AsyncCache(AsyncMemoryProvider("test", clock=staleproof_clock), clock=staleproof_clock)


@pytest.fixture
def staleproof_replace(staleproof_clock: ManualClock) -> Iterator[Callable[..., Replacement]]:
    """A function that lets the application's own caches work in memory, to the end of the test."""
    from staleproof.testing.replacing import replaced  # noqa: PLC0415

    with ExitStack() as stack:

        def replace(*caches: Any) -> Replacement:
            return stack.enter_context(replaced(*caches, clock=staleproof_clock))

        yield replace


@pytest.fixture
def staleproof_off() -> Iterator[None]:
    """Switches every cache of the process off within the test, also those that are made in it."""
    from staleproof.testing.switching import off  # noqa: PLC0415

    with off():
        yield
