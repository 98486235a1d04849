"""What a process remembers is bounded, however many different things pass through it."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, Policy
from staleproof.clock import ManualClock
from staleproof.entry import prefix
from staleproof.events.invalidation import Invalidation
from staleproof.keys import Keyspace
from staleproof.ports import JOURNAL_HORIZON_MS, TRIM_EVERY
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import RedisProvider
from staleproof.providers.redis.journal import JournalSteps
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


class Acknowledging:
    """Connections to a server that says yes to everything and keeps nothing."""

    where = "nowhere"

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
    bounded: list[Any] = [prefix, tag_id, *memos(steps)]
    assert [memo.cache_info().maxsize for memo in bounded if not memo.cache_info().maxsize] == []


def test_the_memory_provider_trims_its_journal() -> None:
    """Without a scheduler too, records older than the horizon go, and near caches go on."""
    clock = ManualClock()
    provider = MemoryProvider("bounds", clock=clock)
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
