"""`Provider`: a cache server, seen through one namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.ports.answers import (
        Begun,
        Claim,
        Deposit,
        JournalId,
        JournalPage,
        Keys,
        Observed,
        Snapshot,
        Want,
    )
    from staleproof.tags import TagId


class Provider(Protocol):
    """A cache server, seen through one namespace.

    Every method raises `ProviderUnavailableError` (retry) or `ProviderRejectedError` (do not).
    """

    namespace: str

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """Return the entry and the versions of *tags*, in one round trip."""
        ...

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """Read the journal after *cursor*, and then what `read` returns, in one round trip, in this order."""
        ...

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """Return what `read` returns for each of *wants*, in one round trip; together they are no one moment."""
        ...

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """Snapshot *tags*, take the key's lease under the name *lease*, look at the entry's head; in this order."""
        ...

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """Return what `begin` returns for each of *claims*, in one round trip."""
        ...

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """Return the versions of *tags*, creating those that are missing, and then the guard if asked.

        Every version then lives for at least another *tag_ttl_ms*, for ever if 0: longer than what is stored under it.
        """
        ...

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """Store *entry* and give the lease back, if it is still ours; say whether it was.

        A *ttl_ms* of 0 is for ever.
        """
        ...

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """Return what `store` returns for each of *deposits*, in one round trip."""
        ...

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """Move the end of the stored entry in place, if it is still *seen_ms*; say whether.

        Args:
            key: the key's text.
            seen_ms: the end that the caller has read, UTC milliseconds; an end moved since stays.
            expires_ms: the new end, UTC milliseconds, or the same one.
            ttl_ms: for how long the server keeps the entry from now on, 0 for ever.
        """
        ...

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """Store *entry* and break any lease on the key, so that no load in flight overwrites it."""
        ...

    def release(self, key: str, lease: bytes) -> None:
        """Give the lease back, if it is still ours."""
        ...

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """Bump the guards, rotate the tags, remove keys with their leases, append to the journal, in this order.

        A soft one keeps the tags' old versions as predecessors, and ends the keys' entries instead of removing them.

        Returns the journal place of each part. Returning *is* the acknowledgement: what is raised instead
        must be tried again, which is harmless.
        """
        ...

    def scan(self, cursor: str, limit: int) -> Keys:
        """Return about *limit* keys of stored entries after *cursor*, "" for the first; never a blocking `KEYS`.

        A key may come twice, and one stored or removed meanwhile may come or not. Keys too long for the server are
        known there by their digest only, and are left out.
        """
        ...

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """Read at most *limit* records after *cursor*."""
        ...

    def journal_end(self) -> JournalId:
        """Return the place of the newest record, appending an empty one if the journal does not exist."""
        ...

    def close(self) -> None:
        """Close connections; the provider may be used again and reconnects."""
        ...
