"""A reader: a process of the departures board in one region, which records everything that it reads.

    python -m local.demo.reader NUMBER --directory DIR --seconds S --rate READS --readers N --regions N

It reads as passengers do, so many times a second, and in between watches the flights and airlines whose rows are
being written, until the change has arrived. At the end it reads every key once. It goes through the application's
own cached functions, and has no other access to the tables.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

from local.demo.blackboard import COMPARING, COUNTERS, WAITING, Blackboard
from local.demo.popularity import Popularity
from local.demo.recording import (
    FINAL,
    LOADED,
    NEAR,
    NOT_SHOWN,
    SERVER,
    TRAFFIC,
    WATCH,
    Recorder,
)
from local.demo.timetable import Timetable
from staleproof import CacheError

TICK = 0.004
"""Seconds between two bursts of reads."""
WATCHED_AT_ONCE = 64
"""Changes looked at between two bursts: a pipeline that stands still must not make a reader read for nothing else."""
READY, READS, HITS, WATCHED, ERRORS, COMPARED, ENDED = range(len(COUNTERS))

logger = logging.getLogger("local.demo.reader")


class Reader:
    """Reads and records.

    Args:
        number: which reader this is.
        timetable: the run.
        blackboard: shared with the other processes.
        recorder: where reads go.
        application: the board, as a module: what keys' kinds name there is called.
        rate: reads a second as passengers make them.
        share: which of how many readers of its region this is; they divide the watching among them.
    """

    def __init__(
        self,
        number: int,
        timetable: Timetable,
        blackboard: Blackboard,
        recorder: Recorder,
        application: Any,
        rate: float,
        share: tuple[int, int],
    ) -> None:
        self._application = application
        self._timetable = timetable
        self._blackboard = blackboard
        self._recorder = recorder
        self._counters = blackboard.counters(number)
        self._number = number
        self._share, self._shares = share
        self._rate = rate
        self._popularity = Popularity(timetable, Random(number))
        self._statistics = application.cache.statistics
        self._shown = [0] * len(timetable.rows)
        self._next = 0
        self._watched: deque[int] = deque()

    def run(self) -> None:
        """Wait for the run to begin, read until it is over, compare everything."""
        self._counters[READY] = 1
        while self._blackboard.phase == WAITING:
            time.sleep(TICK)
        self._read_on()
        self._compare()
        self._recorder.close()
        self._counters[ENDED] = 1

    def _read_on(self) -> None:
        due, debt = time.monotonic(), 0.0
        while self._blackboard.phase != COMPARING:
            place = self._popularity.place((time.monotonic_ns() - self._blackboard.began) / 1e9)
            debt = min(
                debt + self._rate * TICK, 10 * self._rate * TICK
            )  # who is late does not catch up for long
            while debt >= 1:
                debt -= 1
                self._passenger(self._popularity.draw(place))
            self._watch()
            due = max(due + TICK, time.monotonic() - TICK)
            time.sleep(max(0.0, due - time.monotonic()))

    def _passenger(self, key: int) -> None:
        source = self._read(key, TRAFFIC)
        self._counters[READS] += 1
        self._counters[HITS] += source in (NEAR, SERVER)

    def _watch(self) -> None:
        """Look once at everything that was written and has not arrived here."""
        changes, started = self._timetable.changes, self._blackboard.started
        while self._next < len(changes) and started[self._next]:
            if self._next % self._shares == self._share:
                self._watched.append(self._next)
            self._next += 1
        for _ in range(min(len(self._watched), WATCHED_AT_ONCE)):
            place = self._watched.popleft()
            row, version = changes[place].row, changes[place].version
            if self._shown[row] < version:
                self._read(self._timetable.watched_key(row), WATCH)
                self._counters[WATCHED] += 1
            if self._shown[row] < version:
                self._watched.append(place)

    def _compare(self) -> None:
        keys = len(self._timetable.keys)
        offset = self._number * keys // self._blackboard.readers  # so that a region's readers share the loads
        for step in range(keys):
            self._read((offset + step) % keys, FINAL)
            self._counters[COMPARED] = step + 1

    def _read(self, number: int, purpose: int) -> int:
        """Read a key through the application and record it; return where it came from, -1 if it failed."""
        key = self._timetable.keys[number]
        counted = self._statistics
        near, hits = counted.near_hits, counted.hits
        start = time.monotonic_ns()
        try:
            value = getattr(self._application, key.kind)(key.name)
        except CacheError:
            logger.exception("%s %s", key.kind, key.name)
            self._counters[ERRORS] += 1
            return -1
        end = time.monotonic_ns()
        source = NEAR if counted.near_hits > near else SERVER if counted.hits > hits else LOADED
        versions = self._versions(key.kind, key.rows, value)
        self._recorder.add(start, end, number, source, purpose, versions)
        return source

    def _versions(self, kind: str, rows: tuple[int, ...], value: Any) -> bytes:
        if kind != "board":
            version = value.version if value else 0
            self._shown[rows[0]] = max(self._shown[rows[0]], version)
            return bytes((version,))
        names, is_airline = self._timetable.rows, self._timetable.is_airline
        shown = {each.flight_id: each.version for each in value.flights}
        shown |= {each.carrier: each.version for each in value.airlines}
        flying = {each.carrier for each in value.flights}

        def absent(row: int) -> int:
            """A page owes every flight, and the airlines of those that it shows."""
            return NOT_SHOWN if is_airline(row) and names[row] not in flying else 0

        return bytes(shown.get(names[row], absent(row)) for row in rows)


def main(arguments: list[str] | None = None) -> int:
    """Run one reader to its end.

    The application is imported here, since its module reads its settings: help needs none.
    """
    parser = argparse.ArgumentParser(prog="python -m local.demo.reader", description=__doc__)
    parser.add_argument("number", type=int)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--readers", type=int, required=True)
    parser.add_argument("--regions", type=int, required=True)
    chosen = parser.parse_args(arguments)
    timetable = Timetable(chosen.seconds)
    blackboard = Blackboard(chosen.directory / "blackboard", len(timetable.changes), chosen.readers)
    recorder = Recorder(chosen.directory / f"reader-{chosen.number}.reads")
    share = (chosen.number // chosen.regions, chosen.readers // chosen.regions)
    application = importlib.import_module("examples.departures.board")
    Reader(chosen.number, timetable, blackboard, recorder, application, chosen.rate, share).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
