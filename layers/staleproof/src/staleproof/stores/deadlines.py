"""Deadlines: which entries are over, soonest first.

A heap that is corrected late. Whoever moves a deadline back (an idle time, renewed at every use) leaves the heap alone;
the entry is looked at when its old deadline comes, and put back. What was removed stays as a husk until then, or until
husks are most of the heap, when it is built anew.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

K = TypeVar("K")

SLACK = 64
"""Husks that are never worth building the heap anew."""


class Deadlines(Generic[K]):
    """A heap of keys by deadline. Its owner's lock guards it."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._serial = count()  # keys need not be comparable

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, key: K, deadline: float) -> None:
        """Look at *key* again at *deadline*."""
        heapq.heappush(self._heap, (deadline, next(self._serial), key))

    def due(self, now: float) -> Iterator[K]:
        """Yield the keys whose noted deadline has come, and forget it."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def crowded(self, entries: int) -> bool:
        """Say whether most of the heap are husks, if the store holds so many *entries*."""
        return len(self._heap) > 2 * entries + SLACK

    def rebuild(self, deadlines: Iterable[tuple[K, float]]) -> None:
        """Note these and no others."""
        self._heap = [(deadline, next(self._serial), key) for key, deadline in deadlines]
        heapq.heapify(self._heap)
