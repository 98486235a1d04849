"""Progress while the demo runs: a table that moves on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from local.demo.blackboard import COMPARING, WAITING
from local.demo.outcome import quantile

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from local.demo.stage import Stage

LINE_EVERY = 10.0
RECENT = 300
"""Changes over which the lag is shown."""


class RegionLag:
    """The lag of one region's latest invalidations, from the write to the journal.

    A row's n-th record stands for its n-th change here. The judge is more careful.
    """

    def __init__(self, stage: Stage, region: str) -> None:
        self._stage = stage
        self._applied = stage.journals[region].applied
        self._place = {
            (change.row, change.version): place for place, change in enumerate(stage.timetable.changes)
        }
        self._seen: Counter[int] = Counter()
        self._next = 0
        self._recent: deque[int] = deque(maxlen=RECENT)

    @property
    def acknowledged(self) -> int:
        """How many invalidations the region has applied."""
        return self._next

    def median_ms(self) -> float:
        """Read what is new and return the median of the latest, in milliseconds."""
        applied = self._applied
        while self._next < len(applied):
            self._add(applied[self._next].acknowledged, applied[self._next].record.tags)
            self._next += 1
        return quantile(sorted(self._recent), 0.5) / 1e6

    def _add(self, acknowledged: int, tags: tuple[str, ...]) -> None:
        for tag in tags:
            kind, _, name = tag.partition(":")
            if kind in ("flight", "airline"):
                row = self._stage.timetable.row(name)
                self._seen[row] += 1
                place = self._place.get((row, self._seen[row]))
                if place is not None and self._stage.blackboard.started[place]:
                    self._recent.append(acknowledged - self._stage.blackboard.started[place])


class Progressing:
    """Shows a stage on *console* while it performs; call it as the stage's watcher."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._lags: dict[str, RegionLag] = {}
        self._lined = float("inf")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[clock]}"),
            expand=True,
        )
        self._task = self._bar.add_task("starting", total=1.0, clock="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, stage: Stage) -> None:
        """Show where *stage* is."""
        if not self._lags:
            self._lags = {region: RegionLag(stage, region) for region in stage.regions}
            self._lined = time.monotonic()
        if self._live is not None:
            self._live.update(self._picture(stage), refresh=True)
        elif time.monotonic() - self._lined > LINE_EVERY and stage.blackboard.phase != WAITING:
            self._lined = time.monotonic()
            self._console.print(self._line(stage), highlight=False, soft_wrap=True)

    def _picture(self, stage: Stage) -> Group:
        second = self._second(stage)
        clock = f"{stage.timetable.clock(second):%a %d %b %H:%M}"
        self._bar.update(
            self._task, description=self._phase(stage), completed=second / stage.plan.seconds, clock=clock
        )
        return Group(Text(stage.timetable.dataset, style="dim"), self._bar, self._table(stage))

    def _table(self, stage: Stage) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("region", "applied", "lag p50", "reads", "hits", "watching"):
            table.add_column(column, justify="left" if column == "region" else "right", min_width=9)
        for region, lag in self._lags.items():
            traffic, hits, watch = _counted(stage, region)
            median = f"{lag.median_ms():.0f} ms"
            table.add_row(
                region, f"{lag.acknowledged:,}", median, f"{traffic:,}", _share(hits, traffic), f"{watch:,}"
            )
        table.add_row("written", f"{stage.written:,}", style="dim")
        return table

    def _line(self, stage: Stage) -> str:
        regions = [
            f"{region} {lag.acknowledged:,} applied, lag {median:.0f} ms, {_share(hits, traffic)} hits"
            for region, lag in self._lags.items()
            for median in [lag.median_ms()]
            for traffic, hits, _ in [_counted(stage, region)]
        ]
        return f"{self._phase(stage)} {self._second(stage):4.0f} s: {stage.written:,} written; " + "; ".join(
            regions
        )

    def _second(self, stage: Stage) -> float:
        if stage.blackboard.phase == WAITING:
            return 0.0
        return min(max(0.0, (time.monotonic_ns() - stage.blackboard.began) / 1e9), stage.plan.seconds)

    def _phase(self, stage: Stage) -> str:
        if stage.blackboard.phase == WAITING:
            return "readers start"
        if stage.blackboard.phase == COMPARING:
            return "comparing"
        return "replaying" if stage.written < len(stage.timetable.changes) else "settling"


def _counted(stage: Stage, region: str) -> tuple[int, int, int]:
    numbers = [number for number, where in enumerate(stage.readers.values()) if where == region]
    count = stage.blackboard.count
    traffic, hits, watch = (
        sum(count(name, number) for number in numbers) for name in ("traffic", "traffic_hits", "watch")
    )
    return traffic, hits, watch


def _share(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.1%}"
