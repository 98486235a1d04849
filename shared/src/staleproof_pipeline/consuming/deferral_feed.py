"""The feed of what was put off and is due, from a sorted set: a worker applies it beside its own source."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from staleproof.errors import CacheError
from staleproof_pipeline.consuming.feed import Progress, Taken
from staleproof_pipeline.deferral import DUE
from staleproof_pipeline.order import ALONE
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.deferral_set import DeferralSet
    from staleproof_pipeline.report import RecordOutcome

COUNT = 500


class DeferralFeed:
    """A `Feed`. It does not wait: its worker has a source to wait for.

    Args:
        held: what was put off.
    """

    source = DUE
    order = ALONE

    def __init__(self, held: DeferralSet) -> None:
        self._held = held
        self._done: list[bytes] = []
        self._taken = 0

    def take(self, wait: float) -> Taken:
        """See `Feed.take`."""
        del wait
        self._write()
        found = self._held.due(COUNT)
        self._taken = len(found)
        return Taken([_readable(each) for each in found])

    def settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        """See `Feed.settle`; what cannot be removed now is with the next `take`."""
        self._done += [
            record if isinstance(record, bytes) else record.encode()
            for record, each in zip(records, outcomes, strict=True)
            if each.outcome is not Outcome.FAILED
        ]
        self._try_to_write()

    def closed_gaps(self) -> None:
        """See `Feed.closed_gaps`."""

    def keep(self) -> None:
        """See `Feed.keep`."""

    def progress(self) -> Progress:
        """See `Feed.progress`."""
        return Progress(None, self._taken, None)

    def close(self) -> None:
        """See `Feed.close`."""
        self._try_to_write()
        self._held.close()

    def _write(self) -> None:
        self._held.done(self._done)
        self._done = []

    def _try_to_write(self) -> None:
        with suppress(CacheError):  # it is applied once more, which is harmless
            self._write()


def _readable(member: bytes) -> str | bytes:
    """Return *member* as a text; what is none is poison, and stays as it is."""
    try:
        return member.decode()
    except UnicodeDecodeError:
        return member
