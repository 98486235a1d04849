"""A store under eight threads, in a forked child, and from within itself: finalizers and signal handlers."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from staleproof.near.budget import Budget
from staleproof.stores import EVICTIONS, Store
from tests.unit.test_forks import held, in_child
from tests.unit.test_near_finalizers import LIMIT, Farewell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

THREADS, STEPS = 8, 1_500
MAX_ENTRIES, MAX_BYTES = 50, 400


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("eviction", EVICTIONS)
def test_a_storm_leaves_the_books_balanced(eviction: str) -> None:
    """Whatever eight threads do at once, bounds hold at every moment and every value is held or told once."""
    told: list[tuple[int, tuple[int, int], str]] = []
    store: Store[int, tuple[int, int]] = Store(
        eviction=eviction,
        max_entries=MAX_ENTRIES,
        max_bytes=MAX_BYTES,
        weigh=lambda _key, value: value[1] % 20,
        listener=lambda *each: told.append(each),
    )
    kept: list[tuple[int, int]] = []
    wrong: list[object] = []

    def storm(number: int) -> None:
        chance = random.Random(number)
        for step in range(STEPS):
            key = chance.randrange(100)
            if store.get(key) is None and store.set(key, (number, step), ttl=chance.choice((None, 1e-4, 9))):
                kept.append((number, step))
            if not step % 7:
                store.delete(chance.randrange(100))
            statistics = store.statistics
            if statistics.entries > MAX_ENTRIES or statistics.bytes > MAX_BYTES:
                wrong.append(statistics)

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = store.statistics
    still = [item.value for item in store._books.items.values()]
    assert wrong == []
    assert Counter(kept) == Counter([*still, *(value for _, value, _ in told)])
    assert statistics.stored == len(kept) == len(still) + len(told)
    assert statistics.hits + statistics.misses == THREADS * STEPS


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("eviction", EVICTIONS)
def test_a_child_forked_in_the_middle_of_a_change_has_whole_books(eviction: str) -> None:
    """A thread of the parent held the lock, half way through: the child reads, writes and keeps the bounds."""
    store: Store[int, bytes] = Store(
        eviction=eviction, max_entries=5, max_bytes=50, weigh=lambda _key, value: len(value)
    )
    for number in range(5):
        store.set(number, bytes(number), ttl=100)

    def works() -> bool:
        whole = store.statistics.bytes == 0 + 1 + 2 + 4
        for number in range(10, 20):
            store.set(number, bytes(20), ttl=100)
        return whole and store.get(19) == bytes(20) and len(store) <= 5 and store.statistics.bytes <= 50

    with held(store._lock):
        gone = store._books.items.pop(3)  # as if the thread had come so far
        assert in_child(works) == 0
        store._books.items[3] = gone
    assert store.get(1) == bytes(1)


def in_time(work: Callable[[], object]) -> bool:
    """Say whether *work* comes to an end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    return not thread.is_alive()


@pytest.mark.parametrize("eviction", EVICTIONS)
def test_a_value_that_uses_the_store_when_it_goes_hangs_nothing(eviction: str) -> None:
    """It dies after the lock was released, whichever way it went, and what it does is done."""
    store: Store[str, object] = Store(eviction=eviction, max_entries=2)
    seen: list[object] = []

    def last() -> None:
        seen.append(len(store))
        store.delete("other")
        store.set("left", 1)

    def work() -> None:
        for go in (
            lambda: (store.set("new", 1), store.set("newer", 1)),  # evicted
            lambda: store.set("dying", 1),  # replaced
            lambda: store.delete("dying"),
            store.clear,
        ):
            store.clear()
            store.set("dying", Farewell(last))
            go()

    assert in_time(work)
    assert len(seen) == 4
    assert "left" in store


def test_what_comes_upon_a_change_is_done_right_after_it() -> None:
    """In the midst of a change nothing is found, nothing waits, and nothing is lost."""
    store: Store[str, int] = Store(max_entries=9)
    for key in "abc":
        store.set(key, 1)

    def work() -> None:
        with store._lock:
            assert store.get("a") == 1
            assert store.set("d", 4)
            assert (store.get("a"), store.peek("d"), "a" in store) == (None, None, False)
            assert [store.delete("b"), store.delete("none")] == [False, False]
            store.prolong("c", 5)
            store.expire()
            assert sorted(store) == ["a", "b", "c"]
            assert store.statistics.entries == 3

    assert in_time(work)
    assert sorted(store) == ["a", "c", "d"]
    assert store.get("d") == 4


def test_a_signal_handler_may_use_a_store_and_a_budget() -> None:
    """It runs between any two steps of the main thread, which waits for it: it must not wait for that in turn."""
    store: Store[int, bytes] = Store(max_entries=20, max_bytes=400, weigh=lambda _key, value: len(value))
    budget, member, handled = Budget(10_000), _Member(), 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal handled
        handled += 1
        store.set(handled % 30, bytes(handled % 30))
        store.get(handled % 7)
        store.delete(handled % 11)
        if budget.claim(member, 1):
            budget.release(member, 1)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
    try:
        step = 0
        while handled < 300:
            step += 1
            store.set(step % 40, bytes(step % 40), ttl=1 if step % 3 else None)
            store.get(step % 40)
            if budget.claim(member, 2):
                budget.release(member, 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert budget.held == 0
    statistics = store.statistics
    assert statistics.entries == len(store) <= 20
    assert statistics.bytes == sum(len(store.peek(key) or b"") for key in store) <= 400


class _Member:
    """A near cache that has nothing to give."""

    def shed(self) -> bool:
        """Give nothing."""
        return False
