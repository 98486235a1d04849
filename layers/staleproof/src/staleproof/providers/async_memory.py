"""The memory provider's asyncio face: the same table, never waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.providers.memory import DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES, MemoryProvider
from staleproof.providers.memory_structures.structures import AsyncMemoryStructures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.ports import (
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
    from staleproof.ports.operations import Operation
    from staleproof.stores import StoreStatistics
    from staleproof.tags import TagId


class AsyncMemoryProvider:
    """One namespace inside the process; implements `AsyncProvider`.

    Args:
        namespace: the namespace it serves.
        eviction, max_entries, max_bytes, idle, clock: see `MemoryProvider`.
        inner: an existing provider to share with a blocking face, instead of all the above.
    """

    def __init__(
        self,
        namespace: str = "local",
        *,
        eviction: str = "lru",
        max_entries: int | None = DEFAULT_MAX_ENTRIES,
        max_bytes: int | None = DEFAULT_MAX_BYTES,
        idle: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
        inner: MemoryProvider | None = None,
    ) -> None:
        self.inner = inner or MemoryProvider(
            namespace,
            eviction=eviction,
            max_entries=max_entries,
            max_bytes=max_bytes,
            idle=idle,
            clock=clock,
        )
        self.namespace = self.inner.namespace
        self.keys = self.inner.keys
        self.structures = AsyncMemoryStructures(self.inner.structures)

    @property
    def statistics(self) -> StoreStatistics:
        """See `MemoryProvider.statistics`."""
        return self.inner.statistics

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `AsyncProvider.read`."""
        return self.inner.read(key, tags)

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `AsyncProvider.read_following`."""
        return self.inner.read_following(key, tags, cursor, limit)

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `AsyncProvider.read_many`."""
        return self.inner.read_many(wants)

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `AsyncProvider.begin`."""
        return self.inner.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard)

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `AsyncProvider.begin_many`."""
        return self.inner.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard)

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `AsyncProvider.snapshot`."""
        return self.inner.snapshot(tags, tag_ttl_ms, guard=guard)

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `AsyncProvider.store`."""
        return self.inner.store(key, entry, ttl_ms, lease)

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `AsyncProvider.store_many`."""
        return self.inner.store_many(deposits)

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `AsyncProvider.expire`."""
        return self.inner.expire(key, seen_ms, expires_ms, ttl_ms)

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `AsyncProvider.put`."""
        self.inner.put(key, entry, ttl_ms)

    async def release(self, key: str, lease: bytes) -> None:
        """See `AsyncProvider.release`."""
        self.inner.release(key, lease)

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `AsyncProvider.invalidate`."""
        return self.inner.invalidate(invalidations)

    async def perform(self, operation: Operation) -> Any:
        """See `AsyncOperator.perform`."""
        return self.inner.perform(operation)

    async def scan(self, cursor: str, limit: int) -> Keys:
        """See `AsyncProvider.scan`."""
        return self.inner.scan(cursor, limit)

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `AsyncProvider.journal`."""
        return self.inner.journal(cursor, limit)

    async def journal_end(self) -> JournalId:
        """See `AsyncProvider.journal_end`."""
        return self.inner.journal_end()

    async def close(self) -> None:
        """Nothing is held open; the contents stay."""
