"""The feed of a DynamoDB stream: shards are discovered, shared among workers, and read parents before children.

Theory of operation. Every `DISCOVER` seconds, or a third of a lease, the stream's shards and the ledger's marks are
read, and leases renewed. A shard is read from its mark; an iterator that expires is made anew from there. What was
taken is dealt with before more is taken, and its marks are written with the next `take`, so a death repeats at most one
batch. Streams keep records for a day: a mark that lies before that, or a shard that vanished before it was read
through, is a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof_pipeline.consuming import shards as lineage
from staleproof_pipeline.consuming.feed import Gap, Progress, Taken
from staleproof_pipeline.consuming.shard_ledger import END
from staleproof_pipeline.consuming.stream_api import PAGE, ExpiredError, TrimmedError
from staleproof_pipeline.mappings import DYNAMODB
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.sources import dynamodb_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.shard_ledger import ShardLedger
    from staleproof_pipeline.consuming.stream_api import StreamApi
    from staleproof_pipeline.report import RecordOutcome

DISCOVER = 5.0
ASK_EVERY = 0.25
"""Seconds between two questions to a shard that had nothing: the API takes five a second, of all readers."""


class DynamoDbFeed:
    """A `Feed`.

    Args:
        api: the stream.
        ledger: keeps marks and leases.
        pause: waits so many seconds.
        count: records of a shard that are taken at once.
        latest: where nobody has read before, begin with what comes.
        clock: the source of time.
    """

    source = dynamodb_streams.SOURCE
    order = DYNAMODB.order

    def __init__(
        self,
        api: StreamApi,
        ledger: ShardLedger,
        *,
        pause: Callable[[float], object],
        count: int = 500,
        latest: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._pause = pause
        self._count = min(count, PAGE)
        self._latest = latest
        self._clock = clock
        self._listed: list[lineage.Shard] = []
        self._held: set[str] = set()
        self._marks: dict[str, str] = {}
        self._iterators: dict[str, str] = {}
        self._newest: set[str] = set()
        self._taken: list[tuple[str, str]] = []
        self._exhausted: set[str] = set()
        self._owed: dict[str, str] = {}
        self._dropped: set[str] = set()
        self._restarts: set[str] = set()
        self._discover_at = 0.0
        self._progress = Progress()

    def take(self, wait: float) -> Taken:
        """See `Feed.take`."""
        self._write_marks()
        gaps = self._discovered() if self._clock.monotonic() >= self._discover_at else []
        records: list[Any] = []
        try:
            for shard in sorted(self._held):
                gaps += self._read(shard, records)
        except BaseException:
            self._put_back()
            raise
        if not records and not gaps and wait > 0:
            self._pause(min(wait, ASK_EVERY))
        self._progress = Progress(None, len(records), self._age(records))
        return Taken(records, gaps=gaps)

    def _put_back(self) -> None:
        """What was read already is in nobody's hand: read it again."""
        self._iterators.clear()
        self._taken = []
        self._exhausted.clear()
        self._discover_at = 0.0

    def settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        """See `Feed.settle`."""
        del records
        stopped = set[str]()
        for (shard, number), outcome in zip(self._taken, outcomes, strict=True):
            if outcome.outcome is Outcome.FAILED:
                stopped.add(shard)
                self._iterators.pop(shard, None)
            elif shard not in stopped:
                self._owed[shard] = self._marks[shard] = number
        for shard in self._exhausted - stopped:
            self._owed[shard] = self._marks[shard] = END
        self._exhausted.clear()
        self._taken = []

    def closed_gaps(self) -> None:
        """See `Feed.closed_gaps`."""
        self._ledger.forget(self._dropped)
        for shard in self._dropped:
            self._marks.pop(shard, None)
        for shard in self._restarts:
            self._marks.pop(shard, None)
        self._ledger.forget(self._restarts)
        self._dropped, self._restarts = set(), set()

    def keep(self) -> None:
        """See `Feed.keep`."""
        if self._clock.monotonic() >= self._discover_at:
            self._share()

    def progress(self) -> Progress:
        """See `Feed.progress`."""
        return self._progress

    def close(self) -> None:
        """See `Feed.close`."""
        try:
            self._write_marks()
            self._ledger.leave(self._held)
        except (ProviderUnavailableError, ProviderRejectedError):
            pass  # leases end by themselves, and what has no mark comes again

    # --- shards -------------------------------------------------------------------------------------

    def _discovered(self) -> list[Gap]:
        self._listed = self._api.shards()
        stored = self._ledger.marks()
        if (
            not stored and self._marks
        ):  # the ledger was lost: we know how far we have come, and nothing is to be skipped
            self._owed = {
                **{each: self._marks[each] for each in self._held if each in self._marks},
                **self._owed,
            }
        elif not stored and self._latest:
            self._ledger.mark(lineage.first_marks(self._listed))
            stored = self._ledger.marks()
            self._newest = {each.id for each in self._listed if not each.closed}
        self._marks = {**stored, **{each: self._marks[each] for each in self._held if each in self._marks}}
        lost, past = lineage.vanished(self._listed, self._marks)
        self._ledger.forget(past)
        self._share()
        self._dropped = set(lost)
        return [Gap(0, f"shard {each} was gone before it was read through") for each in lost]

    def _share(self) -> None:
        open_now = lineage.readable(self._listed, self._marks)
        before = self._held
        self._held = self._ledger.share(open_now, before)
        for shard in self._held - before:  # another worker may have had it: begin where it came to
            self._marks.update(
                {name: mark for name, mark in self._ledger.marks().items() if name in self._held - before}
            )
            self._iterators.pop(shard, None)
        self._discover_at = self._clock.monotonic() + min(DISCOVER, self._ledger.lease / 3)

    # --- records ------------------------------------------------------------------------------------

    def _read(self, shard: str, records: list[Any]) -> list[Gap]:
        """Add a page of *shard* to *records*; return gaps that were found."""
        try:
            if shard not in self._iterators:
                self._iterators[shard] = self._iterator(shard)
            page = self._api.page(self._iterators[shard], self._count)
        except ExpiredError:
            self._iterators.pop(shard, None)
            return []
        except TrimmedError:
            self._iterators.pop(shard, None)
            self._restarts.add(shard)
            return [Gap(0, f"shard {shard} was trimmed past {self._marks.get(shard)}")]
        found = page.get("Records", [])
        records += [dynamodb_streams.of_api(each, self._api.arn) for each in found]
        self._taken += [(shard, each["dynamodb"]["SequenceNumber"]) for each in found]
        following = page.get("NextShardIterator")
        if following:
            self._iterators[shard] = following
        else:
            self._end(shard, empty=not found)
        return []

    def _end(self, shard: str, *, empty: bool) -> None:
        self._iterators.pop(shard, None)
        self._held.discard(shard)
        self._discover_at = 0.0  # its children may be read
        if empty:
            self._owed[shard] = self._marks[shard] = END
        else:
            self._exhausted.add(shard)

    def _iterator(self, shard: str) -> str:
        latest = shard in self._newest
        self._newest.discard(shard)
        where = lineage.place(self._marks.get(shard), latest=latest)
        return self._api.iterator(shard, where)

    def _write_marks(self) -> None:
        owed = dict(self._owed)
        self._ledger.mark(owed)
        ended = [each for each, mark in owed.items() if mark == END]
        self._ledger.give_back(ended)
        self._owed = {}

    def _age(self, records: Sequence[Any]) -> int:
        if not records:
            return 0
        told = records[-1]["dynamodb"].get("ApproximateCreationDateTime")
        return max(0, round((self._clock.wall() - told) * 1_000)) if isinstance(told, int | float) else 0
