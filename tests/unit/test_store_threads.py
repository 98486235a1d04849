"""A store under eight threads, and in a forked child."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from staleproof.stores import EVICTIONS, Store
from tests.unit.test_forks import held, in_child

if TYPE_CHECKING:
    from collections.abc import Iterator

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
