"""A provider inside the process: for tests, for development, and as the plainest statement of the contract.

Theory of operation: one lock makes every step atomic, so each method is the step's definition with nothing
else in it. Entries, leases, versions and row-version fences live in one table of expiring cells, which is
also what `drop` (an eviction) removes from.
"""

from __future__ import annotations

import os
import threading
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.entry import ended_at, head_bytes
from staleproof.events.invalidation import genesis
from staleproof.keys import Keyspace
from staleproof.policies import guard as guards
from staleproof.ports import (
    JOURNAL_HORIZON_MS,
    TRIM_EVERY,
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
from staleproof.providers.memory_journal import MemoryJournal
from staleproof.tags import VERSION_BYTES, current, succeeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.tags import TagId

DEFAULT_MAX_CELLS = 1_000_000


class _Cell(NamedTuple):
    value: bytes
    deadline: float | None


_TABLES: WeakSet[MemoryProvider] = WeakSet()


def _unlock_after_fork() -> None:
    for table in _TABLES:
        table._lock = threading.RLock()  # noqa: SLF001 - a thread that the child does not have may hold it


os.register_at_fork(after_in_child=_unlock_after_fork)


class MemoryProvider:
    """One namespace in a dictionary; implements `Provider` and `Follower`.

    Args:
        namespace: the namespace it serves.
        clock: the source of time for expiry and journal places.
        max_cells: how many cells (entries, versions, leases) it holds; the oldest go first.
    """

    def __init__(
        self, namespace: str = "local", *, clock: Clock = SYSTEM_CLOCK, max_cells: int = DEFAULT_MAX_CELLS
    ) -> None:
        self.namespace = namespace
        self.keys = Keyspace(namespace)
        self._clock = clock
        self._max_cells = max_cells
        self._lock = threading.RLock()
        self._cells: dict[bytes, _Cell] = {}
        self._journal = MemoryJournal(clock)
        self._invalidations = count(1)
        _TABLES.add(self)

    def _get(self, name: bytes) -> bytes | None:
        cell = self._cells.get(name)
        if cell is None:
            return None
        if cell.deadline is not None and cell.deadline <= self._clock.now().monotonic:
            del self._cells[name]
            return None
        return cell.value

    def _set(self, name: bytes, value: bytes, ttl_ms: int) -> None:
        deadline = self._clock.now().monotonic + ttl_ms / 1_000 if ttl_ms else None
        self._cells.pop(name, None)
        self._cells[name] = _Cell(value, deadline)
        while len(self._cells) > self._max_cells:
            del self._cells[next(iter(self._cells))]

    def _prolong(self, name: bytes, ttl_ms: int) -> None:
        cell = self._cells.get(name)
        if cell is None or cell.deadline is None:
            return
        deadline = self._clock.now().monotonic + ttl_ms / 1_000
        if not ttl_ms or deadline > cell.deadline:
            self._cells[name] = _Cell(cell.value, deadline if ttl_ms else None)

    def drop(self, name: bytes) -> None:
        """Remove one cell, or the whole journal, as an eviction by the server would."""
        with self._lock:
            self._cells.pop(name, None)
            if name == self.keys.journal:
                self._journal.delete()

    # --- steps of the algorithm ----------------------------------------------------------------

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        with self._lock:
            return Observed(self._get(self.keys.entry(key)), [self._get(self.keys.version(t)) for t in tags])

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
            rows = [self._get(self.keys.min_version(tag)) for tag in tags]
            least = [None if row is None else int(row) for row in rows]
            return Snapshot(versions, least, self._guard() if guard else None)

    def _version(self, tag: TagId, ttl_ms: int) -> bytes:
        name = self.keys.version(tag)
        version = self._get(name)
        if version is None:
            version = os.urandom(VERSION_BYTES)
            self._set(name, version, ttl_ms)
        self._prolong(name, ttl_ms)
        return current(version)

    def _guard(self) -> bytes:
        guard = self._get(self.keys.guard)
        if guard is None or not guards.usable(guard):
            guard = guards.fresh(os.urandom(guards.EPOCH_BYTES))
            self._set(self.keys.guard, guard, 0)
        return guard

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        with self._lock:
            snapshot = self.snapshot(tags, tag_ttl_ms, guard=guard)
            name = self.keys.lease(key)
            holder = self._get(name)
            if holder is None:
                self._set(name, lease, lease_ms)
            head = (self._get(self.keys.entry(key)) or b"")[: head_bytes(len(tags))]
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
            if self._get(self.keys.lease(key)) != lease:
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
            moved = ended_at(self._get(self.keys.entry(key)) or b"", expires_ms, seen_ms=seen_ms)
            if moved is not None:
                self._set(self.keys.entry(key), moved, ttl_ms)
            return moved is not None

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        with self._lock:
            self.drop(self.keys.lease(key))
            self._set(self.keys.entry(key), entry, ttl_ms)

    def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        with self._lock:
            if self._get(self.keys.lease(key)) == lease:
                self.drop(self.keys.lease(key))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        with self._lock:
            self._bump([tag for each in invalidations for tag in each.tag_ids])
            for each in invalidations:
                self._fence_rows(each)
            for each in invalidations:
                (self._soften if each.soft else self._remove)(each)
            if next(self._invalidations) % TRIM_EVERY == 0:
                self._journal.trim(JOURNAL_HORIZON_MS)
            return [self._journal.append(part) for each in invalidations for part in each.parts()]

    def _remove(self, invalidation: Invalidation) -> None:
        for tag in invalidation.tag_ids:
            self.drop(self.keys.version(tag))
        for key in invalidation.keys:
            self.drop(self.keys.entry(key))
            self.drop(self.keys.lease(key))

    def _soften(self, invalidation: Invalidation) -> None:
        for tag in invalidation.tag_ids:
            name = self.keys.version(tag)
            held = self._get(name)
            if held is not None:
                version = succeeded(held, os.urandom(VERSION_BYTES), invalidation.at_ms)
                self._cells[name] = self._cells[name]._replace(value=version)
        for key in invalidation.keys:
            name = self.keys.entry(key)
            ended = ended_at(self._get(name) or b"", invalidation.at_ms)
            if ended is None:
                self.drop(name)
            else:
                self._cells[name] = self._cells[name]._replace(value=ended)
            self.drop(self.keys.lease(key))

    def _bump(self, tags: Sequence[TagId]) -> None:
        guard = bytearray(self._get(self.keys.guard) or bytes(guards.GUARD_BYTES))
        for slot in guards.slots(tags):
            at = slot * guards.COUNTER_BYTES
            counter = int.from_bytes(guard[at : at + guards.COUNTER_BYTES], "big") + 1
            guard[at : at + guards.COUNTER_BYTES] = (counter % 2**32).to_bytes(guards.COUNTER_BYTES, "big")
        self._set(self.keys.guard, bytes(guard), 0)

    def _fence_rows(self, invalidation: Invalidation) -> None:
        if invalidation.row_version is None or not invalidation.lag_ms:
            return
        for tag in invalidation.tag_ids:
            name = self.keys.min_version(tag)
            known = int(self._get(name) or b"0")
            self._set(name, str(max(known, invalidation.row_version)).encode(), invalidation.lag_ms)

    def close(self) -> None:
        """Nothing is held open; the contents stay."""

    def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`; the cursor is a count of keys."""
        with self._lock:
            names = [self.keys.key_of(name) for name in list(self._cells) if self._get(name) is not None]
        keys = [name for name in names if name is not None]
        start = int(cursor or 0)
        end = start + limit
        return Keys(keys[start:end], str(end) if end < len(keys) else "")

    # --- the journal -----------------------------------------------------------------------------

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        with self._lock:
            return self._journal.page(cursor, limit)

    def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        with self._lock:
            return self._journal.end() or self._journal.append(genesis(self.namespace))

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """See `Follower.undelivered`."""
        with self._lock:
            return self._journal.undelivered(name, limit)

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """See `Follower.pushed`."""
        with self._lock:
            self._journal.pushed(name, places)

    def advance(self, name: str, place: JournalId) -> None:
        """See `Follower.advance`."""
        with self._lock:
            self._journal.advance(name, place)

    def followers(self) -> list[str]:
        """See `Follower.followers`."""
        with self._lock:
            return self._journal.followers()

    def forget(self, name: str) -> None:
        """See `Follower.forget`."""
        with self._lock:
            self._journal.forget(name)

    def trim(self, horizon_ms: int) -> int:
        """See `Follower.trim`."""
        with self._lock:
            return self._journal.trim(horizon_ms)
