"""What could hold a process's values: bare mappings under a lock, kept packages, and `staleproof.stores.Store`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable


class Held(NamedTuple):
    """A store that was made: how it is read, written and counted."""

    get: Callable[[str], Any]
    set: Callable[[str, int], object]
    entries: Callable[[], int]


class OrderedDictLock:
    """The least that is least recently used and thread-safe: what a bound and an order cost."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._items: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> int | None:
        """Return the value of *key*, which is then the last to go."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def set(self, key: str, value: int) -> None:
        """Keep *value*, and let the first key go if there are too many."""
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            if len(self._items) > self._entries:
                self._items.popitem(last=False)

    def held(self) -> Held:
        """Return its operations."""
        return Held(self.get, self.set, self._items.__len__)


class DictLock(OrderedDictLock):
    """The same over a plain dictionary, whose order is that of insertion."""

    def __init__(self, entries: int) -> None:
        super().__init__(entries)
        self._plain: dict[str, int] = {}

    def get(self, key: str) -> int | None:
        """See `OrderedDictLock.get`."""
        with self._lock:
            value = self._plain.pop(key, None)
            if value is not None:
                self._plain[key] = value
            return value

    def set(self, key: str, value: int) -> None:
        """See `OrderedDictLock.set`."""
        with self._lock:
            self._plain.pop(key, None)
            self._plain[key] = value
            if len(self._plain) > self._entries:
                del self._plain[next(iter(self._plain))]

    def held(self) -> Held:
        """Return its operations."""
        return Held(self.get, self.set, self._plain.__len__)


def ours(eviction: str) -> Callable[[int], Held]:
    """Return a maker of our own store."""

    def make(entries: int) -> Held:
        store: Store[str, int] = Store(eviction=eviction, max_entries=entries)
        return Held(store.get, store.set, store.__len__)

    return make


def cachebox(kind: str) -> Callable[[int], Held]:
    """Return a maker of a cache of the package cachebox."""

    def make(entries: int) -> Held:
        cache = getattr(import_module("cachebox"), kind)(entries)
        return Held(cache.get, cache.insert, cache.__len__)

    return make


def moka(policy: str) -> Callable[[int], Held]:
    """Return a maker of a cache of the package moka-py."""

    def make(entries: int) -> Held:
        cache = import_module("moka_py").Moka(entries, policy=policy)
        return Held(cache.get, cache.set, cache.count)

    return make


def theine(entries: int) -> Held:
    """Make a cache of the package theine, whose `get` returns a pair."""
    cache = import_module("theine").Cache(entries)
    return Held(lambda key: cache.get(key)[0], cache.set, cache.__len__)


CANDIDATES: dict[str, Callable[[int], Held]] = {
    "dict + lock": lambda entries: DictLock(entries).held(),
    "OrderedDict + lock": lambda entries: OrderedDictLock(entries).held(),
    "cachebox lru": cachebox("LRUCache"),
    "cachebox lfu": cachebox("LFUCache"),
    "cachebox fifo": cachebox("FIFOCache"),
    "moka lru": moka("lru"),
    "moka tiny_lfu": moka("tiny_lfu"),
    "theine": theine,
    **{f"Store {eviction}": ours(eviction) for eviction in ("lru", "lfu", "fifo", "tinylfu")},
}
