"""Records gathered into batches: until there are enough, until they are large enough, or until time is up. No I/O.

A batch closes at `BatchSize` records, at the payload bound of an invocation, or `MaximumBatchingWindowInSeconds`
after its first record came, whichever is first.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.event_sources.retry import Record

MAX_PAYLOAD = 6 * 1024 * 1024
ENVELOPE = 64
"""Bytes around the records of an event."""


class BatchWindow:
    """Records waiting to be delivered, oldest first.

    Args:
        size: records a batch holds at most.
        seconds: how long the first record of a batch may wait for more; 0 delivers what there is.
        max_bytes: bound of a batch's JSON. A larger record goes alone, and its invocation fails.
    """

    def __init__(self, size: int = 100, seconds: float = 0.0, max_bytes: int = MAX_PAYLOAD) -> None:
        self._size = size
        self._seconds = seconds
        self._max_bytes = max_bytes - ENVELOPE
        self._waiting: deque[tuple[Record, int, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, records: Iterable[Record], now: float) -> None:
        """Let *records* wait, from *now* (monotonic seconds) on."""
        for record in records:
            size = len(json.dumps(record.body, separators=(",", ":")).encode()) + 1
            self._waiting.append((record, size, now))

    def due(self) -> float | None:
        """Return when the oldest record has waited long enough, or None if none waits."""
        return self._waiting[0][2] + self._seconds if self._waiting else None

    def take(self, now: float) -> list[Record]:
        """Return the next batch if it is full or its time is up, else an empty list."""
        count = self._fitting()
        due = self.due()
        complete = count and (count == self._size or count < len(self._waiting))
        if due is None or not (complete or now >= due):
            return []
        return [self._waiting.popleft()[0] for _ in range(count)]

    def _fitting(self) -> int:
        total = count = 0
        for _, size, _ in self._waiting:
            total += size
            if count == self._size or (count and total > self._max_bytes):
                break
            count += 1
        return count
