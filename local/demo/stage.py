"""The run itself: two regions, a writer, readers, and what they recorded.

Order matters in three places. Readers are up before the first write, so that every change finds somebody watching.
The comparison begins only when both journals have been quiet and the bound of near copies has passed. The tables are
read last, when nobody writes any more.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.conditions import wait_until
from local.demo.blackboard import Blackboard
from local.demo.journals import Applied, JournalFollower
from local.demo.judge import RowVersion, Write
from local.demo.outcome import MIN_READS, History
from local.demo.timetable import AIRLINES, FLIGHTS, Timetable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.regions import TwoRegions

RULES = Path(__file__).resolve().parents[2] / "examples" / "departures" / "rules.yaml"
TABLES = json.loads(RULES.with_name("tables.json").read_text())
NAMESPACE = "departures"
BOUND_MS = 100.0
QUIET = 3.0
"""Seconds without any news after which what has not arrived is not waited for."""
LONGEST_WAIT_FOR_READS = 30.0
LONGEST_COMPARISON = 60.0
EVERY = 0.1


class DemoError(RuntimeError):
    """The run broke off; the text says which process ended, and how."""


class Plan(NamedTuple):
    """How to run: seconds of replay, readers a region, passengers' reads a second and reader."""

    seconds: float
    readers: int
    rate: float


class Stage:
    """A running demo. Use `perform`, then what it recorded.

    Args:
        plan: how to run.
        stack: the running regions.
        timetable: the changes.
    """

    def __init__(self, plan: Plan, stack: TwoRegions, timetable: Timetable) -> None:
        self.plan = plan
        self.stack = stack
        self.timetable = timetable
        self.directory = stack.supervisor.directory / "demo"
        self.directory.mkdir()
        self.regions = list(stack.regions)
        self.readers = {
            f"reader-{number}": self.regions[number % len(self.regions)]
            for number in range(plan.readers * len(self.regions))
        }
        self.blackboard = Blackboard.create(
            self.directory / "blackboard", len(timetable.changes), len(self.readers)
        )
        self.journals = {
            name: JournalFollower(region.valkey.url, NAMESPACE) for name, region in stack.regions.items()
        }

    def perform(self, watch: Callable[[Stage], None]) -> None:
        """Run from the first write to the end of the comparison; *watch* is called ten times a second.

        Raises:
            DemoError: a process ended before its time.
            TimeoutError: the readers did not get ready, or did not finish comparing.
        """
        for journal in self.journals.values():
            journal.start()
        try:
            self._spawn()
            self._wait(
                lambda: self.blackboard.total("ready") == len(self.readers), watch, 60.0, "readers are ready"
            )
            self.blackboard.begin(time.monotonic_ns() + 200_000_000)
            self._wait(self._settled(), watch, 3 * self.plan.seconds + 120, "all changes have arrived")
            time.sleep(2 * BOUND_MS / 1_000)
            self.blackboard.compare()
            compared = LONGEST_COMPARISON
            self._wait(
                lambda: self.blackboard.total("ended") == len(self.readers),
                watch,
                compared,
                "comparison is done",
            )
        finally:
            for journal in self.journals.values():
                journal.stop()

    def _spawn(self) -> None:
        common = ["--directory", str(self.directory), "--seconds", str(self.plan.seconds)]
        common += ["--readers", str(len(self.readers))]
        home = self.stack.home
        self._start("writer", ["local.demo.writer", *common], home.environ())
        for number, (name, region) in enumerate(self.readers.items()):
            arguments = ["local.demo.reader", str(number), "--rate", str(self.plan.rate), *common]
            arguments += ["--regions", str(len(self.regions))]
            environ = {
                **self.stack[region].environ(),
                "STALEPROOF_CACHE_URL": self.stack[region].valkey.url,
                "STALEPROOF_NAMESPACE": NAMESPACE,
                "TABLES_REGION": home.name,
            }
            self._start(name, arguments, environ)

    def _start(self, name: str, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.stack.supervisor.spawn(name, [sys.executable, "-m", *arguments], environ)

    def _wait(
        self, condition: Callable[[], bool], watch: Callable[[Stage], None], timeout: float, what: str
    ) -> None:
        def done() -> bool:
            watch(self)
            self._check()
            return condition()

        wait_until(done, what, timeout=timeout, every=EVERY)

    def _check(self) -> None:
        supervisor = self.stack.supervisor
        for number, name in enumerate(self.readers):
            if not self.blackboard.count("ended", number) and not supervisor.running(name):
                raise DemoError(f"{name} ended: {supervisor.tail(name)}")
        if not self.written == len(self.timetable.changes) and not supervisor.running("writer"):
            raise DemoError(f"the writer ended: {supervisor.tail('writer')}")
        for region, journal in self.journals.items():
            if journal.error:
                raise DemoError(f"the journal of {region} cannot be followed: {journal.error}")

    def _settled(self) -> Callable[[], bool]:
        last, since = -1, time.monotonic()

        def settled() -> bool:
            nonlocal last, since
            if self.written < len(self.timetable.changes):
                return False
            news = sum(len(journal.applied) for journal in self.journals.values())
            if news != last:
                last, since = news, time.monotonic()
            quiet = self.arrived() or time.monotonic() - since > QUIET
            # A slow machine reads less in the same time; enough to judge is worth a few more seconds.
            return quiet and (self.reads > MIN_READS or time.monotonic() - since > LONGEST_WAIT_FOR_READS)

        return settled

    def arrived(self) -> bool:
        """Say whether every region has as many distinct invalidations as there were changes."""
        wanted = len(self.timetable.changes)
        return all(journal.distinct >= wanted for journal in self.journals.values())

    @property
    def reads(self) -> int:
        """How many reads were made so far."""
        return self.blackboard.total("traffic") + self.blackboard.total("watch")

    @property
    def written(self) -> int:
        """How many changes the tables have acknowledged."""
        return sum(map(bool, self.blackboard.done))

    # --- afterwards ------------------------------------------------------------------------------

    def applied(self) -> dict[str, dict[RowVersion, Applied]]:
        """Return by region the first application of every change, found by the id of its stream record."""
        changes = dict(self._stream())
        found: dict[str, dict[RowVersion, Applied]] = {}
        for region, journal in self.journals.items():
            known = found[region] = {}
            for each in journal.applied:
                change = changes.get(each.record.id)
                if change is not None:
                    known.setdefault(change, each)
        return found

    def history(self, applied: Mapping[str, Mapping[RowVersion, Applied]], wall_s: float) -> History:
        """Return everything that was recorded."""
        started, done = self.blackboard.started, self.blackboard.done
        writes = [
            Write(change.row, change.version, started[place], done[place])
            for place, change in enumerate(self.timetable.changes)
            if done[place]
        ]
        acknowledged = {
            region: {change: each.acknowledged for change, each in records.items()}
            for region, records in applied.items()
        }
        files: dict[str, list[Path]] = {region: [] for region in self.regions}
        for name, region in self.readers.items():
            files[region].append(self.directory / f"{name}.reads")
        return History(
            timetable=self.timetable,
            began=self.blackboard.began,
            writes=writes,
            acknowledged=acknowledged,
            reads=files,
            truth=self._truth(),
            bound_ms=BOUND_MS,
            wall_s=wall_s,
            errors=self.blackboard.total("errors"),
        )

    def _row(self, item: Mapping[str, Any]) -> RowVersion:
        name = item["flight_id"] if "flight_id" in item else item["carrier"]
        return self.timetable.row(name["S"]), int(item["version"]["N"])

    def _stream(self) -> Iterator[tuple[str, RowVersion]]:
        streams = self.stack.home.client("dynamodbstreams")
        for arn in self.stack.stream_arns.values():
            for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
                for record in _records(streams, arn, shard["ShardId"]):
                    yield record["eventID"], self._row(record["dynamodb"]["NewImage"])

    def _truth(self) -> dict[int, int]:
        pages = self.stack.home.client("dynamodb").get_paginator("scan")
        return dict(
            self._row(item)
            for table in (FLIGHTS, AIRLINES)
            for page in pages.paginate(TableName=table, ConsistentRead=True)
            for item in page["Items"]
        )


def _records(streams: Any, arn: str, shard: str) -> Iterator[Any]:
    """Yield what a shard of a stream that nobody writes to any more holds."""
    start = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**start)["ShardIterator"]
    while iterator:
        page = streams.get_records(ShardIterator=iterator, Limit=1000)
        if not page["Records"]:
            return
        yield from page["Records"]
        iterator = page.get("NextShardIterator")
