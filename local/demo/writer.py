"""The writer: a process that replays the storm into the tables, each change at its time.

    python -m local.demo.writer --directory DIR --seconds S --readers N

It is what the airports' own systems would be: it knows the tables, and nothing of caches. A row's changes keep
their order, since one thread writes all of them.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local.demo.blackboard import WAITING, Blackboard
from local.demo.timetable import AIRLINES, FLIGHTS, Timetable

if TYPE_CHECKING:
    from collections.abc import Iterable

THREADS = 2
POLL = 0.004


class Writer(threading.Thread):
    """One thread and the changes whose rows are its own."""

    def __init__(self, places: Iterable[int], timetable: Timetable, blackboard: Blackboard) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._places = places
        self._timetable = timetable
        self._blackboard = blackboard
        resource: Any = boto3.session.Session().resource("dynamodb")
        self._tables = {name: resource.Table(name) for name in (FLIGHTS, AIRLINES)}

    def run(self) -> None:
        """Write everything; what goes wrong is kept in `error`."""
        try:
            while self._blackboard.phase == WAITING:
                time.sleep(POLL)
            for place in self._places:
                self._write(place)
        except BaseException as error:
            self.error = error
            raise

    def _write(self, place: int) -> None:
        change = self._timetable.changes[place]
        due = self._blackboard.began + int(change.at * 1e9)
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
        self._blackboard.started[place] = time.monotonic_ns()
        self._tables[change.table].put_item(Item=change.item)
        self._blackboard.done[place] = time.monotonic_ns()


def main(arguments: list[str] | None = None) -> int:
    """Replay the whole storm."""
    parser = argparse.ArgumentParser(prog="python -m local.demo.writer", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--readers", type=int, required=True)
    chosen = parser.parse_args(arguments)
    timetable = Timetable(chosen.seconds)
    blackboard = Blackboard(chosen.directory / "blackboard", len(timetable.changes), chosen.readers)
    writers = [
        Writer(
            [place for place, change in enumerate(timetable.changes) if change.row % THREADS == share],
            timetable,
            blackboard,
        )
        for share in range(THREADS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return 1 if any(writer.error for writer in writers) else 0


if __name__ == "__main__":
    sys.exit(main())
