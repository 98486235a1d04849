"""What fresh eyes have found, each as the law that was broken."""

from __future__ import annotations

import asyncio
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from staleproof import AsyncCache, Cache, ConfigurationError, NearCache, Policy, carry
from staleproof.cache import nesting
from staleproof.cache.deferred import Deferred
from staleproof.clock import ManualClock
from staleproof.events.invalidation import Invalidation
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import RedisProvider, Tracker
from staleproof.providers.tiered import TieredProvider


def test_the_order_of_tags_makes_no_difference() -> None:
    """Nor does naming one twice: processes that keep tags in sets share their entries."""
    cache = Cache(MemoryProvider("order"))
    cache.put("n", 5, tags=["t", "u"])
    assert cache.get("n", tags=["u", "t"]) == 5
    assert cache.get("n", tags=["u", "t", "u"]) == 5
    cache.invalidate("u")
    assert not cache.get("n", tags=["t", "u"])


@pytest.mark.parametrize("read", ["get", "get_many", "get_or_load", "get_or_load_many"])
def test_every_read_keeps_an_entry_from_idling_away(read: str) -> None:
    """An entry that is read before `idle` is over stays until its end, whichever way it is read."""
    clock = ManualClock()
    cache = Cache(MemoryProvider("idle", clock=clock), policy=Policy(ttl="1h", idle="10s"), clock=clock)
    cache.get_or_load("k", lambda: 1)
    reads: dict[str, Any] = {
        "get": lambda: cache.get("k"),
        "get_many": lambda: cache.get_many(["k"]).get("k"),
        "get_or_load": lambda: cache.get_or_load("k", lambda: 2),
        "get_or_load_many": lambda: cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, 2))["k"],
    }
    for _ in range(6):
        clock.advance(9)
        assert reads[read]() == 1
    clock.advance(13)
    assert not cache.get("k")


class OddError(Exception):
    """One whose constructor takes other arguments than it keeps."""

    def __init__(self, first: str, *, second: str) -> None:
        super().__init__(f"{first} {second}")


@pytest.mark.parametrize(
    "error", [ValueError("down"), OddError("a", second="b")], ids=lambda each: type(each).__name__
)
async def test_each_waiter_has_an_exception_of_his_own(error: Exception) -> None:
    """Tracebacks do not grow with the number of those who share a failed load, and notes do not leak."""
    cache = AsyncCache(AsyncMemoryProvider("errors"))

    async def load() -> int:
        await asyncio.sleep(0.01)
        raise error

    async def read(number: int) -> tuple[int, list[str]]:
        try:
            await cache.get_or_load("k", load)
        except (ValueError, OddError) as caught:
            text = "".join(traceback.format_exception(caught))
            if type(caught) is ValueError:
                caught.add_note(f"request {number}")
            return len(text), list(getattr(caught, "__notes__", []))
        raise AssertionError("it must fail")

    found = await asyncio.gather(*(read(number) for number in range(100)))
    sizes = [size for size, _ in found]
    assert max(sizes) < 3 * min(sizes)
    assert all(len(notes) <= 1 for _, notes in found)


def test_a_row_fence_survives_an_overflow_of_deferred_invalidations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clear that stands for too many of them fences the whole namespace, as high and as long as any of them."""
    monkeypatch.setattr("staleproof.cache.deferred.MAX_RECORDS", 2)
    deferred = Deferred()

    def record(number: int, **more: Any) -> Invalidation:
        return Invalidation(id=str(number), origin="o", namespace="n", tags=(f"t{number}",), **more)

    deferred.add(record(1, row_version=5, lag_ms=60_000))
    for number in range(2, 6):
        deferred.add(record(number))
    deferred.add(record(6, row_version=3, lag_ms=90_000))
    deferred.add(record(7))
    (only,) = deferred.waiting()
    assert (only.clear, only.row_version, only.lag_ms, only.id) == (True, 5, 90_000, "7")


def test_only_the_first_and_the_last_load_look_at_all_near_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads that overlap cost nothing for each near cache of the process."""
    shown: list[object] = []
    show = nesting._show

    def counted(near: Any) -> None:
        shown.append(near)
        show(near)

    monkeypatch.setattr(nesting, "_show", counted)
    near = NearCache()
    cache = Cache(MemoryProvider("nested"), near=near)

    def outer() -> int:
        before = shown.count(near)
        cache.get_or_load("inner", lambda: 1)
        assert shown.count(near) == before
        return 2

    cache.get_or_load("outer", outer)


def test_near_copies_are_shown_again_after_loads_of_many_threads() -> None:
    """However loads overlap, the hit path is open when the last has ended."""
    near = NearCache()
    cache = Cache(MemoryProvider("threads"), near=near, policy=Policy(staleness="1m"))
    threads = [
        threading.Thread(target=cache.get_or_load, args=(f"k{number}", lambda: 1)) for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert near.shown == near.synced


def test_a_load_of_many_threads_builds_on_nothing_that_lags() -> None:
    """What a loader has its threads read is carried into them, and asks the server."""
    cache = Cache(MemoryProvider("carried"))
    rows = {1: "old", 2: "old"}

    @cache.cacheable("row:{number}", tags=["row:{number}"], policy=Policy(staleness="1m"))
    def row(number: int) -> str:
        return rows[number]

    @cache.cacheable("page", tags=["page"], policy=Policy(ttl="1h"))
    def page() -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(carry(row), rows))

    assert [row(1), row(2)] == ["old", "old"]
    rows[1] = "new"
    Cache(cache.provider, near=False).invalidate("row:1")
    assert row(1) == "old"  # within its bound
    assert page() == ["new", "old"]


async def test_a_task_that_outlives_its_load_is_no_part_of_it() -> None:
    """Its own loads of the same key are stored, and it may have near copies."""
    cache = AsyncCache(AsyncMemoryProvider("orphans"))
    ended = asyncio.Event()
    found: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def later() -> None:
        await ended.wait()
        found.extend([await cache.get_or_load("k", one), await cache.get_or_load("k", one)])

    async def one() -> int:
        return 1

    async def load() -> int:
        tasks.append(asyncio.create_task(later()))
        return 0

    assert await cache.get_or_load("k", load) == 0
    await cache.invalidate(keys=["k"])
    ended.set()
    await tasks[0]
    assert found == [1, 1]
    assert cache.statistics.loads == 2


def test_a_near_cache_over_a_tier_is_not_tracked() -> None:
    """The push would move it past records that the tier has not heard of."""
    near = NearCache()
    remote = RedisProvider.from_url("redis://127.0.0.1:1/0", namespace="n")
    Cache(TieredProvider(remote), near=near)
    with pytest.raises(ConfigurationError, match="tiered provider"):
        Tracker(remote, near)
