"""A provider inside the process: for local caches, tests and development; and the contract's plainest statement.

Theory of operation: one lock makes every step atomic, so each method is the step's definition with nothing
else in it. What it holds lies in `Cells`: entries within the bounds that the application gave, and the bookkeeping that
makes them provably fresh beside them, where no number of entries can push it out.
"""

from __future__ import annotations

import heapq
import os
from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.entry import ended, head_bytes, prolonged
from staleproof.keys import Keyspace
from staleproof.ports import (
    JOURNAL_HORIZON_MS,
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
from staleproof.providers.memory_cells import Cells
from staleproof.providers.memory_follower import MemoryFollower
from staleproof.providers.memory_operations import MemoryOperations
from staleproof.providers.memory_structures.structures import MemoryStructures
from staleproof.providers.trimming import Trimming
from staleproof.tags import VERSION_BYTES, current, succeeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.ports.operations import Operation
    from staleproof.stores import StoreStatistics
    from staleproof.tags import TagId

DEFAULT_MAX_ENTRIES = 1_000_000
DEFAULT_MAX_BYTES = 256 * 2**20


class MemoryProvider(MemoryFollower):
    """One namespace inside the process; implements `Provider` and `Follower`.

    Args:
        namespace: the namespace it serves.
        eviction: which entries go when there are too many: `lru`, `lfu`, `fifo` or `tinylfu` (`staleproof.stores`).
        max_entries: how many entries it holds at most, or None.
        max_bytes: how many bytes they and their keys have at most together, or None; an entry above that is not kept.
        idle: seconds without a read after which an entry goes, or None.
        clock: the source of time for expiry and journal places.

    Raises:
        ConfigurationError: there is no such eviction, or no sensible bound.
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
    ) -> None:
        super().__init__(namespace, clock)
        self.keys = Keyspace(namespace)
        self._cells = Cells(
            eviction=eviction, max_entries=max_entries, max_bytes=max_bytes, idle=idle, clock=clock
        )
        self._trimming = Trimming(namespace)
        self._operations = MemoryOperations(self.keys, clock)
        self.structures = MemoryStructures(self.keys, self._cells, self.snapshot, lambda: self._lock, clock)

    @property
    def statistics(self) -> StoreStatistics:
        """What became of the entries, and how many bytes they and their keys have."""
        return self._cells.entries.statistics

    def drop(self, name: bytes) -> None:
        """Remove one thing by its name on a server, or the whole journal, as an eviction by the server would."""
        with self._lock:
            self._cells.remove(name)
            self.structures.drop(name)
            self._operations.things.delete(name)
            if name == self.keys.guard:
                self._cells.guard = None
            if name == self.keys.journal:
                self._journal.delete()

    # --- steps of the algorithm ----------------------------------------------------------------

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        with self._lock:
            versions = [self._cells.versions.get(self.keys.version(tag)) for tag in tags]
            return Observed(self._cells.entries.get(self.keys.entry(key)), versions)

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        with self._lock:
            return self.journal(cursor, limit), self.read(key, tags)

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        with self._lock:
            return [self.read(want.key, want.tags) for want in wants]

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        with self._lock:
            versions = [self._version(tag, tag_ttl_ms) for tag in tags]
            least = [self._cells.fence(self.keys.min_version(tag)) for tag in tags]
            return Snapshot(versions, least, self._cells.usable_guard() if guard else None)

    def _version(self, tag: TagId, ttl_ms: int) -> bytes:
        name, versions = self.keys.version(tag), self._cells.versions
        version = versions.get(name)
        if version is None:
            version = os.urandom(VERSION_BYTES)
            versions.set(name, version, ttl=_seconds(ttl_ms))
        versions.prolong(name, _seconds(ttl_ms))
        return current(version)

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        with self._lock:
            snapshot = self.snapshot(tags, tag_ttl_ms, guard=guard)
            name = self.keys.lease(key)
            holder = self._cells.leases.peek(name)
            if holder is None:
                self._cells.leases.set(name, lease, ttl=_seconds(lease_ms))
            head = (self._cells.entries.peek(self.keys.entry(key)) or b"")[: head_bytes(len(tags))]
            return Begun(snapshot, holder is None or holder == lease, head)

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        with self._lock:
            return [self.begin(*claim, lease_ms, tag_ttl_ms, guard=guard) for claim in claims]

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        with self._lock:
            if self._cells.leases.peek(self.keys.lease(key)) != lease:
                return False
            self.put(key, entry, ttl_ms)
            return True

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        with self._lock:
            return [self.store(*deposit) for deposit in deposits]

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        with self._lock:
            name, entries = self.keys.entry(key), self._cells.entries
            moved = prolonged(entries.peek(name) or b"", seen_ms, expires_ms)
            if moved is not None:
                entries.set(name, moved, ttl=_seconds(ttl_ms))
            return moved is not None

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        with self._lock:
            self._cells.leases.delete(self.keys.lease(key))
            self._cells.entries.set(self.keys.entry(key), entry, ttl=_seconds(ttl_ms))

    def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        with self._lock:
            if self._cells.leases.peek(self.keys.lease(key)) == lease:
                self._cells.leases.delete(self.keys.lease(key))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        with self._lock:
            self._cells.bump([tag for each in invalidations for tag in each.tag_ids])
            for each in invalidations:
                self._fence_rows(each)
            for each in invalidations:
                (self._soften if each.soft else self._remove)(each)
            if self._trimming.due():
                self._journal.trim(JOURNAL_HORIZON_MS)
            return [self._journal.append(part) for each in invalidations for part in each.parts()]

    def _remove(self, invalidation: Invalidation) -> None:
        for tag in invalidation.tag_ids:
            self._cells.versions.delete(self.keys.version(tag))
        for key in invalidation.evicted:
            self._cells.entries.delete(self.keys.entry(key))
            self._cells.leases.delete(self.keys.lease(key))

    def _soften(self, invalidation: Invalidation) -> None:
        for tag in invalidation.tag_ids:
            name = self.keys.version(tag)
            held = self._cells.versions.peek(name)
            if held is not None:
                version = succeeded(held, os.urandom(VERSION_BYTES), invalidation.at_ms)
                self._cells.versions.amend(name, version)
        for key in invalidation.evicted:
            name = self.keys.entry(key)
            stale = ended(self._cells.entries.peek(name) or b"", invalidation.at_ms)
            if stale is None:
                self._cells.entries.delete(name)
            else:
                self._cells.entries.amend(name, stale)
            self._cells.leases.delete(self.keys.lease(key))

    def _fence_rows(self, invalidation: Invalidation) -> None:
        if invalidation.row_version is None or not invalidation.lag_ms:
            return
        for tag in invalidation.tag_ids:
            lag = invalidation.lag_ms / 1_000
            self._cells.raise_fence(self.keys.min_version(tag), invalidation.row_version, lag)

    def perform(self, operation: Operation) -> Any:
        """See `Operator.perform`."""
        with self._lock:
            return self._operations.perform(operation)

    def close(self) -> None:
        """Nothing is held open; the contents stay."""

    def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`; in the order of the keys, and the cursor is `>` and the last one that was returned."""
        entries = self._cells.entries
        with self._lock:
            keys = [self.keys.key_of(name) for name in entries if name in entries]
        rest = [key for key in keys if key is not None and (not cursor or key > cursor[1:])]
        page = heapq.nsmallest(limit, rest)
        return Keys(page, f">{page[-1]}" if len(page) < len(rest) else "")


def _seconds(milliseconds: int) -> float | None:
    """Return a time to live as stores take it: None for ever."""
    return milliseconds / 1_000 if milliseconds else None
