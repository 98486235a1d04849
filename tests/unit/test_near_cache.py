"""The near cache as a cache uses it: weak values, the last resort in an outage, children of a fork."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, NearCache, Policy
from staleproof.cache.near import Copy
from staleproof.clock import ManualClock
from staleproof.near.budget import Budget
from staleproof.providers.memory import MemoryProvider
from tests.unit.test_forks import in_child

if TYPE_CHECKING:
    from staleproof.cache.call import Call

BOUND = Policy(ttl="1h", staleness="10s")


class Stand:
    """A cache with a near cache of the given kind, and one function's calls."""

    def __init__(self, **arguments: Any) -> None:
        self.clock = ManualClock()
        self.near = NearCache(clock=self.clock, **arguments)
        provider = MemoryProvider("near", clock=self.clock)
        self.cache = Cache(provider, policy=BOUND, near=self.near, clock=self.clock)

    def call(self, key: str = "k", policy: Policy = BOUND) -> Call:
        return self.cache.call(key, policy=policy)

    def fill(self, key: str = "k", value: Any = "v") -> Any:
        return self.cache.get_or_load(key, lambda: value)


# --- the last resort ------------------------------------------------------------------------------


def test_the_last_resort_is_as_old_as_the_last_answer_of_the_journal() -> None:
    """In step with the journal at most so many seconds ago, by the clock that says more; not a second longer."""
    stand = Stand()
    stand.fill()
    stand.clock.advance(20)
    stand.clock.freeze(20)
    now = stand.clock.now()

    assert stand.near.get(stand.call(), now) is None
    assert stand.near.last_resort(stand.call(), 39.5, now) is None
    found = stand.near.last_resort(stand.call(), 40, now)
    assert found is not None
    assert found.value == "v"
    assert stand.near.last_resort(stand.call("other"), 40, now) is None


def test_the_last_resort_ends_with_the_life_of_the_copy() -> None:
    """However long an outage may be bridged, no copy outlives its time to live."""
    stand = Stand()
    stand.fill()
    stand.clock.freeze(3_600)
    assert stand.near.last_resort(stand.call(), 1e9, stand.clock.now()) is None


def test_the_last_resort_is_there_while_the_hit_path_is_closed() -> None:
    """An outage is met inside a load, when near copies are hidden."""
    stand = Stand()
    stand.fill()
    stand.near.hide(hidden=True)
    assert stand.near.last_resort(stand.call(), 1, stand.clock.now()) is not None


def test_the_last_resort_knows_what_was_invalidated() -> None:
    """What the journal, or this process itself, named before the outage is not served in it."""
    stand = Stand()
    stand.fill()
    stand.cache.invalidate(keys=["k"])
    assert stand.near.last_resort(stand.call(), 1e9, stand.clock.now()) is None
    stand.fill()
    stand.near.reset()
    stand.fill("other")
    assert stand.near.last_resort(stand.call(), 1e9, stand.clock.now()) is None


# --- weak values ------------------------------------------------------------------------------------


class Thing:
    """A value that can be referred to weakly."""

    def __init__(self, name: str) -> None:
        self.name = name


def insert(stand: Stand, key: str, value: Any) -> None:
    """Hold *value* near as what a read of *key* found."""
    call = stand.call(key)
    stand.near.insert(key, Copy(value, call.tags, call, stand.clock.now(), None), stand.near.position(), 10)


def test_weak_copies_live_as_long_as_somebody_uses_them() -> None:
    """A value that nobody else holds goes, and its weight with it; one in use is served as the same object."""
    stand = Stand(weak=True, max_bytes=1_000)
    stand.fill()
    used, unused = Thing("used"), Thing("unused")
    insert(stand, "used", used)
    insert(stand, "unused", unused)
    now = stand.clock.now()
    before = stand.near.statistics
    del unused
    gc.collect()
    found = stand.near.get(stand.call("used"), now)

    assert found is not None
    assert found.value is used
    assert stand.near.get(stand.call("unused"), now) is None
    after = stand.near.statistics
    assert (before.copies - after.copies, before.bytes - after.bytes, after.unused) == (1, 10, 1)


def test_what_cannot_be_referred_to_weakly_is_held() -> None:
    """Numbers, texts and dictionaries stay like in any near cache."""
    stand = Stand(weak=True)
    stand.fill(value={"id": 1})
    gc.collect()
    found = stand.near.get(stand.call(), stand.clock.now())
    assert found is not None
    assert found.value == {"id": 1}


def test_a_served_weak_value_cannot_go_away() -> None:
    """What `get` returns holds its value, whatever happens to the others that did."""
    stand = Stand(weak=True)
    stand.fill()
    value = Thing("x")
    insert(stand, "k", value)
    found = stand.near.get(stand.call(), stand.clock.now())
    del value
    gc.collect()
    assert found is not None
    assert found.value.name == "x"


def test_a_newer_copy_survives_the_end_of_an_older_value() -> None:
    """The end of a value buries its own copy, not the one that took its place."""
    stand = Stand(weak=True)
    stand.fill()
    old, new = Thing("old"), Thing("new")
    insert(stand, "k", old)
    insert(stand, "k", new)
    del old
    gc.collect()
    assert stand.near.statistics.unused == 0
    found = stand.near.get(stand.call(), stand.clock.now())
    assert found is not None
    assert found.value is new


def test_weak_values_lie_on_no_shelf() -> None:
    """A decorated function's hit path takes values as they are, so weak ones take the other way."""
    for weak in (True, False):
        stand = Stand(weak=weak)
        stand.fill()
        call, value = stand.call(), Thing("a")
        call.shelf = {}
        stand.near.insert("k", Copy(value, call.tags, call, stand.clock.now(), None), stand.near.position())
        assert bool(call.shelf) is not weak


# --- forks ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_claims_nothing_of_a_budget() -> None:
    """It begins empty, and the budget says so; the parent keeps what it has."""
    budget = Budget(1_000)
    stand = Stand(budget=budget)
    stand.fill()
    insert(stand, "k", "v")
    held = budget.held

    def child() -> bool:
        empty = budget.held == 0 and not stand.near.copies
        with budget._lock:
            return empty

    with budget._lock:  # as if another thread were claiming
        assert in_child(child) == 0
    assert budget.held == held == 10


@pytest.mark.parametrize(("staleness", "questions"), [(0, 1), (5, 0)])
def test_many_near_copies_cost_at_most_one_question(staleness: float, questions: int) -> None:
    """With a bound of 0 the journal is asked once for all of them; within a bound nobody is asked."""
    asked: list[str] = []

    class Counting(MemoryProvider):
        def journal(self, cursor: Any, limit: int) -> Any:
            asked.append("journal")
            return super().journal(cursor, limit)

        def read_many(self, wants: Any) -> Any:
            asked.append("read_many")
            return super().read_many(wants)

    cache = Cache(
        Counting("many", clock=ManualClock()), policy=Policy(staleness=staleness), clock=ManualClock()
    )

    def load(keys: list[str]) -> dict[str, str]:
        return {key: key for key in keys}

    keys = ["a", "b", "c"]
    cache.get_or_load_many(keys, load)
    asked.clear()
    assert cache.get_or_load_many(keys, load) == {key: key for key in keys}
    assert asked == ["journal"] * questions
    assert cache.statistics.near_hits == len(keys)
