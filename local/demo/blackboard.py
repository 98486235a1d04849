"""What the demo's processes tell one another while they run: a file of integers that all of them map.

Every number has one writer. An aligned 64-bit store is seen whole or not at all, and nobody decides anything
irrevocable by what is read here, so there is no lock. Layout, in 8-byte integers: the phase and the run's
beginning; a column each for when a change's write began and was done; then a line of counters a reader.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WAITING, RUNNING, COMPARING = range(3)
COUNTERS = ("ready", "traffic", "traffic_hits", "watch", "errors", "compared", "ended")
_PHASE, _BEGAN, _HEAD = 0, 1, 2
_SIZE = 8


class Blackboard:
    """The mapped file at *path*, for so many changes and readers; `create` makes it first.

    Attributes:
        started: nanoseconds at which each change's write began, 0 until then.
        done: nanoseconds at which the table had it.
    """

    def __init__(self, path: Path, changes: int, readers: int) -> None:
        self.readers = readers
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._cells = memoryview(self._map).cast("q")
        self.started = self._cells[_HEAD : _HEAD + changes]
        self.done = self._cells[_HEAD + changes : _HEAD + 2 * changes]
        self._counters = self._cells[_HEAD + 2 * changes :]

    @classmethod
    def create(cls, path: Path, changes: int, readers: int) -> Blackboard:
        """Make the file, all zero, and map it."""
        path.write_bytes(bytes(_SIZE * (_HEAD + 2 * changes + readers * len(COUNTERS))))
        return cls(path, changes, readers)

    @property
    def phase(self) -> int:
        """`WAITING`, `RUNNING` or `COMPARING`."""
        return self._cells[_PHASE]

    @property
    def began(self) -> int:
        """Monotonic nanoseconds at which the run began."""
        return self._cells[_BEGAN]

    def begin(self, now: int) -> None:
        """Let everybody run from *now*."""
        self._cells[_BEGAN] = now
        self._cells[_PHASE] = RUNNING

    def compare(self) -> None:
        """Let the readers compare every key, and end."""
        self._cells[_PHASE] = COMPARING

    def counters(self, reader: int) -> memoryview:
        """Return the counters of one reader, in the order of `COUNTERS`."""
        width = len(COUNTERS)
        return self._counters[reader * width : (reader + 1) * width]

    def count(self, name: str, reader: int) -> int:
        """Return one counter of one reader."""
        return self._counters[reader * len(COUNTERS) + COUNTERS.index(name)]

    def total(self, name: str) -> int:
        """Return one counter, summed over the readers."""
        return sum(self.count(name, reader) for reader in range(self.readers))
