"""The judge: was any read stale after its change had been acknowledged? Pure, offline, every read.

Theory of operation. A write gives a row a new version. In each region its invalidation is acknowledged at some
moment; from then on, plus the bound of the copy that answered, no read that *begins* may return an older version:

    stale  :=  begin > acknowledged + bound  and  version read < version of the change

The bound is the policy's staleness for a copy in the reader's own process, and nothing for everything else. A row that
is missing from the answer has version 0. Invalidations may be acknowledged in any order; what a read owes is the
highest version among those acknowledged in time, so a row keeps the acknowledgements sorted by time with the
running maximum of their versions, and a read costs one bisection a row.

Reads must be given in the order in which they ended, which makes the first fresh read of a change the first
one that shows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from local.demo.recording import FINAL, NEAR, NOT_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.demo.recording import Read

RowVersion = tuple[int, int]
"""A change: the row's number and its version after it."""
MAX_EXAMPLES = 20


class Write(NamedTuple):
    """A change as the writer saw it: when it began to write, and when the table had it, in nanoseconds."""

    row: int
    version: int
    start: int
    done: int


class Stale(NamedTuple):
    """A read that owed more than it returned."""

    region: str
    read: Read
    row: int
    returned: int
    owed: int
    late_ns: int


class _Row:
    """What the reads of one row in one region owe, and have shown."""

    __slots__ = ("shown", "times", "versions")

    def __init__(self, acknowledged: list[tuple[int, int]]) -> None:
        acknowledged.sort()
        self.times = [time for time, _ in acknowledged]
        self.versions = list(accumulate((version for _, version in acknowledged), max))
        self.shown = 0

    def owed(self, moment: int) -> int:
        """Return the version that a read owes for what was acknowledged before *moment*."""
        place = bisect_left(self.times, moment)
        return self.versions[place - 1] if place else 0

    def outdated_since(self, version: int) -> int:
        """Return when the first change newer than *version* was acknowledged."""
        return self.times[next(n for n, known in enumerate(self.versions) if known > version)]


class RegionJudge:
    """The judge of one region's reads.

    Args:
        region: its name.
        writes: every change.
        acknowledged: when each one's invalidation was acknowledged here; a change that is missing is lost.
        bound_ns: how long a copy in a process may lag.
        rows_of: the rows that each key shows.
    """

    def __init__(
        self,
        region: str,
        writes: Sequence[Write],
        acknowledged: Mapping[RowVersion, int],
        bound_ns: int,
        rows_of: Sequence[Sequence[int]],
    ) -> None:
        self.region = region
        self.lost = [write for write in writes if (write.row, write.version) not in acknowledged]
        self.stale_reads = 0
        self.examples: list[Stale] = []
        self.oldest_copy_ns = 0
        self.lag_ns: dict[RowVersion, int] = {}
        self.first_fresh: dict[RowVersion, int] = {}
        self._bound_ns = bound_ns
        self._rows_of = rows_of
        self._writes = {(write.row, write.version): write for write in writes}
        known: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for (row, version), time in acknowledged.items():
            known[row].append((time, version))
        self._rows = defaultdict(lambda: _Row([]), {row: _Row(times) for row, times in known.items()})

    @property
    def never_fresh(self) -> int:
        """Changes that no read has shown."""
        return len(self._writes) - len(self.first_fresh)

    def see(self, read: Read) -> None:
        """Judge one read."""
        stale = False
        for row, version in zip(self._rows_of[read.key], read.versions, strict=True):
            if version == NOT_SHOWN:
                continue
            state = self._rows[row]
            if version > state.shown:
                self._show(row, state, version, read.end)
            if version < state.owed(read.start):
                stale |= self._weigh(read, row, state, version)
        self.stale_reads += stale

    def _show(self, row: int, state: _Row, version: int, end: int) -> None:
        for each in range(state.shown + 1, version + 1):
            write = self._writes.get((row, each))
            if write is not None:
                self.first_fresh[row, each] = end
                self.lag_ns[row, each] = end - write.start
        state.shown = version

    def _weigh(self, read: Read, row: int, state: _Row, version: int) -> bool:
        """Judge a row that was older than the newest acknowledged; say whether it was staler than allowed."""
        near = read.source == NEAR
        late = read.start - state.outdated_since(version)
        if near:
            self.oldest_copy_ns = max(self.oldest_copy_ns, late)
        owed = state.owed(read.start - self._bound_ns if near else read.start)
        if version >= owed:
            return False
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(Stale(self.region, read, row, version, owed, late))
        return True


def diverged(
    truth: Mapping[int, int], finals: Mapping[str, Iterable[Read]], rows_of: Sequence[Sequence[int]]
) -> list[tuple[str, int]]:
    """Return `(reader, key)` of every key that a reader's last look did not show as the tables have it, or did not see.

    Args:
        truth: the version of each row in the tables.
        finals: each reader's reads of the final comparison.
        rows_of: the rows that each key shows.
    """
    wrong = []
    for reader, reads in finals.items():
        seen = {read.key: read.versions for read in reads if read.purpose == FINAL}
        for key, rows in enumerate(rows_of):
            if seen.get(key) != bytes(truth.get(row, 0) for row in rows):
                wrong.append((reader, key))
    return wrong
