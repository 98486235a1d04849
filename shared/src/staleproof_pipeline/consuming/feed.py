"""The port between a source that is fetched from and the loop that applies what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.order import Order
    from staleproof_pipeline.report import RecordOutcome
    from staleproof_pipeline.sources import RecordSource


class Gap(NamedTuple):
    """Changes that were lost before anybody read them.

    Attributes:
        records: how many; 0 if nobody can know.
        told: where and how, for people.
    """

    records: int
    told: str


class Taken(NamedTuple):
    """What a feed gave.

    Attributes:
        records: raw records, in their order.
        spent: raw records that were delivered too often without an answer: whoever takes them may die of them.
        gaps: what was lost.
    """

    records: Sequence[Any] = ()
    spent: Sequence[Any] = ()
    gaps: Sequence[Gap] = ()

    def __bool__(self) -> bool:
        return bool(self.records or self.spent or self.gaps)


class Progress(NamedTuple):
    """How far a feed is behind.

    Attributes:
        backlog: records that wait, None if nobody can say.
        pending: records that somebody took and has not acknowledged.
        age_ms: age of the newest record that was taken, None if unknown.
    """

    backlog: int | None = None
    pending: int = 0
    age_ms: int | None = None


class Feed(Protocol):
    """A source that is fetched from. One thread uses it.

    Its methods raise `ProviderUnavailableError` for whatever passes by itself: they are called again after a pause.
    """

    source: RecordSource
    order: Order

    def take(self, wait: float) -> Taken:
        """Return what is there; if nothing is, wait at most so many seconds for something."""
        ...

    def settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        """Acknowledge, now or with the next `take`, those of what was taken last that have not failed."""
        ...

    def closed_gaps(self) -> None:
        """What was lost has been made up for: do not tell it again."""
        ...

    def keep(self) -> None:
        """Say that this consumer lives, while it takes nothing for a while."""
        ...

    def progress(self) -> Progress:
        """Return how far behind the feed was when it was last asked. No I/O."""
        ...

    def close(self) -> None:
        """Acknowledge what is done, and leave: others may take over at once. Must not raise."""
        ...
