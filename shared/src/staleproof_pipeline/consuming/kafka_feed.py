"""The feed of Kafka topics: a member of a consumer group, which spreads partitions over its members.

Theory of operation. Offsets are committed by hand, after their records were dealt with and before more are taken, so a
death repeats at most one batch. When partitions are taken away, what is owed for them is committed first; what is dealt
with afterwards is not committed, and whoever has the partition now does it again. While nothing can be applied the
partitions are paused and polled, so that the group does not think this member dead. Holes between offsets are usual
(transactions, compaction); changes are lost only if the log begins behind the next offset, which is asked when a
partition arrives and when there is a hole.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof_pipeline.consuming.feed import Gap, Progress, Taken
from staleproof_pipeline.consuming.kafka_client import translated
from staleproof_pipeline.mappings import KAFKA
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.sources import kafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.report import RecordOutcome
    from staleproof_pipeline.sources import RecordSource

LEAVE_SECONDS = 5.0


class KafkaFeed:
    """A `Feed`.

    Args:
        make: makes the client's consumer, of no topic yet.
        topics: what to subscribe to.
        count: records of a batch.
        latest: where the group has never read, begin with what comes. The client itself begins early, always: what it
            would skip of a log that was cut, nobody would miss.
        source: reads a record.
        clock: the source of time.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        topics: Sequence[str],
        *,
        count: int = 500,
        latest: bool = False,
        source: RecordSource = kafka.SOURCE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.source = source
        self.order = KAFKA.order
        self._make = make
        self._topics = list(topics)
        self._count = count
        self._latest = latest
        self._clock = clock
        self._consumer: Any = None
        self._taken: list[tuple[Any, int]] = []
        self._next: dict[Any, int] = {}
        self._owed: dict[Any, int] = {}
        self._arrived: set[Any] = set()
        self._gaps: list[Gap] = []
        self._progress = Progress()

    def take(self, wait: float) -> Taken:
        """See `Feed.take`."""
        with translated():
            consumer = self._opened()
            self._commit()
            pages = consumer.poll(timeout_ms=round(wait * 1_000), max_records=self._count)
            try:
                self._stand(pages)
                for partition, page in pages.items():
                    self._look_for_hole(partition, page[0].offset)
            except BaseException:
                self._put_back(pages)
                raise
            found = [each for page in pages.values() for each in page]
            self._taken = [(partition, each.offset) for partition, page in pages.items() for each in page]
            self._progress = self._seen(found)
            gaps, self._gaps = self._gaps, []
            return Taken([kafka.record(each) for each in found], gaps=gaps)

    def settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        """See `Feed.settle`."""
        stopped: set[Any] = set()
        for (partition, offset), outcome in zip(self._taken, outcomes, strict=True):
            if outcome.outcome is Outcome.FAILED:
                stopped.add(partition)
            if partition in stopped or partition not in self._next:
                continue
            self._owed[partition] = self._next[partition] = offset + 1
        del records
        self._taken = []

    def closed_gaps(self) -> None:
        """See `Feed.closed_gaps`: the offsets behind a gap are committed with its records."""

    def keep(self) -> None:
        """See `Feed.keep`."""
        with translated():
            assigned = self._consumer.assignment()
            self._consumer.pause(*assigned)
            try:
                self._put_back(self._consumer.poll(timeout_ms=0))  # of partitions that arrived meanwhile
            finally:  # what stays paused would never be read again
                self._consumer.resume(*(self._consumer.assignment() & assigned))

    def _put_back(self, pages: Mapping[Any, Sequence[Any]]) -> None:
        for partition, page in pages.items():
            if partition in self._consumer.assignment():
                self._consumer.seek(partition, page[0].offset)

    def progress(self) -> Progress:
        """See `Feed.progress`."""
        return self._progress

    def close(self) -> None:
        """See `Feed.close`."""
        if self._consumer is None:
            return
        try:
            self._commit_if_it_may()
        finally:
            consumer, self._consumer = self._consumer, None
            with suppress(Exception):  # the group notices by itself that a member is gone
                consumer.close(autocommit=False, timeout_ms=round(LEAVE_SECONDS * 1_000))

    # --- the group ----------------------------------------------------------------------------------

    def assigned(self, partitions: Iterable[Any]) -> None:
        """Partitions arrived; the next `take` sees where they stand, for here nothing can be asked."""
        self._arrived.update(partitions)

    def _stand(self, pages: dict[Any, Sequence[Any]]) -> None:
        """See where partitions stand that arrived, and whether their logs still hold what is next."""
        arrived = list(self._arrived & self._consumer.assignment())
        beginnings = self._consumer.beginning_offsets(arrived) if arrived else {}
        ends = self._consumer.end_offsets(arrived) if arrived else {}
        for partition in arrived:
            committed = self._consumer.committed(partition)
            if committed is None:
                self._begin(partition, ends[partition], pages)
            elif committed > ends[partition]:
                self._next[partition] = beginnings[partition]
                self._gaps.append(_cut(partition, committed))
                self._move(partition, beginnings[partition], pages)
            else:
                self._next[partition] = committed
                self._tell_gap(partition, committed, beginnings[partition])
        self._arrived.clear()

    def _begin(self, partition: Any, end: int, pages: dict[Any, Sequence[Any]]) -> None:
        """Nobody has read *partition*: remember where we begin, or a restart might begin later."""
        if self._latest:
            self._move(partition, end, pages)
        page = pages.get(partition)
        first = page[0].offset if page else self._consumer.position(partition)
        self._next[partition] = self._owed[partition] = first

    def _move(self, partition: Any, offset: int, pages: dict[Any, Sequence[Any]]) -> None:
        """Read from *offset* on; what was read elsewhere is dropped."""
        pages.pop(partition, None)
        self._consumer.seek(partition, offset)

    def revoked(self, partitions: Iterable[Any]) -> None:
        """Partitions go: commit what is owed for them, while we may."""
        self._commit_if_it_may()
        self.lost(partitions)

    def lost(self, partitions: Iterable[Any]) -> None:
        """Partitions are another member's."""
        for partition in partitions:
            self._arrived.discard(partition)
            self._next.pop(partition, None)
            self._owed.pop(partition, None)

    def _opened(self) -> Any:
        if self._consumer is None:
            self._consumer = self._make()
            self._consumer.subscribe(topics=self._topics, listener=_listener(self))
        return self._consumer

    def _commit_if_it_may(self) -> None:
        """Commit what is owed on the way out; what cannot be, whoever comes next applies again."""
        with suppress(ProviderUnavailableError, ProviderRejectedError), translated():
            self._commit()

    def _commit(self) -> None:
        from kafka.errors import CommitFailedError, RebalanceInProgressError  # noqa: PLC0415
        from kafka.structs import OffsetAndMetadata  # noqa: PLC0415

        owed, self._owed = self._owed, {}
        if not owed:
            return
        try:
            self._consumer.commit({each: OffsetAndMetadata(offset, "", -1) for each, offset in owed.items()})
        except (CommitFailedError, RebalanceInProgressError):
            return  # the group went on without us: what we dealt with comes again, to us or to another member
        except BaseException:
            self._owed = {**owed, **self._owed}
            raise

    # --- gaps ---------------------------------------------------------------------------------------

    def _look_for_hole(self, partition: Any, first: int) -> None:
        expected = self._next.get(partition)
        if expected is not None and first < expected:
            self._gaps.append(_cut(partition, expected))
        elif expected is not None and first > expected:
            self._tell_gap(partition, expected, self._consumer.beginning_offsets([partition])[partition])

    def _tell_gap(self, partition: Any, expected: int, beginning: int) -> None:
        if beginning > expected:
            self._gaps.append(_trimmed(partition, expected, beginning))
            self._next[partition] = beginning

    def _seen(self, found: Sequence[Any]) -> Progress:
        ends = [(each, self._consumer.highwater(each)) for each in self._next]
        places = {**self._next, **{partition: offset + 1 for partition, offset in self._taken}}
        known = [max(0, end - places[each]) for each, end in ends if end is not None]
        age = max(0, round(self._clock.wall() * 1_000) - found[-1].timestamp) if found else 0
        return Progress(sum(known) if known else None, len(found), age)


def _trimmed(partition: Any, expected: int, beginning: int) -> Gap:
    told = f"topic {partition.topic!r}, partition {partition.partition}: the log begins at {beginning}"
    return Gap(beginning - expected, f"{told}, and {expected} is next")


def _cut(partition: Any, expected: int) -> Gap:
    told = f"topic {partition.topic!r}, partition {partition.partition}: the log was cut, or made anew"
    return Gap(0, f"{told}, and {expected} was next")


def _listener(feed: KafkaFeed) -> Any:
    from kafka.consumer.subscription_state import ConsumerRebalanceListener  # noqa: PLC0415

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc, unused-ignore]
        """Hears what the group gives and takes, inside of a poll."""

        def on_partitions_revoked(self, revoked: Any) -> None:
            feed.revoked(revoked)

        def on_partitions_assigned(self, assigned: Any) -> None:
            feed.assigned(assigned)

        def on_partitions_lost(self, lost: Any) -> None:
            feed.lost(lost)

    return Listener()
