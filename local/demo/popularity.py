"""What passengers look at: what leaves soon, far more often than what has left or leaves tonight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from local.demo.timetable import Timetable

FLIGHTS, PAGES = 0.68, 0.94
"""Cumulated shares: a flight, a page of the board, else an airline."""
AHEAD_HOURS = 1.5
"""Mean of how far ahead people look; they begin an hour back, at what should have left."""


class Popularity:
    """Draws keys for a reader.

    Args:
        timetable: the run.
        random: the reader's own generator, so that a run can be repeated.
    """

    def __init__(self, timetable: Timetable, random: Random) -> None:
        self._random = random
        self._timetable = timetable
        self._pages: dict[str, list[int]] = {}
        for name in timetable.boards:
            self._pages.setdefault(name.partition("-")[2], []).append(timetable.number["board", name])
        self._hours = sorted(self._pages)
        self._airlines = [number for (kind, _), number in timetable.number.items() if kind == "airline"]

    def place(self, second: float) -> int:
        """Return the place among the hours that have departures of what leaves an hour before *second* of the run."""
        now = f"{self._timetable.clock(second):%Y-%m-%d-%H}"
        return max(0, sum(hour <= now for hour in self._hours) - 2)

    def draw(self, place: int) -> int:
        """Return the number of a key, at a time of the run that `place` gave."""
        random = self._random.random
        kind = random()
        if kind > PAGES:
            return self._airlines[int(len(self._airlines) * random() ** 2)]
        hour = min(place + int(self._random.expovariate(1 / AHEAD_HOURS)), len(self._hours) - 1)
        page = self._random.choice(self._pages[self._hours[hour]])
        if kind > FLIGHTS:
            return page
        rows = self._timetable.boards[self._timetable.keys[page].name]
        return rows[int(len(rows) * random() ** 2)]
