"""`AsyncProvider`: the same as `Provider`, as coroutines."""

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


class AsyncProvider(Protocol):
    """`Provider`, as coroutines."""

    namespace: str

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        ...

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        ...

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        ...

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        ...

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        ...

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        ...

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        ...

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        ...

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        ...

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        ...

    async def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        ...

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        ...

    async def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`."""
        ...

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        ...

    async def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        ...

    async def close(self) -> None:
        """See `Provider.close`."""
        ...
