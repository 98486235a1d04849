"""The feed of a Redis stream: new entries, and what dead consumers left.

Theory of operation. `take` first deals with what is pending under this consumer's name: after a start and after every
reconnection that may be entries whose delivery got lost on the way, and at intervals it takes over what others have had
for longer than `idle`. An entry's deliveries are counted by the server. One that was delivered often without an answer
may have killed its consumers: from `SUSPECT` deliveries on it is given alone, so that only it is counted further, and
after `deliveries` it is spent. What was settled is acknowledged with the next exchange; a crash before it repeats. Who
leaves with something in hand, because a cache or a queue was away, gives it back: nobody died of it, so it counts as
never delivered, and others may have it at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK
from staleproof_pipeline.consuming.feed import Gap, Progress, Taken
from staleproof_pipeline.consuming.stream_group import NoGroupError
from staleproof_pipeline.order import ALONE
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.sources import redis_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.stream_group import StreamGroup
    from staleproof_pipeline.consuming.stream_line import StreamLine
    from staleproof_pipeline.consuming.stream_reply import Entry, Pending, Read
    from staleproof_pipeline.report import RecordOutcome
    from staleproof_pipeline.sources import RecordSource

SUSPECT = 3
BLOCK = 1.0
"""Seconds that one question blocks at most, so that a stop is heard."""

HOUSEKEEPING = 600.0


class StreamFeed:
    """A `Feed`.

    Args:
        group: the consumer group.
        line: its connection.
        count: entries of a batch.
        idle: seconds after which an entry that another consumer has is taken over.
        deliveries: how often an entry is delivered before it is spent.
        latest: a group that is made begins with what comes, not with what there is.
        source: reads an entry.
        clock: the source of time.
    """

    def __init__(
        self,
        group: StreamGroup,
        line: StreamLine,
        *,
        count: int = 500,
        idle: float = 60.0,
        deliveries: int = 5,
        latest: bool = False,
        source: RecordSource = redis_stream.SOURCE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.source = source
        self.order = ALONE
        self._group = group
        self._line = line
        self._count = count
        self._idle_ms = round(idle * 1_000)
        self._deliveries = max(deliveries, SUSPECT)
        self._latest = latest
        self._clock = clock
        self._done: list[bytes] = []
        self._hand: list[bytes] = []
        self._gap: Read | None = None
        self._ghosts: list[bytes] = []
        self._removed = False
        self._known = False
        self._recovered = -1
        self._claim_at = 0.0
        self._tidy_at = 0.0
        self._progress = Progress()

    def take(self, wait: float) -> Taken:
        """See `Feed.take`."""
        try:
            taken = self._recover() or self._fresh(wait)
        except NoGroupError:
            return self._restored()
        self._hand = [each["id"].encode() for each in taken.records]
        return taken

    def settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        """See `Feed.settle`."""
        self._done += [
            each["id"].encode()
            for each, outcome in zip(records, outcomes, strict=True)
            if outcome.outcome is not Outcome.FAILED
        ]
        self._hand = list(set(self._hand) - set(self._done))

    def closed_gaps(self) -> None:
        """See `Feed.closed_gaps`."""
        if self._removed:
            self._group.create()
            self._removed = False
        if self._gap is not None:
            self._group.count(self._gap.place, self._gap.removed + len(self._gap.entries))
            self._gap = None
        if self._ghosts:
            self._group.acknowledge(self._ghosts)
            self._ghosts = []

    def keep(self) -> None:
        """See `Feed.keep`: the server knows who lives by who asks; nothing is lost if another takes over."""

    def progress(self) -> Progress:
        """See `Feed.progress`."""
        return self._progress

    def close(self) -> None:
        """See `Feed.close`."""
        try:
            self._group.acknowledge(self._done)
            self._done = []
            self._group.give_back(self._hand, self._idle_ms)
            self._group.leave()
        except Exception:  # noqa: BLE001, S110 - what is not acknowledged is taken over, and repeats
            pass
        finally:
            self._line.close()

    # --- what there is ------------------------------------------------------------------------------

    def _fresh(self, wait: float) -> Taken:
        found = self._read()
        if not found.entries and not found.lost and wait > 0:
            self._group.await_new(found.place, min(wait, BLOCK))
            found = self._read()
        gaps = []
        if found.lost:
            self._gap = found
            gaps.append(
                Gap(found.lost, f"{found.lost} entries of {self._name} were trimmed before they were read")
            )
        return Taken(self._records(found.entries), gaps=gaps)

    def _ensure(self) -> None:
        if not self._known:
            self._group.create(latest=self._latest)
            self._known = True

    def _read(self) -> Read:
        self._ensure()
        found = self._group.read(self._count, self._done)
        self._done = []
        self._progress = Progress(found.backlog, found.pending, self._age(found.entries))
        return found

    def _restored(self) -> Taken:
        """The group was there and is gone: say that something may be lost, and make it anew, from the beginning.

        It is made after the gap was closed: who dies in between leaves it to others to find.
        """
        self._done, self._hand, self._ghosts, self._gap = [], [], [], None
        self._removed = True
        return Taken(gaps=[Gap(0, f"{self._name} or its group was removed, with what nobody had read")])

    # --- what was left ------------------------------------------------------------------------------

    def _recover(self) -> Taken:
        now = self._clock.monotonic()
        if self._line.opened == self._recovered and now < self._claim_at:
            return Taken()
        self._ensure()
        done, self._done = self._done, []
        abandoned = self._group.abandoned(self._idle_ms, self._count, done)
        if abandoned:
            self._living(abandoned)
            if (
                self._ghosts
            ):  # before they are taken over, which forgets them: who dies now leaves them to be found
                return Taken(gaps=[self._trimmed(self._ghosts)])
            late = self._group.take_over(self._idle_ms, self._count)
            if late:  # trimmed since they were looked at
                return Taken(gaps=[self._trimmed(late)])
        pending = self._living(self._group.pending(self._count))
        if self._ghosts:
            return Taken(gaps=[self._trimmed(self._ghosts)])
        if pending:
            return self._given(pending)
        self._recovered = self._line.opened
        self._claim_at = now + max(0.2, self._idle_ms / 2_000)
        self._tidy(now)
        return Taken()

    def _living(self, pending: Sequence[Pending]) -> list[Pending]:
        """Return those that are still in the stream; the others are ghosts."""
        there = {each.id for each in self._group.existing([each.id for each in pending])} if pending else ()
        self._ghosts += [each.id for each in pending if each.id not in there and each.id not in self._ghosts]
        return [each for each in pending if each.id in there]

    def _given(self, pending: Sequence[Pending]) -> Taken:
        spent = [each.id for each in pending if each.times >= self._deliveries]
        if spent:
            return Taken(spent=self._records(self._group.existing(spent)))
        usual = [each.id for each in pending if each.times < SUSPECT]
        return Taken(self._records(self._group.claim(usual or [pending[0].id])))

    def _trimmed(self, ghosts: Sequence[bytes]) -> Gap:
        return Gap(len(ghosts), f"{len(ghosts)} entries of {self._name} were trimmed while they were pending")

    def _tidy(self, now: float) -> None:
        if now >= self._tidy_at:
            self._tidy_at = now + HOUSEKEEPING
            self._group.forget_others()

    # --- shapes -------------------------------------------------------------------------------------

    def _records(self, entries: Sequence[Entry]) -> list[Any]:
        stream = self._group.address.stream
        return [redis_stream.record(stream, each.id, each.fields) for each in entries]

    def _age(self, entries: Sequence[Entry]) -> int | None:
        if not entries:
            return self._progress.age_ms if self._progress.backlog else 0
        written = int(entries[-1].id.partition(b"-")[0])
        return max(0, round(self._clock.wall() * 1_000) - written)

    @property
    def _name(self) -> str:
        return f"stream {self._group.address.stream.decode(errors='replace')!r}"
