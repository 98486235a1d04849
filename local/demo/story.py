"""The story of one flight: what each of its changes set off, where and when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.demo.journals import Applied
    from local.demo.judge import RegionJudge, RowVersion, Write
    from local.demo.timetable import Change, Timetable


class Passage(NamedTuple):
    """A change in one region, in milliseconds after its write began: acknowledged, and first read."""

    region: str
    acknowledged: float
    fresh: float


class Step(NamedTuple):
    """One change of the flight.

    Attributes:
        clock: when it happened, New York's time.
        words: what happened.
        version: the row's version after it.
        source, operation, position: the cause that the journal names.
        rules: the rules that matched.
        tags: what they made stale.
        written: milliseconds after its beginning at which the write was done.
        passages: by region.
    """

    clock: datetime
    words: str
    version: int
    source: str
    operation: str
    position: str
    rules: tuple[str, ...]
    tags: tuple[str, ...]
    written: float
    passages: tuple[Passage, ...]


class Story(NamedTuple):
    """A flight and its changes."""

    flight_id: str
    title: str
    steps: tuple[Step, ...]


def protagonist(timetable: Timetable) -> int | None:
    """Return the row of the flight that left latest after its time and landed; None if there is none."""
    late = {
        change.row: _minutes(change.item["scheduled"], change.item["departed"])
        for change in timetable.changes
        if change.item.get("landed")
    }
    return max(late, key=lambda row: (late[row], -row), default=None)


def tell(
    timetable: Timetable,
    writes: Iterable[Write],
    applied: Mapping[str, Mapping[RowVersion, Applied]],
    judges: Mapping[str, RegionJudge],
) -> Story | None:
    """Return the story of the protagonist, as far as it was recorded."""
    row = protagonist(timetable)
    if row is None:
        return None
    written = {write.version: write for write in writes if write.row == row}
    changes = [change for change in timetable.changes if change.row == row and change.version in written]
    steps = tuple(_step(change, written[change.version], applied, judges) for change in changes)
    item = changes[-1].item
    title = f"{item['carrier']} {item['number']} from {item['origin']} to {item['destination']}"
    return Story(timetable.rows[row], title, steps)


def _step(
    change: Change,
    write: Write,
    applied: Mapping[str, Mapping[RowVersion, Applied]],
    judges: Mapping[str, RegionJudge],
) -> Step:
    place = (change.row, change.version)
    passages = tuple(
        Passage(
            region,
            (records[place].acknowledged - write.start) / 1e6,
            judges[region].lag_ns.get(place, 0) / 1e6,
        )
        for region, records in applied.items()
        if place in records
    )
    first = next((records[place].record for records in applied.values() if place in records), None)
    return Step(
        change.clock,
        describe(change),
        change.version,
        first.cause.source if first else "",
        first.cause.operation if first else "",
        first.cause.position if first else "",
        first.cause.rules if first else (),
        first.tags if first else (),
        (write.done - write.start) / 1e6,
        passages,
    )


def describe(change: Change) -> str:
    """Return in words what *change* was."""
    item = change.item
    if change.item["status"] == "scheduled":
        return f"on the board, due {datetime.fromisoformat(item['scheduled']):%H:%M}"
    if change.item["status"] == "departed":
        return f"departed {lateness(_minutes(item['scheduled'], item['departed']))}"
    return str(item["status"])


def lateness(minutes: int) -> str:
    """Return a delay in words."""
    if minutes == 0:
        return "on time"
    hours, rest = divmod(abs(minutes), 60)
    span = f"{hours} h {rest:02d} min" if hours else f"{rest} min"
    return f"{span} {'late' if minutes > 0 else 'early'}"


def _minutes(since: str, until: str) -> int:
    return round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() / 60)
