"""Books: what a store holds, in what order it goes, when it is over, and what became of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from staleproof.stores.deadlines import Deadlines
from staleproof.stores.orders import Order, order
from staleproof.stores.removal import DELETED, EVICTED, EXPIRED, REPLACED, Removal
from staleproof.stores.statistics import StoreStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.stores.bounds import Bounds

K = TypeVar("K")
V = TypeVar("V")


class Item(Generic[V]):
    """A value, what it weighs, and when it is over: `deadline` is the earlier of `end` and the idle time's."""

    __slots__ = ("deadline", "end", "idle", "value", "weight")

    def __init__(self, value: V, weight: int, end: float | None, idle: float | None, now: float) -> None:
        self.value = value
        self.weight = weight
        self.end = end
        self.idle = idle
        self.deadline = end
        if idle is not None:
            self.renew(now)

    def renew(self, now: float) -> None:
        """Let the idle time begin anew."""
        later = now + (self.idle or 0.0)
        self.deadline = later if self.end is None else min(self.end, later)


class Books(Generic[K, V]):
    """The items of a store within *bounds*, which hold after every method. Its owner's lock guards them.

    Args:
        eviction: which order; see `staleproof.stores.orders`.
        bounds: what may be held.
        gone: given the key, the value and the reason of each item that left; what it drops dies under the lock.
    """

    def __init__(self, eviction: str, bounds: Bounds, gone: Callable[[tuple[K, V, Removal]], object]) -> None:
        self.items: dict[K, Item[V]] = {}
        self.weight = 0
        self.hits = self.misses = self.stored = self.refused = 0
        self._bounds = bounds
        self._gone = gone
        self._order: Order = order(eviction, bounds)
        self.used = self._order.used
        self._deadlines: Deadlines[K] = Deadlines()
        self._removed: dict[Removal, int] = {EVICTED: 0, EXPIRED: 0, REPLACED: 0, DELETED: 0}

    @property
    def timed(self) -> bool:
        """Whether anything has a deadline."""
        return bool(self._deadlines)

    def add(self, key: K, item: Item[V], now: float) -> bool:
        """Keep *item* under *key*, unless it is heavier than the whole bound; say whether it was kept."""
        if item.weight > self._bounds.weight:
            self.refused += 1
            self.remove(key, REPLACED)
            return False
        old = self.items.get(key)
        self.items[key] = item
        self.weight += item.weight
        self.stored += 1
        if old is None:
            self._order.add(key, item.weight)
        else:
            self._order.replace(key, item.weight)
            self._left(key, old, REPLACED)
        if item.deadline is not None:
            self._deadlines.add(key, item.deadline)
        if self._deadlines:
            self.expire(now)
        most, heaviest = self._bounds
        while len(self.items) > most or self.weight > heaviest:
            self.remove(self._order.victim(), EVICTED)
        return True

    def remove(self, key: K, why: Removal) -> bool:
        """Let go of *key*; say whether it was there."""
        item = self.items.pop(key, None)
        if item is None:
            return False
        self._order.remove(key)
        self._left(key, item, why)
        return True

    def renewed(self, key: K, item: Item[V], now: float) -> bool:
        """Say whether *item* is not over yet, which then counts as a use; otherwise let go of it."""
        if item.deadline is not None and item.deadline <= now:
            self.remove(key, EXPIRED)
            return False
        if item.idle is not None:
            item.renew(now)
        return True

    def expire(self, now: float) -> None:
        """Let go of everything that is over."""
        later: list[K] = []
        for key in self._deadlines.due(now):
            item = self.items.get(key)
            if item is None or item.deadline is None:
                continue
            if item.deadline <= now:
                self.remove(key, EXPIRED)
            else:
                later.append(key)
        for key in later:
            self._deadlines.add(key, self.items[key].deadline or now)
        if self._deadlines.crowded(len(self.items)):
            self._note_deadlines()

    def rebuild(self) -> None:
        """Make everything anew from the items, after a change that was never finished."""
        self._order.clear()
        self.weight = 0
        for key, item in self.items.items():
            self._order.add(key, item.weight)
            self.weight += item.weight
        self._note_deadlines()

    def statistics(self) -> StoreStatistics:
        """Return the counters."""
        return StoreStatistics(
            hits=self.hits,
            misses=self.misses,
            stored=self.stored,
            **self._removed,
            refused=self.refused,
            entries=len(self.items),
            bytes=self.weight,
        )

    def _left(self, key: K, item: Item[V], why: Removal) -> None:
        self.weight -= item.weight
        self._removed[why] += 1
        self._gone((key, item.value, why))

    def _note_deadlines(self) -> None:
        self._deadlines.rebuild(
            (k, item.deadline) for k, item in self.items.items() if item.deadline is not None
        )
