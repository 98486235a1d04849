"""Invalidations that no server has acknowledged yet, for caches that were asked to defer them.

Theory of operation: with `unreachable="defer"` an invalidation that cannot reach the server is remembered here, and
applied before this process asks the server anything else. So nothing that it missed is served by this process
afterwards. It is *not* acknowledged meanwhile: other processes that still reach the server, or reach it sooner, may
serve what it would have forgotten. That is why the default is to raise. Above `MAX_RECORDS` the whole namespace is
cleared instead: memory is bounded, and nothing is forgotten to be forgotten.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation

MAX_RECORDS = 1_024


class Deferred:
    """A bounded queue. A record stays in it until it is acknowledged, so that no thread reads past it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Invalidation] = []

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Invalidation) -> None:
        """Remember *record*."""
        with self._lock:
            if len(self._records) >= MAX_RECORDS:
                self._records = [msgspec.structs.replace(record, tags=(), keys=(), clear=True, soft=False)]
            elif not (self._records and self._records[0].clear and not self._records[0].soft):
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
