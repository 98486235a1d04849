"""A store holds what it was given, within its bounds and times, and accounts for everything that left."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError
from staleproof.stores import EVICTIONS, Store
from staleproof.stores.steady import Steady

every_eviction = pytest.mark.parametrize("eviction", EVICTIONS)


def by_length(_key: str, value: str) -> int:
    return len(value)


def test_what_was_set_is_there_until_it_is_deleted() -> None:
    """A value is returned as the object that was given; None is a value like any other."""
    store: Store[str, Any] = Store(max_entries=10)
    value = object()
    store.set("k", value)
    store.set("none", None)

    assert store.get("k") is value
    assert (store.get("none", 1), store.get("absent", 1)) == (None, 1)
    assert ("k" in store, "absent" in store, len(store), sorted(store)) == (
        True,
        False,
        2,
        ["k", "none"],
    )
    assert (store.delete("k"), store.delete("k"), store.peek("k")) == (True, False, None)


@every_eviction
def test_what_is_heavier_than_the_bound_is_refused(eviction: str) -> None:
    """Nothing is evicted for it; but the older value of its own key is gone, since it is no longer true."""
    store = Store(eviction=eviction, max_bytes=10, weigh=by_length)
    store.set("a", "12345")
    store.set("b", "1234")

    assert not store.set("a", "12345678901")
    assert (store.get("a"), store.get("b")) == (None, "1234")
    assert store.set("c", "123456")
    assert (store.statistics.refused, store.statistics.replaced, store.statistics.evicted) == (1, 1, 0)


@every_eviction
def test_both_bounds_hold_at_once(eviction: str) -> None:
    """Many light items meet the bound of entries, few heavy ones the bound of bytes."""
    store = Store(eviction=eviction, max_entries=5, max_bytes=100, weigh=by_length)
    for number in range(20):
        store.set(f"light:{number}", "x")
    assert (len(store), store.statistics.bytes) == (5, 5)
    for number in range(20):
        store.set(f"heavy:{number}", "x" * 45)
    assert store.statistics.bytes <= 100
    assert 1 <= len(store) <= 5


@every_eviction
def test_the_newest_always_gets_in(eviction: str) -> None:
    """However popular the rest is, what was just written can be read."""
    store: Store[int, int] = Store(eviction=eviction, max_entries=3)
    for number in range(3):
        store.set(number, number)
    for _ in range(20):
        assert [store.get(number) for number in range(3)] == [0, 1, 2]
    store.set(9, 9)

    assert store.get(9) == 9


def test_an_item_is_over_after_its_time_to_live_or_its_idle_time() -> None:
    """Use renews the idle time and not the time to live; a pause of the machine counts."""
    clock = ManualClock()
    store: Store[str, int] = Store(max_entries=10, idle=5, clock=clock)
    store.set("ttl", 1, ttl=8, idle=100)
    store.set("idle", 2)
    store.set("both", 3, ttl=8)
    for pause in (clock.advance, clock.freeze):
        pause(4)
        assert [store.get(key) for key in ("ttl", "idle", "both")] in ([1, 2, 3], [None, 2, None])
    assert list(store) == ["idle"]
    clock.freeze(5)
    assert store.get("idle") is None
    assert (store.statistics.expired, len(store)) == (3, 0)


def test_prolonging_never_shortens() -> None:
    """An item lives for the longest time that it was promised, for ever if need be."""
    clock = ManualClock()
    store: Store[str, int] = Store(max_entries=10, clock=clock)
    for key in ("longer", "shorter", "ever"):
        store.set(key, 1, ttl=10)
    store.prolong("longer", 20)
    store.prolong("shorter", 1)
    store.prolong("ever", None)
    store.prolong("absent", 1)
    clock.advance(9)
    assert [store.peek(key) for key in ("longer", "shorter", "ever")] == [1, 1, 1]
    clock.advance(2)
    assert [store.peek(key) for key in ("longer", "shorter", "ever")] == [1, None, 1]
    clock.advance(1_000)
    assert [store.peek(key) for key in ("longer", "ever")] == [None, 1]


@every_eviction
def test_what_is_over_makes_room_before_anything_alive(eviction: str) -> None:
    """A full store lets go of the dead first, though nobody asked for them."""
    clock = ManualClock()
    store: Store[int, int] = Store(eviction=eviction, max_entries=4, clock=clock)
    for number in range(4):
        store.set(number, number, ttl=1 if number % 2 else None)
    clock.advance(1)
    store.set(4, 4)

    assert sorted(store) == [0, 2, 4]
    assert store.statistics.evicted == 0


def test_husks_of_deadlines_do_not_pile_up() -> None:
    """Writing one key for ever, each time with a deadline, holds no more than a few of them."""
    store: Store[str, int] = Store(max_entries=10)
    for number in range(10_000):
        store.set("k", number, ttl=1_000)
    assert len(store._books._deadlines._heap) < 200


def test_the_listener_may_use_the_store() -> None:
    """It is told after the lock was released."""
    seen: list[tuple[str, int | None]] = []
    store: Store[str, int] = Store(
        max_entries=1, listener=lambda key, *_: seen.append((key, store.peek(key)))
    )
    store.set("a", 1)
    store.set("b", 2)
    store.set("b", 3)
    store.clear()

    assert seen == [("a", None), ("b", 3), ("b", None)]


def test_a_failing_listener_misses_nothing() -> None:
    """What it raises reaches the caller; what is left to be told is told by the next operation."""
    told: list[str] = []

    def listen(key: str, _value: int, why: str) -> None:
        told.append(f"{key} {why}")
        if key == "0":
            raise RuntimeError("not now")

    store: Store[str, int] = Store(max_entries=3, listener=listen)
    for number in range(3):
        store.set(str(number), number)
    with pytest.raises(RuntimeError, match="not now"):
        store.clear()
    store.get("absent")
    assert told == ["0 deleted", "1 deleted", "2 deleted"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "max_entries and max_bytes"),
        ({"max_entries": 0}, "max_entries=0"),
        ({"max_bytes": -1, "weigh": by_length}, "max_bytes=-1"),
        ({"max_entries": 2.5}, "max_entries=2.5"),
        ({"max_bytes": 100}, "weigh"),
        ({"max_entries": 1, "eviction": "mru"}, "eviction='mru'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    """A store that could not keep its promise is not made."""
    with pytest.raises(ConfigurationError, match=named):
        Store(**arguments)


def test_a_negative_weight_is_refused() -> None:
    """A weight below nothing would let the store grow without end."""
    store: Store[str, int] = Store(max_bytes=10, weigh=lambda _key, value: value)
    with pytest.raises(ConfigurationError, match="weigh returned -1 for 'k'"):
        store.set("k", -1)


class TwoHands:
    """A clock whose two hands are set one by one."""

    def __init__(self) -> None:
        self.hands: list[float] = [0, 0]

    def monotonic(self) -> float:
        return self.hands[0]

    def wall(self) -> float:
        return self.hands[1]

    def now(self) -> Any:
        return tuple(self.hands)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-50, 50)), max_size=30))
def test_steady_time_falls_behind_neither_clock(steps: list[tuple[int, int]]) -> None:
    """Between any two looks it moves at least as far as either clock, and never back."""
    clock = TwoHands()
    steady = Steady(clock)
    readings = [(0.0, 0.0, 0.0)]
    for monotonic, wall in steps:
        clock.hands = [clock.hands[0] + monotonic, clock.hands[1] + wall]
        readings.append((clock.monotonic(), clock.wall(), steady.read()))
    for at, earlier in enumerate(readings):
        for later in readings[at:]:
            moved = [after - before for before, after in zip(earlier, later, strict=True)]
            assert moved[2] >= max(*moved[:2], 0)


def test_counters_say_what_happened() -> None:
    """Hits and misses are those of `get`; looks are not counted."""
    store: Store[str, int] = Store(max_entries=2)
    store.set("a", 1)
    for key in ("a", "a", "b", "a"):
        store.get(key)
        store.peek(key)
    statistics = store.statistics

    assert Counter({"hits": statistics.hits, "misses": statistics.misses}) == Counter(hits=3, misses=1)
    assert statistics.hit_ratio == 0.75
    assert Store(max_entries=1).statistics.hit_ratio == 0
