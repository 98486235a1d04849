"""Whether this context has changed what it has not committed yet: what it loads then is for itself alone.

A load within a transaction reads the transaction's own changes. Stored, they would reach readers everywhere before the
commit, and a rollback, which invalidates nothing, would leave them there.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Work(Protocol):
    """A unit of work."""

    @property
    def pending(self) -> bool:
        """Whether it is open, and has changed something."""
        ...


current: ContextVar[Work | None] = ContextVar("staleproof_uncommitted", default=None)
"""The unit of work of this context, or None."""


def pending() -> Work | None:
    """Return this context's unit of work if it has changed something and is still open, else None."""
    work = current.get()
    return work if work is not None and work.pending else None
