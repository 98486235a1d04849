"""What a process remembers is bounded, however many different things pass through it."""

from __future__ import annotations

import tracemalloc
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, Policy, entry
from staleproof.cache import call as calls
from staleproof.cache.core import MAX_PREDICTED, Core
from staleproof.clock import ManualClock
from staleproof.events.invalidation import Invalidation
from staleproof.keys import Keyspace
from staleproof.ports import JOURNAL_HORIZON_MS, TRIM_EVERY
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.memory_cells import UNPASSABLE_ROW, Cells
from staleproof.providers.memory_journal import MAX_RECORDS
from staleproof.providers.redis import RedisProvider
from staleproof.providers.redis.journal import JournalSteps
from staleproof.stores import EVICTIONS
from staleproof.tags import tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.providers.redis.exchange import Exchange

MEGABYTE = 1 << 20


@pytest.fixture
def grown() -> Iterator[Callable[[], int]]:
    """What this process holds more than at the beginning, in bytes."""

    def held() -> int:
        tag_id.cache_clear()  # bounded, but not what is measured
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield held
    tracemalloc.stop()


def wide(batch: int, tags: int) -> Invalidation:
    """Return an invalidation of tags that no other batch names."""
    names = tuple(f"row:{batch * tags + at}" for at in range(tags))
    return Invalidation(id="x", origin="o", namespace="n", tags=names)


def every(number: int) -> Callable[[], bool]:
    """Return what says yes each *number* times."""
    asked = count(1)
    return lambda: next(asked) % number == 0


class Acknowledging:
    """Connections to a server that says yes to everything and keeps nothing."""

    durability = "primary"
    watch = 0.0

    where = "nowhere"
    steps = JournalSteps

    def ask(self, packed: bytes) -> Any:
        raise NotImplementedError

    def exchange(self, exchange: Exchange) -> list[Any]:
        return [b"1-1"] * exchange.replies


def memos(steps: object) -> list[Any]:
    """Return what *steps* remembers of earlier calls."""
    return [each for each in vars(steps).values() if hasattr(each, "cache_info")]


def test_invalidations_of_many_tags_are_not_remembered(grown: Callable[[], int]) -> None:
    """A batch of distinct tags seldom comes again: its packed commands go when it is sent."""
    server: Any = Acknowledging()
    provider = RedisProvider(server, "bounds")
    for batch in range(120):
        provider.invalidate([wide(batch, 300)])
    after_some = grown()  # what is remembered of single tags has reached its limit
    for batch in range(120, 200):
        provider.invalidate([wide(batch, 300)])
    # 80 batches of 300 tags are 24,000 names in each of two commands: 2 MB and more if they were kept.
    assert grown() - after_some < MEGABYTE / 2
    assert [memo.cache_info().currsize for memo in memos(provider._steps) if memo.cache_info().currsize] == []


def test_reads_of_many_tags_are_not_remembered() -> None:
    """The packed form of a read with dozens of revealed tags would hold kilobytes under each of thousands of keys."""
    steps = JournalSteps(Keyspace("bounds"))
    for batch in range(50):
        steps.look("key", [tag_id(f"t:{batch}:{at}") for at in range(100)])
    assert sum(memo.cache_info().currsize for memo in memos(steps)) == 0


def test_what_is_remembered_has_a_limit() -> None:
    """Every memo that grows with keys or tags is bounded."""
    steps = JournalSteps(Keyspace("bounds"))
    bounded: list[Any] = [entry._known_prefix, calls._known_tag_ids, tag_id, *memos(steps)]
    assert [memo.cache_info().maxsize for memo in bounded if not memo.cache_info().maxsize] == []


def test_calls_of_many_tags_are_not_remembered(grown: Callable[[], int]) -> None:
    """What is made of the tags of a call is remembered for a few tags only: a thousand would hold 140 KB a call."""
    cache = Cache(MemoryProvider("bounds"))

    def look(batches: range) -> None:
        for batch in batches:
            cache.get("k", tags=[f"t{batch}:{at}" for at in range(1_000)])

    look(range(100, 140))  # what is remembered of single tags has reached its limit
    before = grown()
    look(range(140, 180))
    assert grown() - before < MEGABYTE / 2
    few = [calls._known_tag_ids.cache_info().currsize, entry._known_prefix.cache_info().currsize]
    cache.get("k", tags=[f"few:{at}" for at in range(entry.FEW)])
    assert calls._known_tag_ids.cache_info().currsize == few[0] + 1
    assert entry._known_prefix.cache_info().currsize == few[1] + 1


def test_many_revealed_tags_are_not_predicted() -> None:
    """A key whose value reveals more than a few dozen tags costs a second question, not memory."""
    core = Core(namespace="bounds")
    core.learn("k", [tag_id(f"t{at}") for at in range(MAX_PREDICTED)])
    assert len(core.predictions["k"]) == MAX_PREDICTED
    core.learn("k", [tag_id(f"t{at}") for at in range(MAX_PREDICTED + 1)])
    assert "k" not in core.predictions


def test_a_value_with_many_revealed_tags_is_a_hit() -> None:
    """Unpredicted, its tags are asked for by a second question, and a change of any of them is seen."""
    cache = Cache(MemoryProvider("bounds"))
    loads = []

    def load() -> int:
        loads.append(1)
        return len(loads)

    tags = [f"t{at}" for at in range(MAX_PREDICTED + 1)]
    assert [cache.get_or_load("k", load, tags_from=lambda _: tags) for _ in range(3)] == [1, 1, 1]
    cache.invalidate(tags[-1])
    assert cache.get_or_load("k", load, tags_from=lambda _: tags) == 2


def test_the_journal_of_the_memory_provider_is_bounded() -> None:
    """However many changes come within its horizon, the oldest go, and who has not read them sees the gap."""
    clock = ManualClock()
    provider = MemoryProvider("bounds", clock=clock)
    start = provider.journal_end()
    record = Invalidation(id="x", origin="o", namespace="bounds", tags=("t",))
    for _ in range(MAX_RECORDS // 100):
        provider.invalidate([record] * 250)
        assert len(provider._journal._records) <= MAX_RECORDS * 1.1
    assert len(provider._journal._records) >= MAX_RECORDS
    assert not provider.journal(start, 10).contiguous
    assert provider.journal(provider.journal_end(), 10).contiguous


def test_the_memory_provider_trims_its_journal() -> None:
    """Without a scheduler too, records older than the horizon go, and near caches go on."""
    clock = ManualClock()
    provider = MemoryProvider("bounds", clock=clock)
    provider._trimming.due = every(TRIM_EVERY)
    cache = Cache(provider, policy=Policy(staleness=0), clock=clock)
    cache.get_or_load("key", lambda: 1)
    for _ in range(3):
        for _ in range(TRIM_EVERY):
            cache.invalidate("other")
        clock.advance(JOURNAL_HORIZON_MS / 1_000 + 1)
    assert len(provider._journal._records) <= TRIM_EVERY + 1
    # The near cache lost its place and begins anew; then it is filled, and then it serves.
    assert [cache.get_or_load("new", lambda: 2) for _ in range(3)] == [2, 2, 2]
    assert cache.statistics.near_hits == 1


def test_the_memory_provider_keeps_what_a_link_still_owes() -> None:
    """A link to another region holds its records back from the trimming."""
    clock = ManualClock()
    provider = MemoryProvider("bounds", clock=clock)
    provider._trimming.due = every(TRIM_EVERY)
    cache = Cache(provider, clock=clock)
    provider.undelivered("eu-west-1", 1)
    cache.invalidate("first")
    clock.advance(JOURNAL_HORIZON_MS / 1_000 + 1)
    for _ in range(TRIM_EVERY):
        cache.invalidate("other")
    page = provider.undelivered("eu-west-1", 10)
    assert page.contiguous
    assert page.records[0][1] is not None
    assert page.records[0][1].tags == ("first",)


def test_entries_of_the_memory_provider_are_bounded_and_counted() -> None:
    """However many come, keys and entries stay within the bytes given; an entry above all of them is not kept."""
    provider = MemoryProvider("bounds", max_bytes=10_000)
    for number in range(500):
        provider.put(f"k{number}", bytes(100), 0)
    provider.put("huge", bytes(10_001), 0)
    statistics = provider.statistics

    assert 9_000 < statistics.bytes <= 10_000
    assert statistics.stored == 500 == statistics.entries + statistics.evicted
    assert statistics.refused == 1
    assert provider.read("huge", []).entry is None
    assert provider.read("k499", []).entry == bytes(100)
    assert (provider.statistics.hits, provider.statistics.misses) == (1, 1)


@pytest.mark.parametrize("eviction", EVICTIONS)
def test_entries_crowd_out_no_bookkeeping(eviction: str) -> None:
    """A flood of entries leaves versions, leases, fences and the guard of others where they are."""
    provider = MemoryProvider("bounds", eviction=eviction, max_entries=10)
    tag = tag_id("t")
    provider.invalidate(
        [Invalidation(id="x", origin="o", namespace="n", tags=("t",), row_version=7, lag_ms=9_999)]
    )
    begun = provider.begin("mine", [tag], b"lease", 9_999, 0, guard=True)
    for number in range(200):
        provider.put(f"k{number}", b"flood", 0)
    again = provider.snapshot([tag], 0, guard=True)

    assert again == begun.snapshot
    assert again.min_versions == [7]
    assert provider.store("mine", b"value", 0, b"lease")


def test_an_idle_entry_of_the_memory_provider_goes() -> None:
    """Reads keep it, a pause ends it; versions do not idle away."""
    clock = ManualClock()
    provider = MemoryProvider("bounds", idle=10, clock=clock)
    (version,) = provider.snapshot([tag_id("t")], 0, guard=False).versions
    provider.put("k", b"1", 0)
    for _ in range(3):
        clock.advance(9)
        assert provider.read("k", []).entry == b"1"
    clock.freeze(10)
    assert provider.read("k", [tag_id("t")]) == (None, [version])


def test_a_row_fence_that_is_lost_closes_the_way() -> None:
    """More fences than are remembered: until the lost one would have fallen, nothing at all is stored (P6)."""
    clock = ManualClock()
    cells = Cells(eviction="lru", max_entries=1, max_bytes=None, idle=None, clock=clock, max_bookkeeping=2)
    for number, name in enumerate((b"a", b"b", b"c")):
        cells.raise_fence(name, number, 5)
    assert [cells.fence(name) for name in (b"a", b"c", b"other")] == [UNPASSABLE_ROW] * 3
    clock.advance(5)
    assert [cells.fence(name) for name in (b"a", b"c", b"other")] == [None] * 3
    cells.raise_fence(b"a", 8, 5)
    cells.raise_fence(b"a", 3, 5)
    assert [cells.fence(name) for name in (b"a", b"b")] == [8, None]


def test_a_scan_of_the_memory_provider_misses_nothing_that_stays() -> None:
    """Keys that go while a scan is under way do not hide others."""
    provider = MemoryProvider("bounds")
    for number in range(30):
        provider.put(f"k{number:02}", b"1", 0)
    found = list((page := provider.scan("", 5)).keys)
    while page.cursor:
        provider.invalidate([Invalidation(id="x", origin="o", namespace="n", keys=(found[0], found[-1]))])
        page = provider.scan(page.cursor, 5)
        found += page.keys
    assert found == [f"k{number:02}" for number in range(30)]
