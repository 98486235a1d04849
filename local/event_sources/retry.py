"""What becomes of a batch of stream records after each delivery: a state machine without I/O.

Theory of operation. The records handed in are held as a stack of pending batches, the oldest on top. The driver
delivers `current`, judges the response (`batch_response`) and applies the outcome; what comes back are the steps
to carry out, in order, before the next delivery. The rules are Lambda's for DynamoDB streams:

=================  =========================================================================================
all succeeded      checkpoint after the batch's last record
failed             with bisect on and two records or more: both halves, older first. A split is not a retry
                   and costs none of the attempts. Otherwise: the same batch again, one attempt spent
failed from S on   checkpoint before S; the rest, from S on, again. With bisect on, the batch was split at S: no
                   attempt spent, if anything stood before S
attempts spent     the batch goes to the dead letter, and the shard goes on after it
=================  =========================================================================================

So a record leaves in one of two ways only, delivered or dead-lettered, and never before an older one: a checkpoint
never passes a record that did neither. Sequence numbers are compared as integers: as text, "9" is above "10".
Every failure that is not a discard is followed by a pause, doubling up to a bound, so that
a broken function is not invoked in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOREVER = -1
"""`MaximumRetryAttempts` of a mapping that never gives up."""


@dataclass(frozen=True)
class Record:
    """A stream record: its sequence number, and the Lambda event shape of it."""

    sequence: str
    body: dict[str, Any]

    @property
    def order(self) -> int:
        """Its place in the shard."""
        return int(self.sequence)


@dataclass(frozen=True)
class Batch:
    """Records delivered together.

    Attributes:
        records: oldest first, never empty.
        attempts: deliveries that count as retries spent, the first included.
        invocations: how often the function was invoked on the oldest of them.
    """

    records: tuple[Record, ...]
    attempts: int = 0
    invocations: int = 0

    @property
    def last(self) -> str:
        """The newest record's sequence number."""
        return self.records[-1].sequence


@dataclass(frozen=True)
class Succeeded:
    """The function acknowledged the whole batch."""


@dataclass(frozen=True)
class Failed:
    """The function acknowledged nothing.

    Attributes:
        reason: for the log.
        unhandled: it raised, timed out or died; False if its response was unusable.
    """

    reason: str
    unhandled: bool = True


@dataclass(frozen=True)
class FailedFrom:
    """The function acknowledged what stands before *sequence*."""

    sequence: str


Outcome = Succeeded | Failed | FailedFrom


@dataclass(frozen=True)
class Checkpoint:
    """Everything up to and with *sequence* is dealt with: remember it."""

    sequence: str


@dataclass(frozen=True)
class Discard:
    """Attempts are spent: send what describes *batch* to the dead letter; a `Checkpoint` after it follows."""

    batch: Batch
    outcome: Outcome


@dataclass(frozen=True)
class Pause:
    """Wait so many *seconds* before the next delivery."""

    seconds: float


Step = Checkpoint | Discard | Pause


@dataclass(frozen=True)
class RetryPolicy:
    """A mapping's failure settings.

    Attributes:
        maximum_retry_attempts: retries after the first delivery; `FOREVER` for no bound.
        bisect: split a failed batch in two (`BisectBatchOnFunctionError`).
        first_pause: seconds before the first retry.
        longest_pause: seconds that no pause exceeds.
    """

    maximum_retry_attempts: int = FOREVER
    bisect: bool = False
    first_pause: float = 0.05
    longest_pause: float = 2.0

    def exhausted(self, attempts: int) -> bool:
        """Say whether *attempts* deliveries are all that this policy grants."""
        return self.maximum_retry_attempts != FOREVER and attempts > self.maximum_retry_attempts

    def pause(self, invocations: int) -> float:
        """Return the seconds to wait after so many failed invocations."""
        doublings = min(max(invocations - 1, 0), 30)  # beyond, the bound holds and the power would only grow
        return min(self.first_pause * 2.0**doublings, self.longest_pause)


class Delivery:
    """Records on their way to a function. Empty when every one was delivered or dead-lettered."""

    def __init__(self, policy: RetryPolicy, records: Sequence[Record]) -> None:
        self._policy = policy
        self._pending: list[Batch] = [Batch(tuple(records))] if records else []

    @property
    def current(self) -> Batch | None:
        """The batch to deliver next."""
        return self._pending[-1] if self._pending else None

    def apply(self, outcome: Outcome) -> list[Step]:
        """Take the outcome of delivering `current`; return what to do before the next delivery, in order."""
        batch = self._pending.pop()
        delivered = Batch(batch.records, batch.attempts + 1, batch.invocations + 1)
        match outcome:
            case Succeeded():
                return [Checkpoint(batch.last)]
            case Failed():
                return list(self._fail(delivered, outcome))
            case FailedFrom(sequence):
                return list(self._fail_from(delivered, outcome, int(sequence)))

    def _fail(self, batch: Batch, outcome: Outcome) -> Iterator[Step]:
        if self._policy.bisect and len(batch.records) > 1:
            middle = (len(batch.records) + 1) // 2
            for half in (batch.records[middle:], batch.records[:middle]):
                self._pending.append(Batch(half, batch.attempts - 1, batch.invocations))
            yield Pause(self._policy.pause(batch.invocations))
        else:
            yield from self._retry(batch, outcome)

    def _fail_from(self, batch: Batch, outcome: Outcome, sequence: int) -> Iterator[Step]:
        done = [record for record in batch.records if record.order < sequence]
        rest = batch.records[len(done) :]
        split = bool(done) and self._policy.bisect
        if done:
            yield Checkpoint(done[-1].sequence)
        remaining = Batch(rest, batch.attempts - int(split), batch.invocations)
        if split:
            self._pending.append(remaining)
            yield Pause(self._policy.pause(batch.invocations))
        else:
            yield from self._retry(remaining, outcome)

    def _retry(self, batch: Batch, outcome: Outcome) -> Iterator[Step]:
        if self._policy.exhausted(batch.attempts):
            yield Discard(batch, outcome)
            yield Checkpoint(batch.last)
        else:
            self._pending.append(batch)
            yield Pause(self._policy.pause(batch.invocations))
