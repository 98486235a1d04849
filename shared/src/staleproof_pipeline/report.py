"""What became of a batch: one outcome a record, never none."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Outcome(StrEnum):
    """What became of a record.

    Attributes:
        APPLIED: everything that it makes stale is gone, and the journal has it.
        IGNORED: it makes nothing stale here.
        DEAD_LETTERED: it can never be applied; the dead letter has its payload and the reason.
        FAILED: none of these yet: its source must deliver it again.
    """

    APPLIED = "applied"
    IGNORED = "ignored"
    DEAD_LETTERED = "dead_lettered"
    FAILED = "failed"


class RecordOutcome(NamedTuple):
    """One record's outcome, with the error where there is one."""

    outcome: Outcome
    error: Exception | None = None


class Report(NamedTuple):
    """The outcomes of a batch, in the order of its records.

    Attributes:
        records: as they came.
        outcomes: one a record.
        rules: the digest of the rules that held when it came.
    """

    records: Sequence[Any]
    outcomes: Sequence[RecordOutcome]
    rules: str = ""

    def counts(self) -> dict[str, int]:
        """Return how many records had each outcome; the numbers add up to the records sent."""
        found = Counter(each.outcome for each in self.outcomes)
        return {outcome.value: found[outcome] for outcome in Outcome}

    def failure(self) -> Exception | None:
        """Return the first failed record's error, or None if none failed."""
        return next((each.error for each in self.outcomes if each.outcome is Outcome.FAILED), None)

    def acknowledged(self) -> dict[str, int]:
        """Return the counts.

        Raises:
            Exception: a record's own error, if one failed: for sources that take a raise as "deliver it again".
        """
        if (error := self.failure()) is not None:
            raise error
        return self.counts()
