"""A store: a bounded, thread-safe mapping inside the process, that tells of everything it lets go of.

Theory of operation
-------------------
One lock makes every operation whole. The items are the truth; the order of eviction and the heap of deadlines are made
from them, and made anew in a forked child when a thread of the parent was in the middle of a change.

* **Bounds** hold whenever the lock is free: what is over is removed first, then what the order gives up. What is
  heavier than the whole bound is refused; the value that it was to replace is gone all the same: it is no longer true.
* **Life**: `ttl` counts from the writing, `idle` from the last use; by `Steady`, so a pause of the machine counts.
* **Listener**: it is told of every item that left exactly once, after the lock was released, mostly by the thread that
  caused it. So it may use the store, and it may come a moment late. What it raises reaches the caller of the operation
  that told it; what else is to be told is told by the next one.
* **Values die** after the lock was released (`Latch`): their `__del__`, any other that the garbage collector runs, and
  signal handlers may use the store. If they come upon this thread in the midst of a change, their own change is made
  right after that one, and until then they find nothing.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, overload
from weakref import WeakSet

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError
from staleproof.stores.books import Books, Item
from staleproof.stores.bounds import checked
from staleproof.stores.latch import Latch, deferring
from staleproof.stores.removal import DELETED, Removal
from staleproof.stores.steady import Steady

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from typing import Any

    from staleproof.stores.statistics import StoreStatistics

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
D = TypeVar("D")

_STORES: WeakSet[Store[Any, Any]] = WeakSet()


def _after_fork() -> None:
    for store in list(_STORES):
        store.after_fork()


os.register_at_fork(after_in_child=_after_fork)


class Store(Generic[K, V]):
    """A bounded mapping.

    Args:
        eviction: `lru`, `lfu`, `fifo` or `tinylfu`; see `staleproof.stores.orders`.
        max_entries: how many items it holds at most, or None.
        max_bytes: how many bytes they weigh at most together, or None.
        weigh: what an item weighs in bytes, from its key and value; needed with *max_bytes*.
        idle: seconds without use after which an item goes, where `set` gives none; None for never.
        listener: called with the key, the value and the reason of everything that left.
        clock: the source of time.

    Raises:
        ConfigurationError: no bound is given, one is below 1, or *max_bytes* lacks *weigh*.
    """

    def __init__(
        self,
        *,
        eviction: str = "lru",
        max_entries: int | None = None,
        max_bytes: int | None = None,
        weigh: Callable[[K, V], int] | None = None,
        idle: float | None = None,
        listener: Callable[[K, V, Removal], object] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if max_bytes is not None and weigh is None:
            raise ConfigurationError(f"max_bytes={max_bytes!r} needs weigh, which tells an item's bytes")
        self._weigh = weigh
        self._idle = idle
        self._listener = listener
        self._untold: deque[tuple[K, V, Removal]] = deque()
        self._steady = Steady(clock)
        self._lock = Latch()
        self._books: Books[K, V] = Books(eviction, checked(max_entries, max_bytes), self._untold.append)
        _STORES.add(self)

    # --- reading -----------------------------------------------------------------------------------

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of *key*, which counts as a use, or *default*."""
        books, lock = self._books, self._lock
        if lock.owned():
            item = self._alive(key)
            return default if item is None else item.value
        with lock.raw:
            item = books.items.get(key)
            if item is not None and item.deadline is None:
                books.hits += 1
                books.used(key)
        if lock.deferred:
            lock.settle()
        return item.value if item is not None and item.deadline is None else self._get_timed(key, default)

    def _get_timed(self, key: K, default: Any) -> Any:
        """See `get`, for what may be over."""
        books = self._books
        with self._lock:
            item = books.items.get(key)
            if item is not None and (item.deadline is None or books.renewed(key, item, self._steady.read())):
                books.hits += 1
                books.used(key)
                return item.value
            books.misses += 1
        self._tell()
        return default

    def peek(self, key: K) -> V | None:
        """Return the value of *key* or None; no use, and not counted."""
        lock = self._lock
        with lock.raw:
            item = self._alive(key)
        if lock.deferred:
            lock.settle()
        return None if item is None else item.value

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return self._alive(key) is not None

    def __len__(self) -> int:
        return len(self._books.items)

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys held now, in no order; some may be over and not yet removed."""
        with self._lock:
            return iter(list(self._books.items))

    @property
    def statistics(self) -> StoreStatistics:
        """What it did so far, as of one moment."""
        with self._lock:
            return self._books.statistics()

    # --- writing -----------------------------------------------------------------------------------

    def set(self, key: K, value: V, *, ttl: float | None = None, idle: float | None = None) -> bool:
        """Keep *value* under *key*; say whether it was kept, or refused because it is heavier than the bound.

        Args:
            key: whose value it is.
            value: what to keep.
            ttl: seconds after which it goes; None for never.
            idle: seconds without use after which it goes; the store's own by default.
        """
        weight = _weight_of(self._weigh, key, value)
        if self._lock.nested:
            return self._lock.defer(partial(self.set, key, value, ttl=ttl, idle=idle))
        if idle is None:
            idle = self._idle
        with self._lock:
            timed = ttl is not None or idle is not None or self._books.timed
            now = self._steady.read() if timed else 0.0
            item = Item(value, weight, None if ttl is None else now + ttl, idle, now)
            kept = self._books.add(key, item, now)
        self._tell()
        return kept

    def amend(self, key: K, value: V) -> bool:
        """Replace what *key* holds by *value*, to live on as long as the old would have; say whether it is kept."""
        weight = _weight_of(self._weigh, key, value)
        if self._lock.nested:
            there = key in self
            return self._lock.defer(partial(self.amend, key, value)) and there
        with self._lock:
            old = self._alive(key)
            now = self._steady.read()
            kept = old is not None and self._books.add(key, Item(value, weight, old.end, old.idle, now), now)
        self._tell()
        return kept

    @deferring
    def prolong(self, key: K, ttl: float | None) -> None:
        """Let *key*, if it is there, live for at least another *ttl* seconds; None for ever."""
        with self._lock:
            item = self._alive(key)
            if item is None or item.end is None:
                return
            now = self._steady.read()
            item.end = item.deadline = None if ttl is None else max(item.end, now + ttl)
            if item.idle is not None:
                item.renew(now)

    def delete(self, key: K) -> bool:
        """Remove *key*; say whether it was there."""
        if self._lock.nested:
            there = key in self
            return self._lock.defer(partial(self.delete, key)) and there
        with self._lock:
            there = self._books.remove(key, DELETED)
        self._tell()
        return there

    @deferring
    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            for key in list(self._books.items):
                self._books.remove(key, DELETED)
        self._tell()

    @deferring
    def expire(self) -> None:
        """Remove what is over; every `set` does so too."""
        with self._lock:
            self._books.expire(self._steady.read())
        self._tell()

    def after_fork(self) -> None:
        """Go on in a child process: a thread of the parent may have held the lock, in the middle of a change."""
        torn = self._lock.locked
        self._lock = Latch()
        if torn:
            self._books.rebuild()

    def _alive(self, key: K) -> Item[V] | None:
        if self._lock.deferred:
            return None  # something is about to change: in doubt nothing is found
        item = self._books.items.get(key)
        if item is None or (item.deadline is not None and item.deadline <= self._steady.read()):
            return None
        return item

    def _tell(self) -> None:
        """Let go of what left, without the lock, and tell of it."""
        while self._untold:
            try:
                told = self._untold.popleft()
            except IndexError:  # another thread tells it
                return
            if self._listener is not None:
                self._listener(*told)


def _weight_of(weigh: Callable[[Any, Any], int] | None, key: object, value: object) -> int:
    weight = 0 if weigh is None else weigh(key, value)
    if weight < 0:
        raise ConfigurationError(f"weigh returned {weight!r} for {key!r}; return bytes, 0 or more")
    return weight
