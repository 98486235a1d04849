"""What a cache tells of itself: joined from all who count, in figures and as a table, exact under threads."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import (
    MISSING,
    AsyncCache,
    Breaker,
    Cache,
    ConfigurationError,
    LoadTimeoutError,
    NearCache,
    Policy,
    ProviderRejectedError,
    ProviderUnavailableError,
    key,
)
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "hunter2"  # noqa: S105 - it stands for whatever keys, tags and values hold


class Away(MemoryProvider):
    """A provider that can be out of reach, or full."""

    error: Exception | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def read(self, key: str, tags: Any) -> Any:
        self._check()
        return super().read(key, tags)

    def read_many(self, wants: Any) -> Any:
        self._check()
        return super().read_many(wants)

    def journal(self, cursor: str, limit: int) -> Any:
        self._check()
        return super().journal(cursor, limit)

    def invalidate(self, invalidations: Any) -> Any:
        self._check()
        return super().invalidate(invalidations)


class Full(MemoryProvider):
    """A provider that takes no writes."""

    def begin_many(self, claims: Any, lease_ms: int, tag_ttl_ms: int, *, guard: bool) -> Any:
        raise ProviderRejectedError("full")


@pytest.fixture
def nimble() -> Iterator[None]:
    """Let threads change as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# --- telling ----------------------------------------------------------------------------------------


def test_everybody_who_counts_is_joined() -> None:
    """One dict holds the cache's own figures, the near cache's, the provider's and the breaker's; JSON takes it."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=5))
    cache.get_or_load("k", lambda: "value")
    cache.get_or_load("k", lambda: "value")
    told = json.loads(json.dumps(cache.statistics.as_dict()))
    assert told["namespace"] == "shop"
    assert (told["reads"], told["near_hits"], told["hit_ratio"]) == (2, 1, 0.5)
    assert told["misses"]["absent"] == told["loads"] == told["stored"] == 1
    assert (told["near"]["copies"], told["near"]["inserted"]) == (1, 1)
    assert told["near"]["bytes"] == told["bytes_written"] > 0
    assert told["provider"]["entries"] == 1
    assert told["breaker"] == {"opened": 0, "open": False, "in_a_row": 0}


def test_what_is_not_there_is_not_told() -> None:
    """Without a near cache, or with a provider that counts nothing, their part is missing."""
    cache = Cache(MemoryProvider("shop"), near=False)
    cache.provider = object()  # type: ignore[assignment]
    assert set(cache.statistics.parts) == {"breaker"}


def test_each_sibling_has_figures_of_its_own() -> None:
    """A cache over another provider counts for itself, under its own namespace."""
    cache = Cache(MemoryProvider("shop"), providers={"sessions": MemoryProvider("sessions")})
    cache.on("sessions").get("k")
    assert cache.statistics.reads == 0
    assert cache.on("sessions").statistics.as_dict()["namespace"] == "sessions"
    assert cache.on("sessions").statistics.misses["absent"] == 1


def test_a_difference_is_what_was_added_and_what_is_held() -> None:
    """`since` subtracts counts and reasons, and tells sizes as they are now."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=5))
    cache.get_or_load("a", lambda: 1)
    before = cache.statistics.snapshot()
    assert cache.statistics.since(before).reads == 0
    for each in "abcb":
        cache.get_or_load(each, lambda: 1)
    added = cache.statistics.since(before)
    assert (added.near_hits, added.misses["absent"], added.loads, added.reads) == (2, 2, 2, 4)
    assert added.hit_ratio == 0.5
    assert added.parts["near"]["inserted"] == 2
    assert added.parts["near"]["copies"] == added.parts["provider"]["entries"] == 3
    assert before.reads == 1


def test_a_difference_needs_a_snapshot_of_the_same_cache() -> None:
    """Live counters would differ from themselves by nothing, and another cache's by nonsense: both are refused."""
    shop, users = Cache(MemoryProvider("shop")), Cache(MemoryProvider("users"))
    for wrong in (shop.statistics, users.statistics.snapshot()):
        with pytest.raises(ConfigurationError, match=r"snapshot\(\)"):
            shop.statistics.since(wrong)  # type: ignore[arg-type]


def test_the_table_tells_the_figures_in_words() -> None:
    """As text it is a line a figure, with what each is made of; lines without any are left out."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=5, max_bytes=1_000, compress_above=None))
    cache.get_or_load("k", lambda: 1)
    cache.get_or_load("k", lambda: 1)
    cache.get_or_load("large", lambda: bytes(5_000))
    lines = str(cache.statistics).splitlines()
    assert lines[0] == "cache 'shop'"
    assert [line.split() for line in lines if line.lstrip().startswith(("reads", "misses", "unstored"))] == [
        ["reads", "3", "hit", "ratio", "33.3%"],
        ["misses", "2", "absent", "2"],
        ["unstored", "1", "size", "1"],
    ]
    assert "server away" not in str(cache.statistics)
    assert all(line == line.rstrip() and len(line) < 120 for line in lines)


def test_no_figure_carries_a_key_a_tag_or_a_value() -> None:
    """Whatever the keys are, the names in the figures are the same few: fit for the dimensions of metrics."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=5))
    empty = cache.statistics.as_dict()
    for n in range(20):
        cache.get_or_load(key("user:{n}:{s}", n=n, s=SECRET), lambda: SECRET, tags=[f"{SECRET}:{n}"])
    told = cache.statistics.as_dict()
    assert SECRET not in repr(told) + str(cache.statistics)
    assert set(told) == set(empty)
    assert {name: set(part) for name, part in told.items() if isinstance(part, dict)} == {
        name: set(part) for name, part in empty.items() if isinstance(part, dict)
    }


# --- counting ---------------------------------------------------------------------------------------


def test_a_mere_look_is_not_counted() -> None:
    """`exists`, `ttl`, `touch` and `peek` look at what is there; `get` is a read."""
    cache = Cache(MemoryProvider("shop"))

    @cache.cacheable("k")
    def function() -> str:
        return "value"

    function()
    before = cache.statistics.snapshot()
    assert cache.exists("k")
    assert cache.ttl("k")
    assert cache.touch("k")
    assert function.peek() == "value"
    added = cache.statistics.since(before)
    assert (added.reads, added.bytes_read, added.saved_us) == (0, 0, 0)
    assert cache.get("k") == "value"
    assert cache.get("none") is MISSING
    added = cache.statistics.since(before)
    assert (added.hits, added.misses["absent"], added.reads) == (1, 1, 2)


def test_time_and_bytes_are_those_of_hits() -> None:
    """Each hit on the server saves what its load took, and brings its entry's bytes; a miss does neither."""
    clock = ManualClock()
    cache = Cache(MemoryProvider("shop", clock=clock), clock=clock)

    def load() -> str:
        clock.advance(0.25)
        return "x" * 1_000

    for _ in range(4):
        cache.get_or_load("k", load)
    seen = cache.statistics
    assert (seen.load_seconds, seen.saved_seconds) == (0.25, 0.75)
    assert seen.bytes_read == 3 * seen.bytes_written > 3_000


def test_a_load_that_fails_takes_its_time_too() -> None:
    """Time in loaders counts, whatever comes of it; a load that failed left nothing unstored."""
    clock = ManualClock()
    cache = Cache(MemoryProvider("shop", clock=clock), clock=clock, policy=Policy(fallback="load"))

    def load() -> str:
        clock.advance(2)
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_load("k", load)
    seen = cache.statistics
    assert (seen.loads, seen.load_failures, seen.loaded, seen.load_seconds) == (1, 1, 0, 2)
    assert seen.unstored == {}


def test_a_put_is_told_apart_from_a_load() -> None:
    """Values that are put have a count of their own, and end as stored or unstored like any other."""
    provider = MemoryProvider("shop")
    cache = Cache(provider, policy=Policy(patience=0))
    cache.put("a", 1)
    cache.put_many({"b": 2, "c": 3})
    provider.begin("d", [], b"another's", 60_000, 60_000, guard=False)
    with pytest.raises(ConfigurationError):
        cache.put("e", 1, tags=[f"t{n}" for n in range(4_000)])
    seen = cache.statistics
    assert (seen.loads, seen.puts, seen.stored, seen.unstored) == (0, 4, 3, {"error": 1})
    with provider._lock:  # the invalidation breaks a lease, so another takes it between
        real, provider.invalidate = provider.invalidate, lambda invalidations: []  # type: ignore[method-assign]
        cache.put("d", 4)
        cache.put_many({"d": 4, "f": 5})
        provider.invalidate = real  # type: ignore[method-assign]
    assert (seen.puts, seen.stored, seen.unstored) == (7, 4, {"error": 1, "lease": 2})


def test_a_put_of_many_that_cannot_be_written_frees_every_lease() -> None:
    """An exception between begin and store leaves no lease behind, so the next put is stored."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(patience=0))
    with pytest.raises(ConfigurationError):
        cache.put_many({"a": 1, "b": 2}, tags=[f"t{n}" for n in range(4_000)])
    assert cache.put_many({"a": 1, "b": 2}) == 2


def test_a_read_that_gave_up_is_counted() -> None:
    """A load above `hard_timeout` raises, and is a time-out of one read."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(hard_timeout=0.01), background=True)
    go_on = threading.Event()
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("k", lambda: go_on.wait(10))
    assert (cache.statistics.timeouts, cache.statistics.misses["absent"]) == (1, 1)
    go_on.set()


# --- crowds -----------------------------------------------------------------------------------------


def test_a_crowd_of_threads_is_counted_exactly(nimble: None) -> None:
    """However threads interleave, reads, loads, waits and stored values add up to the last one."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=5))
    readers, times = 8, 400

    def read(reader: int) -> None:
        for n in range(times):
            cache.get_or_load(f"k{n % 50}", lambda: 1)
            if reader == 0 and n % 40 == 0:
                cache.invalidate(keys=[f"k{m}" for m in range(50)])

    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(read, range(readers)))
    seen = cache.statistics
    assert seen.reads == readers * times
    assert sum(seen.misses.values()) == seen.loads + seen.waits
    assert seen.loads == seen.loaded == seen.stored + sum(seen.unstored.values())


def test_counters_are_exact_under_threads(nimble: None) -> None:
    """No increment is lost between threads."""
    cache = Cache(MemoryProvider("shop"))
    cache.put("k", "value")
    size = cache.statistics.bytes_written
    readers, times = 8, 1_000

    def read(_: int) -> None:
        for _ in range(times):
            cache.get("k")
            cache.statistics.left_unstored("size")

    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(read, range(readers)))
    seen = cache.statistics
    assert (seen.hits, seen.bytes_read) == (readers * times, readers * times * size)
    assert seen.unstored == {"size": readers * times}


def test_those_who_waited_in_the_process_are_counted() -> None:
    """Of a crowd on one cold key one loads, and all others are counted as having waited."""
    cache = AsyncCache(AsyncMemoryProvider("shop"))

    async def load() -> int:
        await asyncio.sleep(0.01)
        return 1

    async def crowd() -> list[int]:
        return await asyncio.gather(*(cache.get_or_load("k", load) for _ in range(100)))

    assert asyncio.run(crowd()) == [1] * 100
    seen = cache.statistics
    assert (seen.misses["absent"], seen.loads, seen.waits, seen.stored) == (100, 1, 99, 1)


# --- outages ----------------------------------------------------------------------------------------


def test_many_reads_meet_an_outage_as_one_would() -> None:
    """Each of many keys is a miss and a fallback; near copies are the last resort where the policy says so."""
    provider, clock = Away("shop"), ManualClock()
    policy = Policy(staleness=0, fallback="stale", stale_if_error="1h")
    cache = Cache(provider, policy=policy, near=NearCache(clock=clock), clock=clock)
    cache.get_or_load_many(["a", "b"], lambda missing: dict.fromkeys(missing, "old"))
    before = cache.statistics.snapshot()
    provider.error = ProviderUnavailableError("gone")
    found = cache.get_or_load_many(list("abcd"), lambda missing: dict.fromkeys(missing, "new"))
    assert found == {"a": "old", "b": "old", "c": "new", "d": "new"}
    added = cache.statistics.since(before)
    assert (added.reads, added.misses["unreachable"]) == (4, 4)
    assert added.fallbacks == {"stale": 2, "load": 2}
    assert (added.loads, added.loaded, added.unstored) == (1, 2, {"provider": 2})
    assert added.hit_ratio == 0.5


def test_what_was_found_before_an_outage_counts() -> None:
    """When the server goes away between two batches, hits stay hits and misses keep their reasons."""
    provider = Away("shop")
    cache = Cache(provider)
    keys = [f"k{n}" for n in range(900)]
    cache.put_many(dict.fromkeys(keys[:400], 1))
    asked: list[int] = []
    read_many = provider.read_many

    def once(wants: Any) -> Any:
        asked.append(len(wants))
        if len(asked) > 1:
            raise ProviderUnavailableError("gone")
        return read_many(wants)

    provider.read_many = once  # type: ignore[method-assign]
    found = cache.get_or_load_many(keys, lambda missing: dict.fromkeys(missing, 2))
    assert sorted(found.values()) == [1] * 400 + [2] * 500
    seen = cache.statistics
    assert (seen.hits, seen.misses["absent"], seen.misses["unreachable"]) == (400, 100, 400)
    assert (seen.fallbacks, seen.unstored) == ({"load": 500}, {"provider": 500})


def test_a_full_server_is_not_waited_for() -> None:
    """Where no lease can be taken, many keys are loaded at once, unstored: there is nobody to wait for."""
    cache = Cache(Full("shop"), policy=Policy(patience="1h"))
    assert cache.get_or_load_many(list("ab"), lambda missing: dict.fromkeys(missing, 1)) == {"a": 1, "b": 1}
    assert cache.put_many({"c": 1}) == 0
    seen = cache.statistics
    assert (seen.loads, seen.unstored, seen.fallbacks) == (1, {"provider": 3}, {})


def test_a_server_lost_after_the_load_costs_the_entry_only() -> None:
    """A value whose late tags cannot be snapshot any more is served, and left unstored."""
    provider = Away("shop")
    cache = Cache(provider)
    snapshot = provider.snapshot

    def late(tags: Any, tag_ttl_ms: int, *, guard: bool) -> Any:
        if late_now:
            raise ProviderUnavailableError("gone")
        return snapshot(tags, tag_ttl_ms, guard=guard)

    late_now: list[bool] = []
    provider.snapshot = late  # type: ignore[method-assign]

    def load() -> int:
        late_now.append(True)
        return 1

    assert cache.get_or_load("k", load, tags_from=lambda _: ["late"]) == 1
    assert cache.statistics.unstored == {"provider": 1}


def test_a_read_is_one_miss_however_often_the_server_fails_it() -> None:
    """A read that missed, waited and then lost the server is counted once, and falls back once."""
    provider = Away("shop")
    cache = Cache(provider, policy=Policy(patience="1h"))
    provider.begin("k", [], b"another's", 60_000, 60_000, guard=False)
    begin = provider.begin

    def refuse(*args: Any, **kwargs: Any) -> Any:
        provider.error = ProviderUnavailableError("gone")
        return begin(*args, **kwargs)

    provider.begin = refuse  # type: ignore[method-assign]
    assert cache.get_or_load("k", lambda: 1) == 1
    seen = cache.statistics
    assert (seen.reads, seen.misses["absent"], seen.misses["unreachable"]) == (1, 1, 0)
    assert (seen.fallbacks, seen.unstored) == ({"load": 1}, {"provider": 1})


def test_one_who_has_to_look_again_and_cannot_is_one_miss() -> None:
    """A reader who came too late for another's load, and then finds the server away, is counted once."""
    provider = Away("shop")
    cache = AsyncCache(AsyncMemoryProvider(inner=provider))
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def load() -> int:
        under_way.set()
        await go_on.wait()
        provider.error = ProviderUnavailableError("gone")
        return 1

    async def late() -> int:
        return 2

    async def both() -> list[int]:
        first = asyncio.create_task(cache.get_or_load("k", load))
        await under_way.wait()
        second = asyncio.create_task(cache.get_or_load("k", late))
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(first, second))

    assert asyncio.run(both()) == [1, 2]
    seen = cache.statistics
    assert (seen.reads, seen.misses["absent"], seen.loads, seen.waits) == (2, 2, 2, 0)
    assert (seen.fallbacks, seen.stored, seen.unstored) == ({"load": 1}, 1, {"provider": 1})


def test_a_get_in_an_outage_is_a_miss_and_raises_where_the_policy_says_so() -> None:
    """Reads that load nothing find nothing then, counted as what the policy falls back on; "error" raises."""
    for fallback in ("load", "error"):
        provider = Away("shop")
        cache = Cache(provider, policy=Policy(fallback=fallback), breaker=Breaker(0))
        provider.error = ProviderUnavailableError("gone")
        if fallback == "error":
            with pytest.raises(ProviderUnavailableError):
                cache.get("k")
            with pytest.raises(ProviderUnavailableError):
                cache.get_many(["a"])
            with pytest.raises(ProviderUnavailableError):
                cache.exists("k")
        else:
            assert cache.get("k") is MISSING
            assert cache.get_many(["a"]) == {}
            assert not cache.exists("k")
        assert cache.statistics.misses["unreachable"] == cache.statistics.fallbacks[fallback] == 2


def test_a_rule_that_raises_leaves_the_value_unstored() -> None:
    """Where `unless` itself fails, what was loaded is accounted for."""
    cache = Cache(MemoryProvider("shop"))

    def unless(_: int) -> bool:
        raise LookupError

    @cache.cacheable("k", unless=unless)
    def function() -> int:
        return 1

    with pytest.raises(LookupError):
        function()
    assert (cache.statistics.loaded, cache.statistics.unstored) == (1, {"error": 1})


def test_a_deferred_invalidation_is_counted_once() -> None:
    """It falls back once, and is one invalidation when the server has it, however many tasks bring it there."""
    provider = Away("shop")
    cache = AsyncCache(AsyncMemoryProvider(inner=provider), unreachable="defer", breaker=Breaker(0))

    async def outage() -> None:
        provider.error = ProviderUnavailableError("gone")
        await cache.invalidate("t")
        assert (cache.statistics.invalidations, cache.statistics.fallbacks) == (0, {"deferred": 1})
        provider.error = None
        waiting = cache.core.deferred.waiting() if cache.core.deferred else []
        await asyncio.gather(*(cache.get("k") for _ in range(3)))
        for _ in range(2):  # another task had taken the same ones
            cache.core.caught_up(cache.core.deferred, waiting, [])  # type: ignore[arg-type]

    asyncio.run(outage())
    assert cache.statistics.invalidations == 1


def test_a_refresh_is_no_read() -> None:
    """An explicit refresh counts as a load, and not as a miss, even if the server is away."""
    provider = Away("shop")
    cache = Cache(provider, policy=Policy(staleness=0))

    @cache.cacheable("k")
    def function() -> int:
        return 1

    function.refresh()
    provider.error = ProviderUnavailableError("gone")
    function.refresh()
    seen = cache.statistics
    assert (seen.reads, seen.loads, seen.fallbacks) == (0, 2, {"load": 1})


def test_a_refresh_that_does_not_load_is_none() -> None:
    """Where another has the lease, a stale value is served and no refresh is counted."""
    clock = ManualClock()
    provider = MemoryProvider("shop", clock=clock)
    policy = Policy(ttl="10s", stale_while_revalidate="1m")
    cache = Cache(provider, policy=policy, clock=clock, background=False)
    cache.get_or_load("k", lambda: "old")
    clock.advance(20)
    provider.begin("k", [], b"another's", 60_000, 60_000, guard=False)
    assert cache.get_or_load("k", lambda: "new") == "old"
    assert (cache.statistics.refreshes, cache.statistics.stale_served) == (0, {"revalidating": 1})
    clock.advance(61)
    assert cache.get_or_load("k", lambda: "new") == "new"


# --- the log ----------------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "staleproof"]


def away(provider: Away, read: Callable[[], object]) -> None:
    provider.error = ProviderUnavailableError("gone")
    for _ in range(50):
        read()


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log has one warning when the breaker opens and one line when it closes, whatever is read between."""
    caplog.set_level(logging.INFO, "staleproof")
    provider, clock = Away("shop"), ManualClock()
    cache = Cache(provider, clock=clock, breaker=Breaker(3, "1s", clock=clock))

    def read() -> None:
        cache.get_or_load(SECRET, lambda: SECRET, tags=[SECRET])

    read()
    assert told(caplog) == []
    away(provider, read)
    for _ in range(5):
        clock.advance(2)
        read()
    assert told(caplog) == [
        (
            "WARNING",
            "the server of cache 'shop' did not answer 3 times in a row; it is left alone, but for probes",
        )
    ]
    provider.error = None
    clock.advance(2)
    for _ in range(50):
        read()
    assert told(caplog)[1:] == [("INFO", "the server of cache 'shop' answers again, after 12.000 s")]
    assert SECRET not in caplog.text
    seen = cache.statistics
    assert seen.parts["breaker"] == {"opened": 1, "open": False, "in_a_row": 0}
    assert (seen.misses["unreachable"], seen.misses["breaker"]) == (3 + 5, 47)
    assert seen.fallbacks == {"load": 55}


def test_a_breaker_tells_when_new_limits_open_or_close_it() -> None:
    """Opening and closing are told in pairs, also when the settings change the limit between."""
    clock = ManualClock()
    breaker = Breaker(5, "1s", clock=clock)
    heard: list[bool] = []
    breaker.listener = lambda *, opened, figure: heard.append(opened)
    for _ in range(4):
        breaker.failed()
    breaker.adopt(3, "1s")
    assert (heard, breaker.opened, breaker.is_open) == ([True], 1, True)
    assert 0 < breaker.probe_in <= 1
    breaker.adopt(10, "1s")
    assert (heard, breaker.probe_in) == ([True, False], 0)
    breaker.succeeded()
    assert heard == [True, False]


def test_a_shared_breaker_tells_once(caplog: pytest.LogCaptureFixture) -> None:
    """Caches that share a breaker have one outage in the log, told in the first one's name."""
    breaker = Breaker(1, "1h")
    first, second = (Cache(Away(name), breaker=breaker) for name in ("first", "second"))
    away(second.provider, lambda: second.get_or_load("k", lambda: 1))  # type: ignore[arg-type]
    assert [message.partition(" did")[0] for _, message in told(caplog)] == ["the server of cache 'first'"]
    assert first.statistics.parts["breaker"]["opened"] == 1
