"""From what was recorded to figures: one pass over all reads, in the order in which they ended."""

from __future__ import annotations

from collections import Counter
from heapq import merge
from math import ceil
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from local.demo.judge import RegionJudge, Write, diverged
from local.demo.recording import FINAL, LOADED, SOURCES, TRAFFIC, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from local.demo.judge import RowVersion
    from local.demo.recording import Read
    from local.demo.timetable import Timetable

BUCKET_SECONDS = 0.5
"""Width of the steps of everything that is shown over time."""


class History(NamedTuple):
    """Everything that was recorded.

    Attributes:
        timetable: the run.
        began: monotonic nanoseconds at which it began.
        writes: every change that was written.
        acknowledged: by region, when each change's invalidation was acknowledged.
        reads: by region, the readers' files.
        truth: the version of each row in the tables at the end.
        bound_ms: how long a copy in a process may lag.
        wall_s: from the start of the program to the end of the last comparison.
        errors: reads that raised.
    """

    timetable: Timetable
    began: int
    writes: Sequence[Write]
    acknowledged: Mapping[str, Mapping[RowVersion, int]]
    reads: Mapping[str, Sequence[Path]]
    truth: Mapping[int, int]
    bound_ms: float
    wall_s: float
    errors: int = 0


class Outcome:
    """The judged history.

    Attributes:
        judges: by region.
        sources: how many reads each source answered, all purposes.
        traffic, hits: reads as passengers made them, by step of time; how many of those needed no load.
        diverged: `(reader, key)` of what differed from the tables at the end.
        replication_ns: how much later each change was acknowledged in the second region than in the first.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.sources: Counter[str] = Counter()
        self.traffic: Counter[int] = Counter()
        self.hits: Counter[int] = Counter()
        self._finals: dict[str, list[Read]] = {}
        self._rows_of = [key.rows for key in history.timetable.keys]
        bound_ns = round(history.bound_ms * 1e6)
        self.judges = {
            region: RegionJudge(region, history.writes, acknowledged, bound_ns, self._rows_of)
            for region, acknowledged in history.acknowledged.items()
        }
        for region, paths in history.reads.items():
            self._judge(self.judges[region], paths)
        self.diverged = diverged(history.truth, self._finals, self._rows_of)
        self.replication_ns = list(self._replication())

    def _judge(self, judge: RegionJudge, paths: Sequence[Path]) -> None:
        for path in paths:
            self._finals[path.stem] = []
        for read in merge(*(self._counted(path) for path in paths), key=attrgetter("end")):
            judge.see(read)

    def _counted(self, path: Path) -> Iterator[Read]:
        finals, width, began = self._finals[path.stem], BUCKET_SECONDS * 1e9, self.history.began
        for read in read_records(path):
            self.sources[SOURCES[read.source]] += 1
            if read.purpose == TRAFFIC:
                step = int((read.start - began) / width)
                self.traffic[step] += 1
                self.hits[step] += read.source != LOADED
            elif read.purpose == FINAL:
                finals.append(read)
            yield read

    def _replication(self) -> Iterator[int]:
        home, *others = self.history.acknowledged.values()
        for other in others:
            for change, time in other.items():
                if change in home:
                    yield time - home[change]

    @property
    def lost(self) -> set[RowVersion]:
        """Changes whose invalidation some region never acknowledged."""
        return {(write.row, write.version) for judge in self.judges.values() for write in judge.lost}

    def report(self) -> dict[str, Any]:
        """Return the figures; times in milliseconds unless the name says otherwise."""
        history = self.history
        return {
            "dataset": history.timetable.dataset,
            "regions": list(self.judges),
            "processes": sum(len(paths) for paths in history.reads.values()),
            "changes": len(history.writes),
            "reads": sum(self.sources.values()),
            "reads_by_source": dict(self.sources),
            "traffic": sum(self.traffic.values()),
            "hit_ratio": round(sum(self.hits.values()) / max(1, sum(self.traffic.values())), 4),
            "stale_reads_after_ack": sum(judge.stale_reads for judge in self.judges.values()),
            "invalidation_lag_ms": {
                region: distribution(list(judge.lag_ns.values())) for region, judge in self.judges.items()
            },
            "replication_lag_ms": distribution(self.replication_ns),
            "lost_changes": len(self.lost),
            "never_fresh": sum(judge.never_fresh for judge in self.judges.values()),
            "diverged_keys": len({key for _, key in self.diverged}),
            "failed_reads": history.errors,
            "l1_max_staleness_ms": max(
                (milliseconds(judge.oldest_copy_ns) for judge in self.judges.values()), default=0.0
            ),
            "l1_bound_ms": history.bound_ms,
            "replay_s": history.timetable.seconds,
            "wall_s": round(history.wall_s, 1),
        }


def milliseconds(nanoseconds: float) -> float:
    """Return *nanoseconds* in milliseconds, to a hundredth."""
    return round(nanoseconds / 1e6, 2)


def quantile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that at least *share* of the *ordered* values do not exceed; 0 if there are none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0


def distribution(values: Sequence[int]) -> dict[str, float]:
    """Return p50, p99 and the maximum of nanoseconds, in milliseconds."""
    ordered = sorted(values)
    return {
        "p50": milliseconds(quantile(ordered, 0.5)),
        "p99": milliseconds(quantile(ordered, 0.99)),
        "max": milliseconds(quantile(ordered, 1.0)),
    }


MIN_CHANGES, MIN_READS = 3_000, 50_000
FAULTS = {
    "stale_reads_after_ack": "reads were stale after the acknowledgement",
    "lost_changes": "changes were never acknowledged in some region",
    "never_fresh": "changes were never read in some region",
    "diverged_keys": "keys differ from the tables at the end",
    "failed_reads": "reads failed, and what they would have shown was not judged",
}
"""Figures of a report that must be zero, in words."""


def shortcomings(report: Mapping[str, Any]) -> list[str]:
    """Return, in words, why the run does not prove what it should; nothing if it does."""
    found = [f"{report[figure]} {words}" for figure, words in FAULTS.items() if report[figure]]
    if not report["traffic"]:
        found.append("no passenger read anything")
    if report["changes"] < MIN_CHANGES:
        found.append(f"{report['changes']} changes are too few to say anything: at least {MIN_CHANGES}")
    if report["reads"] < MIN_READS:
        found.append(f"{report['reads']} reads are too few to say anything: at least {MIN_READS}")
    if report["l1_max_staleness_ms"] > report["l1_bound_ms"]:
        found.append("a copy in a process lagged longer than its bound")
    return found
