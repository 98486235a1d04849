"""Values whose end comes back to the near cache: no lock is held then that they would wait for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from staleproof.events.invalidation import Invalidation
from staleproof.near.copies import Copy
from staleproof.near.store import NearStore
from staleproof.ports import journal_id
from staleproof.stores.latch import Latch

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 20.0


class Farewell:
    """A value that does something when it dies."""

    def __init__(self, last: Callable[[], object]) -> None:
        self.last = last

    def __del__(self) -> None:
        self.last()


def test_a_value_that_invalidates_when_it_is_evicted_hangs_nothing() -> None:
    """It dies after the lock was released, and what it named is gone."""
    store = NearStore(2)
    store.open(store.position(), journal_id("1-0", "e"))
    named = Invalidation(id="e", origin="o", namespace="n", keys=("other",))

    def run() -> None:
        for key in ("dying", "other", "new"):
            last = lambda: store.forget(named, journal_id("2-0", "e"))  # noqa: E731
            value = Farewell(last) if key == "dying" else key
            ticket = store.position()
            store.insert(key, Copy(value, [], store.clock.now(), None), ticket)
            del value

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert set(store.copies) == {"new"}


def test_a_change_from_within_the_lock_is_made_when_it_is_released() -> None:
    """What the garbage collector finalizes in the midst of a change neither waits for it nor meddles with it."""
    store = NearStore()
    store.open(store.position(), journal_id("1-0", "e"))
    store.insert("k", Copy(1, [], store.clock.now(), None), store.position())
    with store._lock:
        store.discard("k")
        assert "k" in store.copies
    assert "k" not in store.copies


def test_a_latch_is_free_again_after_what_was_put_off() -> None:
    """Changes that were put off are made once, in order, without the lock."""
    latch, seen = Latch(), []
    with latch:
        latch.defer(lambda: seen.append(latch.nested))
        with latch:
            assert latch.nested
        assert (latch.locked, seen) == (True, [])
    assert (latch.locked, seen) == (False, [False])
