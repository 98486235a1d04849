"""Invalidations that no server has acknowledged yet, for caches that were asked to defer them.

Theory of operation: with `unreachable="defer"` an invalidation that cannot reach the server is remembered here, and
applied before this process asks the server anything else. So nothing that it missed is served by this process
afterwards. It is *not* acknowledged meanwhile: other processes that still reach the server, or reach it sooner, may
serve what it would have forgotten. That is why the default is to raise. Above `MAX_RECORDS` the whole namespace is
cleared instead: memory is bounded, and nothing is forgotten to be forgotten.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.near import NearCache
    from staleproof.cache.statistics import Statistics
    from staleproof.events import Invalidation
    from staleproof.ports import JournalId

MAX_RECORDS = 1_024


_QUEUES: WeakSet[Deferred] = WeakSet()


def _begin_anew() -> None:
    """In a child process: a thread of the parent may have held the lock. What waits there waits here, too."""
    for deferred in list(_QUEUES):
        deferred.unlock()


os.register_at_fork(after_in_child=_begin_anew)


def everything(newest: Invalidation, records: Sequence[Invalidation]) -> Invalidation:
    """Return the clear that stands for *records*, with the highest of their row fences, for the longest time."""
    fences = [each for each in records if each.row_version is not None and each.lag_ms]
    return msgspec.structs.replace(
        newest,
        tags=(),
        keys=(),
        clear=True,
        soft=False,
        row_version=max((each.row_version or 0 for each in fences), default=None),
        lag_ms=max((each.lag_ms for each in fences), default=0),
    )


class Deferred:
    """A bounded queue. A record stays in it until it is acknowledged, so that no thread reads past it."""

    def __init__(self) -> None:
        self._records: list[Invalidation] = []
        self.unlock()
        _QUEUES.add(self)

    def unlock(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Invalidation) -> None:
        """Remember *record*."""
        with self._lock:
            first = self._records[0] if self._records else None
            covered = first is not None and first.clear and not first.soft
            if covered or len(self._records) >= MAX_RECORDS:
                # Under the id of the newest: the one before may be on its way to the server, ahead of this one.
                self._records = [everything(record, [*self._records, record])]
            else:
                self._records.append(record)

    def waiting(self) -> Sequence[Invalidation]:
        """Return what is to be applied."""
        with self._lock:
            return list(self._records)

    def done(self, records: Sequence[Invalidation]) -> int:
        """Forget *records*, which were acknowledged; return how many of them were still waiting."""
        with self._lock:
            ids, before = {record.id for record in records}, len(self._records)
            self._records = [record for record in self._records if record.id not in ids]
            return before - len(self._records)


class Acknowledging:
    """What becomes of our own copies when the server has acknowledged an invalidation of ours, or has not."""

    near: NearCache | None
    deferred: Deferred | None
    statistics: Statistics

    def acknowledged(self, invalidations: Sequence[Invalidation], places: Sequence[JournalId]) -> None:
        """Note that the provider has applied *invalidations*: our own copies go at once."""
        applied = len(invalidations)
        self.statistics.invalidations += applied
        self._forget(invalidations, places)

    def caught_up(
        self, deferred: Deferred, records: Sequence[Invalidation], places: Sequence[JournalId]
    ) -> None:
        """Note that the provider has applied deferred *records*, maybe those of another thread as well: once."""
        self._forget(records, places)
        applied = deferred.done(records)
        self.statistics.invalidations += applied

    def _forget(self, invalidations: Sequence[Invalidation], places: Sequence[JournalId]) -> None:
        if self.near is not None and places:
            for each in invalidations:
                self.near.forget(each, places[-1])

    def unacknowledged(self, record: Invalidation) -> bool:
        """Note that no server answered to *record*: our own copies go all the same. Say whether it was deferred.

        Deferred first: whatever is asked from then on applies it. What was asked before must not settle near: its
        place in the journal does not tell that it is older than *record*.
        """
        if self.deferred is not None:
            self.deferred.add(record)
            self.statistics.fell_back("deferred")
        near = self.near
        if near is not None:
            near.distrust()
            cursor = near.position().cursor
            if cursor:
                near.forget(record, cursor)
        return self.deferred is not None
