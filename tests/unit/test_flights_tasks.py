"""Single flight among asyncio tasks: as among threads, safe to cancel, and apart for each event loop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import AsyncCache, LoadTimeoutError, Policy
from staleproof.policies.policy import DEFAULT_POLICY
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.testing import ManualClock
from tests.unit.flight_stand import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

CROWD = 12


class Gate:
    """A loader that, once entered, returns only when the test opens it; it counts its calls from 1."""

    def __init__(self, answer: Callable[[int], Any] = lambda number: number) -> None:
        self._answer = answer
        self._opened = asyncio.Event()
        self._entered = asyncio.Semaphore(0)
        self.calls = 0
        self.cancelled = 0

    async def __call__(self) -> Any:
        """Load."""
        self.calls += 1
        number = self.calls
        self._entered.release()
        try:
            await asyncio.wait_for(self._opened.wait(), LIMIT)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._answer(number)

    async def wait_entered(self) -> None:
        """Wait until one more call is inside."""
        await asyncio.wait_for(self._entered.acquire(), LIMIT)

    def open(self) -> None:
        """Let all calls return, those inside and those to come."""
        self._opened.set()


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks go on until *condition* holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - what is waited for is not the test's to signal
            await asyncio.sleep(0)


def made(**options: Any) -> AsyncCache:
    return AsyncCache(AsyncMemoryProvider("flights"), **options)


async def crowd(cache: AsyncCache, gate: Gate, others: int = CROWD - 1) -> list[asyncio.Task[Any]]:
    """Start callers of one key, the first of whom leads, and wait until all are aboard."""
    tasks = [asyncio.create_task(cache.get_or_load("k", gate, tags=["t"])) for _ in range(others + 1)]
    await gate.wait_entered()
    (flights,) = cache.driver.flights._loops.values()
    (flight,) = flights.values()
    await until(lambda: flight.waiting == others + 1)
    return tasks


def held(cache: AsyncCache, key: str = "k") -> bytes | None:
    """Return who holds the lease of *key*."""
    provider: Any = cache.provider
    lease: bytes | None = provider.inner._cells.leases.get(provider.inner.keys.lease(key))
    return lease


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_crowd_loads_once() -> None:
    """All who ask while a load is under way get its value, and it is loaded once."""
    cache, gate = made(), Gate()
    tasks = await crowd(cache, gate)
    gate.open()
    assert await asyncio.gather(*tasks) == [1] * CROWD
    assert gate.calls == 1
    assert len(cache.driver.flights) == 0


async def test_a_failure_is_shared() -> None:
    """Everybody aboard gets the loader's exception, and the next caller loads again."""
    failure = LookupError("from the application")

    def answer(number: int) -> int:
        if number == 1:
            raise failure
        return number

    cache, gate = made(), Gate(answer)
    tasks = await crowd(cache, gate)
    gate.open()
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert [(type(each), str(each)) for each in failures] == [(type(failure), str(failure))] * CROWD
    assert await cache.get_or_load("k", gate) == 2


# --- cancellation -----------------------------------------------------------------------------------


async def test_a_load_outlives_whoever_is_cancelled_first() -> None:
    """The caller who began it may be cancelled: the load goes on for the others, and is stored."""
    cache, gate = made(), Gate()
    first, *others = await crowd(cache, gate)
    await cancel(first)
    gate.open()
    assert await asyncio.gather(*others) == [1] * (CROWD - 1)
    assert (gate.calls, gate.cancelled) == (1, 0)
    assert await cache.get("k", tags=["t"]) == 1


async def test_a_load_dies_with_its_last_waiter() -> None:
    """Nobody wants it any more: before the last cancellation goes on the loader is cancelled, and its lease free."""
    cache, gate = made(), Gate()
    *others, last = await crowd(cache, gate)
    for each in others:
        await cancel(each)
    assert gate.cancelled == 0
    await cancel(last)
    assert gate.cancelled == 1
    assert held(cache) is None
    assert len(cache.driver.flights) == 0
    assert await cache.get_or_load("k", gate_at_once) == "at once"


async def gate_at_once() -> str:
    return "at once"


async def test_who_comes_while_a_load_dies_loads_anew() -> None:
    """A cancelled load's value is nobody's; a caller who came aboard meanwhile begins another."""
    cache, dying, hanging = made(), asyncio.Event(), asyncio.Event()

    async def load() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            dying.set()
            await hanging.wait()
        return 1

    first = asyncio.create_task(cache.get_or_load("k", load))
    await until(lambda: len(cache.driver.flights) == 1)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(dying.wait(), LIMIT)
    second = asyncio.create_task(cache.get_or_load("k", gate_at_once))
    await asyncio.sleep(0)
    hanging.set()
    assert await asyncio.wait_for(second, LIMIT) == "at once"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_loader_that_raises_a_cancellation_of_its_own() -> None:
    """It awaited something that was cancelled: its caller gets that, and is not sent round for ever."""
    cache, calls = made(), 0

    async def load() -> int:
        nonlocal calls
        calls += 1
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await cache.get_or_load("k", load)
    assert calls == 1
    assert await cache.get_or_load("k", gate_at_once) == "at once"


async def test_a_time_limit_of_one_caller_is_his_alone() -> None:
    """`asyncio.timeout` around one call ends that call."""
    cache, gate = made(), Gate()

    async def hurried() -> Any:
        async with asyncio.timeout(0.02):
            return await cache.get_or_load("k", gate)

    hasty, patient = asyncio.create_task(hurried()), asyncio.create_task(cache.get_or_load("k", gate))
    with pytest.raises(TimeoutError):
        await hasty
    gate.open()
    assert await patient == 1
    assert gate.calls == 1


async def test_a_late_load_goes_on_whoever_else_is_cancelled() -> None:
    """A caller who gave up at his time-out leaves a load behind that is stored, though others come and go."""
    cache, gate = made(policy=Policy(hard_timeout=0.02)), Gate()
    with pytest.raises(LoadTimeoutError):
        await cache.get_or_load("k", gate)
    joined = asyncio.create_task(cache.get_or_load("k", gate, policy=Policy()))
    await asyncio.sleep(0.01)
    await cancel(joined)
    gate.open()
    await until(lambda: len(cache.driver.flights) == 0)
    assert await cache.get("k") == 1
    assert gate.cancelled == 0


# --- event loops ------------------------------------------------------------------------------------


def test_each_event_loop_has_flights_of_its_own() -> None:
    """A load of another loop's is not waited for by a task of this one; its lease is, as another process's would be."""
    cache = made()
    inside, opened = threading.Event(), threading.Event()
    loops = []

    async def load() -> str:
        loops.append(asyncio.get_running_loop())
        inside.set()
        await until(opened.is_set)
        return "first"

    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(cache.get_or_load("k", load))))
    thread.start()
    assert inside.wait(LIMIT)

    async def second() -> Any:
        task = asyncio.create_task(cache.get_or_load("k", gate_at_once))
        await until(lambda: len(cache.driver.flights) == 2)
        opened.set()
        return await task

    results.append(asyncio.run(second()))
    thread.join(LIMIT)
    assert results == ["first", "first"]
    assert len(loops) == 1


def test_a_loop_that_ends_in_mid_load() -> None:
    """`asyncio.run` cancels what is left; the next loop finds no flight and no lease."""
    cache = made(policy=Policy(hard_timeout=0.01))

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(LoadTimeoutError):
        asyncio.run(cache.get_or_load("k", hang))
    assert held(cache) is None
    assert asyncio.run(cache.get_or_load("k", gate_at_once)) == "at once"
    assert len(cache.driver.flights) == 0


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_ends_the_loop(interruption: type[BaseException]) -> None:
    """It passes through, once; the next loop loads at once."""
    cache, calls = made(), []

    async def load() -> int:
        calls.append(1)
        raise interruption

    with pytest.raises(interruption):
        asyncio.run(cache.get_or_load("k", load))
    assert len(calls) == 1
    assert asyncio.run(cache.get_or_load("k", gate_at_once)) == "at once"


# --- loads within loads -----------------------------------------------------------------------------


async def test_a_load_within_a_load() -> None:
    """A loader may call another cached function; each is loaded once for a crowd of both."""
    cache, inner, calls = made(), Gate(lambda _: 10), []

    async def outer() -> int:
        calls.append(1)
        value: int = await cache.get_or_load("inner", inner)
        return value + 1

    tasks = [asyncio.create_task(cache.get_or_load("outer", outer)) for _ in range(4)]
    await inner.wait_entered()
    tasks.append(asyncio.create_task(cache.get_or_load("inner", inner)))
    await asyncio.sleep(0)
    inner.open()
    assert await asyncio.gather(*tasks) == [11] * 4 + [10]
    assert (inner.calls, len(calls)) == (1, 1)


async def test_a_loader_that_asks_for_its_own_key() -> None:
    """It waits for nobody: it loads for itself, unstored, and the outer load is what is kept."""
    cache, depth = made(), []

    async def load() -> int:
        depth.append(1)
        if len(depth) > 1:
            return 1
        value: int = await cache.get_or_load("k", load)
        return value + 1

    assert await asyncio.wait_for(cache.get_or_load("k", load), LIMIT) == 2
    assert await cache.get("k") == 2
    assert dict(cache.statistics.unstored) == {"recursion": 1}


async def test_two_keys_that_load_each_other() -> None:
    """Two tasks that wait for one another's load give up after their patience, and both answer."""
    cache, both = made(policy=Policy(patience=0.05)), asyncio.Barrier(2)
    depth: ContextVar[int] = ContextVar("depth", default=0)

    async def load(other: str, back: str) -> int:
        depth.set(depth.get() + 1)
        if depth.get() == 1:
            await asyncio.wait_for(both.wait(), LIMIT)
        if depth.get() > 2:
            return 0
        value: int = await cache.get_or_load(other, lambda: load(back, other))
        return value + 1

    values = await asyncio.wait_for(
        asyncio.gather(
            cache.get_or_load("a", lambda: load("b", "a")), cache.get_or_load("b", lambda: load("a", "b"))
        ),
        LIMIT,
    )
    assert all(value >= 1 for value in values)
    assert len(cache.driver.flights) == 0


async def test_a_load_runs_in_the_context_of_who_began_it() -> None:
    """What a caller has set for his own tasks, his loader sees."""
    cache = made()
    tenant: ContextVar[str] = ContextVar("tenant")

    async def load() -> str:
        return tenant.get()

    tenant.set("acme")
    assert await cache.get_or_load("k", load) == "acme"


async def test_a_load_that_hangs_keeps_a_key_busy_for_a_while_only() -> None:
    """Past patience and lease nobody joins it any more: the next caller takes over, and stores."""
    clock = ManualClock()
    cache = AsyncCache(AsyncMemoryProvider("flights", clock=clock), clock=clock)
    gate = Gate()
    hanging = asyncio.create_task(cache.get_or_load("k", gate))
    await gate.wait_entered()
    clock.advance(DEFAULT_POLICY.patience + DEFAULT_POLICY.lease + 1)
    assert await asyncio.wait_for(cache.get_or_load("k", gate_at_once), LIMIT) == "at once"
    assert await cache.get("k") == "at once"
    gate.open()
    assert await hanging == 1
    assert await cache.get("k") == "at once"
