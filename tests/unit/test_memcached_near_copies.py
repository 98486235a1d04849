"""Near copies where the server has no journal: they live by their age, and one's own invalidations count at once."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from staleproof import Cache, Policy
from staleproof.clock import ManualClock
from staleproof.errors import ProviderRejectedError
from staleproof.ports import JournalPage, Observed
from staleproof.providers.memory import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.tags import TagId


class WithoutJournal(MemoryProvider):
    """A memory provider that has no journal, as Memcached has none; it counts the reads."""

    journals = False
    reads = 0

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        self.reads += 1
        return super().read(key, tags)

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: str, limit: int
    ) -> tuple[JournalPage, Observed]:
        return JournalPage([], "", contiguous=False, complete=True), self.read(key, tags)

    def journal(self, cursor: str, limit: int) -> JournalPage:
        raise ProviderRejectedError("no journal")

    def journal_end(self) -> str:
        raise ProviderRejectedError("no journal")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server(clock: ManualClock) -> WithoutJournal:
    return WithoutJournal("n", clock=clock)


def cache(server: WithoutJournal, clock: ManualClock, staleness: float = 2.0) -> Cache:
    return Cache(server, policy=Policy(ttl="10m", staleness=staleness), clock=clock)


def test_a_copy_is_served_for_its_bound(server: WithoutJournal, clock: ManualClock) -> None:
    """Within `staleness` of the moment at which its read was asked there is no round trip; after it there is one."""
    here, numbers = cache(server, clock), count()
    for _ in range(3):
        assert here.get_or_load("key", lambda: next(numbers)) == 0
    asked = server.reads
    clock.advance(1.9)
    assert here.get_or_load("key", lambda: next(numbers)) == 0
    assert server.reads == asked
    clock.advance(0.2)
    assert here.get_or_load("key", lambda: next(numbers)) == 0
    assert server.reads == asked + 1
    assert here.statistics.near_hits >= 3


@pytest.mark.parametrize("what", ["tag", "key", "clear"])
def test_others_invalidations_are_met_within_the_bound(
    server: WithoutJournal, clock: ManualClock, what: str
) -> None:
    """P2 without a journal: a copy adds at most its bound, whatever was invalidated, also over a freeze."""
    here, there, numbers = cache(server, clock), cache(server, clock), count()
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 0
    clock.advance(1)
    if what == "tag":
        there.invalidate("t")
    elif what == "key":
        there.evict("key")
    else:
        there.clear()
    clock.advance(1.1)
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 1
    there.invalidate("t")
    clock.advance(3_600)
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 2


def test_ones_own_invalidations_are_met_at_once(server: WithoutJournal, clock: ManualClock) -> None:
    """The process that invalidates never reads its own copy again."""
    here, numbers = cache(server, clock, 60), count()
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 0
    here.invalidate("t")
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 1
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 1
    here.evict("key")
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 2


def test_a_load_in_flight_does_not_settle_after_ones_own_invalidation(
    server: WithoutJournal, clock: ManualClock
) -> None:
    """The fenced fill, by the counter that stands in for the journal's place."""
    here, numbers = cache(server, clock, 60), count()

    def load() -> int:
        value = next(numbers)
        if value == 0:
            here.invalidate("t")
        return value

    assert here.get_or_load("key", load, tags=["t"]) == 0
    assert here.get_or_load("key", load, tags=["t"]) == 1


def test_a_bound_of_zero_always_asks(server: WithoutJournal, clock: ManualClock) -> None:
    """Whatever the clock shows."""
    here, there, numbers = cache(server, clock, 0), cache(server, clock, 0), count()
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 0
    there.invalidate("t")
    assert here.get_or_load("key", lambda: next(numbers), tags=["t"]) == 1


def test_many_and_functions(server: WithoutJournal, clock: ManualClock) -> None:
    """Batches and decorated functions use the same copies."""
    here = cache(server, clock)
    calls = count()

    @here.cacheable("f:{n}")
    def function(n: int) -> int:
        next(calls)
        return n

    assert [function(1) for _ in range(3)] == [1, 1, 1]
    here.get_or_load_many(["a", "b"], lambda missing: dict.fromkeys(missing, 1))
    asked = server.reads
    assert here.get_or_load_many(["a", "b"], lambda missing: dict.fromkeys(missing, 2)) == {"a": 1, "b": 1}
    assert [function(1) for _ in range(3)] == [1, 1, 1]
    assert (server.reads, next(calls)) == (asked, 1)
    clock.advance(3)
    assert here.get_or_load_many(["a", "b"], lambda missing: dict.fromkeys(missing, 2)) == {"a": 1, "b": 1}
    assert server.reads > asked


def test_explain_needs_no_journal(server: WithoutJournal, clock: ManualClock) -> None:
    """It says what it can, and raises nothing."""
    here = cache(server, clock)
    here.get_or_load("key", lambda: 1, tags=["t"])
    clock.advance(5)
    assert str(here.explain("key", tags=["t"]))
    here.invalidate("t")
    assert str(here.explain("key", tags=["t"]))
