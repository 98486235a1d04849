"""Laws of operations on one value, on both faces: put_if_absent, compare_and_set, increment, update, touch, ttl."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import MISSING, Cache, ConfigurationError, LeaseLostError, Policy, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock
from tests.unit.flight_stand import Caller, Gate
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["portal", "stand"]

THREADS = 8
TICK = 0.001


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do *work* in so many threads, which begin together; return what each returned."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait(10)
        return work(number)

    callers = [Caller(lambda number=number: one(number)) for number in range(count)]  # type: ignore[misc]
    return [each.result() for each in callers]


# --- put_if_absent ----------------------------------------------------------------------------------


def test_one_of_several_puts_a_value_that_is_absent(stand: Callable[..., Stand]) -> None:
    """Whoever comes first wins, all others are told so, and everybody reads the winner's value."""
    it = stand()
    won = together(THREADS, lambda number: it.cache.put_if_absent("k", number, tags=["t"]))
    assert sorted(won) == [False] * (THREADS - 1) + [True]
    assert it.cache.get("k", tags=["t"]) == won.index(True)


@pytest.mark.parametrize("how", ["over", "evicted", "tag"])
def test_a_value_that_is_gone_is_absent(stand: Callable[..., Stand], how: str) -> None:
    """Expired, evicted or invalidated: what nobody may be served is not there."""
    it = stand(ttl=10, stale_if_error=60)
    assert it.cache.put_if_absent("k", 1, tags=["t"])
    assert not it.cache.put_if_absent("k", 2, tags=["t"])
    if how == "over":
        it.clock.advance(10)
    elif how == "evicted":
        it.cache.evict("k")
    else:
        it.cache.invalidate("t")
    assert it.cache.put_if_absent("k", 3, tags=["t"])
    assert it.cache.get("k", tags=["t"]) == 3


def test_none_is_there(stand: Callable[..., Stand]) -> None:
    """A stored `None` is a value like any other."""
    it = stand()
    assert it.cache.put_if_absent("k", None)
    assert not it.cache.put_if_absent("k", 1)
    assert it.cache.get("k") is None


# --- compare_and_set --------------------------------------------------------------------------------


def test_a_value_is_replaced_if_it_is_as_expected(stand: Callable[..., Stand]) -> None:
    """By equality of values; otherwise nothing is changed, and the caller is told."""
    it = stand()
    assert not it.cache.compare_and_set("k", 1, 2)
    it.cache.put("k", {"a": [1]})
    assert not it.cache.compare_and_set("k", {"a": [2]}, "wrong")
    assert it.cache.compare_and_set("k", {"a": [1]}, "right")
    assert it.cache.get("k") == "right"
    assert not it.cache.compare_and_set("k", MISSING, "absent")
    it.cache.evict("k")
    assert it.cache.compare_and_set("k", MISSING, "absent")


def test_a_chain_of_replacements_loses_none(stand: Callable[..., Stand]) -> None:
    """Threads that each count by replacing what they read get to the sum."""
    it = stand()
    it.cache.put("k", 0)

    def count(_: int) -> None:
        for _ in range(10):
            while True:
                seen = it.cache.get("k")
                if it.cache.compare_and_set("k", seen, seen + 1):
                    break

    together(4, count)
    assert it.cache.get("k") == 40


# --- increment --------------------------------------------------------------------------------------


def test_a_number_is_counted_up_by_several(stand: Callable[..., Stand]) -> None:
    """No step is lost, and each is told its own sum."""
    it = stand()
    sums = together(THREADS, lambda _: [it.cache.increment("k") for _ in range(10)])
    assert sorted(each for some in sums for each in some) == list(range(1, 10 * THREADS + 1))
    assert it.cache.get("k") == 10 * THREADS


@given(steps=st.lists(st.integers(-5, 5), max_size=12), initial=st.integers(-3, 3))
def test_steps_up_and_down_add_up(steps: list[int], initial: int) -> None:
    """Whatever the order and the signs."""
    cache = Cache(MemoryProvider("sums"))
    total = initial
    for step in steps:
        total += step
        if step < 0:
            assert cache.decrement("k", -step, initial=initial) == total
        else:
            assert cache.increment("k", step, initial=initial) == total
    assert not steps or cache.get("k") == total


@pytest.mark.parametrize("value", ["7", None, True, [1]])
def test_what_is_no_number_is_not_counted(stand: Callable[..., Stand], value: Any) -> None:
    """It is told so, and stays; and its key is free."""
    it = stand()
    it.cache.put("k", value)
    with pytest.raises(ConfigurationError, match="cannot be counted up"):
        it.cache.increment("k")
    assert it.cache.get("k") == value
    assert it.lease() is None


def test_a_number_has_the_life_of_its_policy(stand: Callable[..., Stand]) -> None:
    """Each step begins it anew; at its end the number begins anew."""
    it = stand(ttl=10)
    it.cache.increment("k")
    it.clock.advance(9)
    assert it.cache.increment("k") == 2
    it.clock.advance(9)
    assert it.cache.increment("k") == 3
    it.clock.advance(10)
    assert it.cache.increment("k") == 1


LOST = pytest.mark.parametrize("executed", [True, False], ids=["stored", "not stored"])


@LOST
def test_a_step_whose_answer_was_lost_is_made_once(stand: Callable[..., Stand], executed: bool) -> None:
    """A connection that broke between the server's work and its reply: the second run finds no lease."""
    it = stand()
    it.cache.increment("k")
    store = it.memory.store

    def lost(*args: Any) -> bool:
        it.memory.store = store  # type: ignore[method-assign]
        if executed:
            store(*args)
        else:
            it.memory.release(args[0], args[3])
        return False

    it.memory.store = lost  # type: ignore[method-assign, assignment]
    assert it.cache.increment("k") == 2
    assert it.cache.get("k") == 2


@LOST
def test_a_step_is_made_once_by_a_server_that_was_too_slow(
    stand: Callable[..., Stand], executed: bool
) -> None:
    """It did not answer in time; when it is asked again it tells what it did."""
    it = stand()
    it.cache.increment("k")
    store = it.memory.store

    def slow(*args: Any) -> bool:
        it.memory.store = store  # type: ignore[method-assign]
        if executed:
            store(*args)
        raise ProviderUnavailableError("no answer within the timeout")

    it.memory.store = slow  # type: ignore[method-assign, assignment]
    assert it.cache.increment("k") == 2
    assert it.cache.get("k") == 2


def test_a_step_that_is_not_known_to_be_made_is_raised(stand: Callable[..., Stand]) -> None:
    """While the server is away nobody can tell; the next step waits for nobody, and nothing is made late."""
    it = stand(lease=3_600, patience=3_600)
    it.cache.increment("k")
    it.server.go(only={"store", "release"})
    with pytest.raises(ProviderUnavailableError):
        it.cache.increment("k")
    it.server.come()
    assert Caller(lambda: it.cache.increment("k")).result() == 2


# --- update -----------------------------------------------------------------------------------------


def test_an_update_gets_what_is_there_and_may_leave_it(stand: Callable[..., Stand]) -> None:
    """`MISSING` where nothing is; and what returns `MISSING` changes nothing, and stores nothing."""
    it = stand()
    seen: list[Any] = []

    def change(value: Any) -> Any:
        seen.append(value)
        return MISSING

    assert it.cache.update("k", change) is MISSING
    it.cache.put("k", None)
    entry = it.entry()
    assert it.cache.update("k", change) is None
    assert seen == [MISSING, None]
    assert it.entry() == entry
    assert it.lease() is None


def test_a_change_that_fails_changes_nothing(stand: Callable[..., Stand]) -> None:
    """Its exception passes through, the value stays, and the key is free."""
    it = stand()
    it.cache.put("k", 1)

    def change(_: Any) -> Any:
        raise LookupError("from the application")

    with pytest.raises(LookupError):
        it.cache.update("k", change)
    assert it.cache.get("k") == 1
    assert it.lease() is None


def test_updates_and_loads_of_one_key_go_one_after_the_other(stand: Callable[..., Stand]) -> None:
    """An update waits for the load under way, and changes what it stored."""
    it = stand()
    gate = Gate(lambda _: 10)
    loading = Caller(lambda: it.read(gate))
    gate.wait_entered()
    updating = Caller(lambda: it.cache.update("k", lambda value: value + 1, tags=["t"]))
    gate.open()
    assert loading.result() == 10
    assert updating.result() == 11
    assert it.read() == 11


def test_an_update_is_made_again_where_the_key_was_evicted_meanwhile(stand: Callable[..., Stand]) -> None:
    """What it changed is gone: it is called with what is there then."""
    it = stand()
    it.cache.put("k", 1)
    seen: list[Any] = []

    def change(value: Any) -> Any:
        seen.append(value)
        if len(seen) == 1:
            it.memory.invalidate([it.cache.invalidation(keys=["k"])])
        return "changed"

    assert it.cache.update("k", change) == "changed"
    assert seen == [1, MISSING]
    assert it.cache.get("k") == "changed"


def test_an_update_under_a_tag_that_was_invalidated_meanwhile_is_no_hit(stand: Callable[..., Stand]) -> None:
    """What it built on may be wrong."""
    it = stand()
    it.cache.put("k", 1, tags=["t"])

    def change(value: Any) -> Any:
        it.memory.invalidate([it.cache.invalidation(["t"])])
        return value + 1

    assert it.cache.update("k", change, tags=["t"]) == 2
    assert it.cache.get("k", tags=["t"]) is MISSING


def test_a_key_that_is_kept_busy_is_told(stand: Callable[..., Stand]) -> None:
    """Past its patience an update gives up, and has changed nothing."""
    it = stand(patience=0.02)
    it.cache.put("k", 1)
    it.take_lease()
    it.clock.advance(0)
    patience = it.core.clock.monotonic
    ticks = iter(range(10_000))
    it.core.clock.monotonic = lambda: patience() + next(ticks) / 100
    try:
        with pytest.raises(LeaseLostError, match="kept busy"):
            it.cache.increment("k")
    finally:
        it.core.clock.monotonic = patience
    assert it.cache.get("k") == 1


@pytest.mark.parametrize("fields", [{"max_bytes": 5}, {"admit": lambda *_: False}], ids=["size", "admission"])
def test_a_value_that_the_policy_does_not_let_in_is_told(
    stand: Callable[..., Stand], fields: dict[str, Any]
) -> None:
    """At once, not as a key that is kept busy; what was there stays."""
    it = stand()
    it.cache.put("k", "old")
    policy = Policy(**fields)
    with pytest.raises(ConfigurationError, match="not let in by max_bytes or admit"):
        it.cache.update("k", lambda _: "much too long", policy=policy)
    assert it.cache.get("k") == "old"
    assert it.lease() is None


@pytest.mark.parametrize("staleness", [0, 5])
@pytest.mark.parametrize("how", ["update", "increment", "compare_and_set", "put"])
def test_near_copies_of_other_processes_follow(
    stand: Callable[..., Stand], staleness: float, how: str
) -> None:
    """What was changed in place is seen everywhere within the bound, here at once."""
    it = stand(ttl="1h", staleness=staleness)
    other = it.another()
    it.cache.put("k", 1, tags=["t"])
    assert [it.read(), it.read(), other.read(), other.read()] == [1] * 4
    change: dict[str, Callable[[], Any]] = {
        "update": lambda: it.cache.update("k", lambda _: 2, tags=["t"]),
        "increment": lambda: it.cache.increment("k", tags=["t"]),
        "compare_and_set": lambda: it.cache.compare_and_set("k", 1, 2, tags=["t"]),
        "put": lambda: it.cache.put("k", 2, tags=["t"]),
    }
    change[how]()
    assert it.read() == 2
    other.clock.advance(staleness + TICK if staleness else 0)
    assert other.read() == 2
    assert it.source.calls + other.source.calls == 0


# --- touch, ttl, exists -----------------------------------------------------------------------------


def test_how_long_a_value_lives_can_be_asked(stand: Callable[..., Stand]) -> None:
    """Seconds that are left, None for ever, 0 for what is not there or not fresh; and whether it is there."""
    it = stand(ttl=10, stale_if_error=60)
    assert (it.cache.ttl("k"), it.cache.exists("k")) == (0, False)
    it.cache.put("k", None)
    it.clock.advance(4)
    assert it.cache.ttl("k") == pytest.approx(6)
    assert it.cache.exists("k")
    it.clock.advance(6)
    assert (it.cache.ttl("k"), it.cache.exists("k")) == (0, False)
    it.cache.put("k", 1, policy=Policy(ttl=None))
    assert it.cache.ttl("k") is None


@pytest.mark.parametrize("window", [0, 60])
@pytest.mark.parametrize(("ttl", "expected"), [(None, 10), (3, 3), ("1h", 3_600)])
def test_a_life_can_be_moved(stand: Callable[..., Stand], ttl: Any, expected: float, window: float) -> None:
    """Longer or shorter, from now on, the policy's by default; the value is not moved."""
    it = stand(ttl=10, stale_if_error=window)
    it.read()
    it.clock.advance(8)
    assert it.cache.touch("k", ttl, tags=["t"])
    assert it.cache.ttl("k", tags=["t"]) == pytest.approx(expected)
    it.clock.advance(expected - TICK)
    it.read()
    assert it.source.calls == 1
    it.clock.advance(2 * TICK)
    it.read()
    assert it.source.calls == 2


def test_a_life_can_be_made_endless(stand: Callable[..., Stand]) -> None:
    """With a policy that has no end; its versions then have none either."""
    it = stand(ttl=10)
    it.read()
    assert it.cache.touch("k", tags=["t"], policy=Policy(ttl=None))
    it.clock.advance(10 * 86_400)
    it.read()
    assert it.source.calls == 1
    it.cache.invalidate("t")
    it.read()
    assert it.source.calls == 2


@pytest.mark.parametrize("how", ["absent", "over", "tag"])
def test_what_is_not_there_cannot_be_touched(stand: Callable[..., Stand], how: str) -> None:
    """Nothing comes back to life."""
    it = stand(ttl=10, stale_if_error=60)
    if how != "absent":
        it.read()
    if how == "over":
        it.clock.advance(10)
    if how == "tag":
        it.cache.invalidate("t")
    assert not it.cache.touch("k", "1h", tags=["t"])
    it.read()
    assert it.source.calls == (1 if how == "absent" else 2)


def test_versions_outlive_what_was_touched(stand: Callable[..., Stand]) -> None:
    """A life that was made longer is still a hit when its tags' first versions would have ended."""
    it = stand(ttl=10)
    it.read()
    assert it.cache.touch("k", "1d", tags=["t"])
    it.clock.advance(86_000)
    it.read()
    assert it.source.calls == 1


def test_a_touch_to_a_shorter_life_reaches_near_copies() -> None:
    """Another process's copy goes at its next look at the journal, and ends with the entry; a longer one is left."""
    clock = ManualClock()
    provider = MemoryProvider("touched", clock=clock)
    policy = Policy(ttl="1h", staleness=0)
    mine, theirs = Cache(provider, policy=policy, clock=clock), Cache(provider, policy=policy, clock=clock)

    def load() -> int:
        return 1

    theirs.get_or_load("k", load)
    theirs.get_or_load("k", load)
    assert theirs.statistics.near_hits == 1
    end = provider.journal_end()
    assert mine.touch("k", "2h")
    assert provider.journal_end() == end
    assert mine.touch("k", "10s")
    assert provider.journal_end() != end
    theirs.get_or_load("k", load)
    assert (theirs.statistics.loads, mine.ttl("k")) == (1, 10)
    clock.advance(11)
    theirs.get_or_load("k", load)
    assert theirs.statistics.loads == 2
