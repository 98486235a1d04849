"""What Memcached cannot do, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.errors import ProviderRejectedError
from staleproof.ports import JournalPage, journal_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.ports import JournalId

NO_JOURNAL = JournalPage([], "", contiguous=False, complete=True)
"""A page that says: there is no journal, so anything may have been missed."""


def no_journal(*_asked: object) -> ProviderRejectedError:
    """Return what to raise for a question to the journal."""
    return ProviderRejectedError(
        "Memcached has no streams, so there is no journal: near copies are checked by their tags' versions, and "
        "another region is told of changes by the pipeline; use Valkey or Redis for a journal"
    )


def no_scan(*_asked: object) -> ProviderRejectedError:
    """Return what to raise for a scan."""
    return ProviderRejectedError(
        "Memcached does not list its keys: tag what you want to find again, and invalidate the tag"
    )


def places(invalidations: Sequence[Invalidation]) -> list[JournalId]:
    """Return as many places as a journal would have given, none of which exists."""
    return [journal_id("0-0", part.id) for each in invalidations for part in each.parts()]
