"""What the memory provider holds, each kind in a store of its own, so that no kind crowds out another.

============  ===================================================  ===================================================
kind          bounded by                                           one that is lost costs
============  ===================================================  ===================================================
entry         what the provider was given: entries and bytes       a load
tag version   `MAX_BOOKKEEPING`, least recently used first         a load for each entry under the tag
lease         `MAX_BOOKKEEPING`, oldest first                      one value that is served and not stored
row fence     `MAX_BOOKKEEPING`, oldest first                      loads unstored, for as long as it would have stood
guard         there is one                                         loads unstored, of those under way
============  ===================================================  ===================================================

A row fence that is evicted must not open the way to an old row (P6): `blanket`, a fence for all tags, then stands.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from staleproof.policies import guard as guards
from staleproof.stores import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof.stores import Removal
    from staleproof.tags import TagId

MAX_BOOKKEEPING = 1_000_000
UNPASSABLE_ROW = 2**64
"""Above every row version: under this fence nothing is stored."""


class Fence(NamedTuple):
    """The least row version that may be stored, and for how many seconds that was to hold."""

    row_version: int
    lag: float


class Cells:
    """Entries, versions, leases, fences and the guard, by their names on a server. Their owner's lock guards them."""

    def __init__(
        self,
        *,
        eviction: str,
        max_entries: int | None,
        max_bytes: int | None,
        idle: float | None,
        clock: Clock,
        max_bookkeeping: int = MAX_BOOKKEEPING,
    ) -> None:
        self.entries: Store[bytes, bytes] = Store(
            eviction=eviction,
            max_entries=max_entries,
            max_bytes=max_bytes,
            weigh=_bytes,
            idle=idle,
            clock=clock,
        )
        self.versions: Store[bytes, bytes] = Store(max_entries=max_bookkeeping, clock=clock)
        self.leases: Store[bytes, bytes] = Store(eviction="fifo", max_entries=max_bookkeeping, clock=clock)
        self.fences: Store[bytes, Fence] = Store(
            eviction="fifo", max_entries=max_bookkeeping, listener=self._fence_gone, clock=clock
        )
        self.blanket: Store[bytes, Fence] = Store(max_entries=1, clock=clock)
        self.guard: bytes | None = None

    def fence(self, name: bytes) -> int | None:
        """Return the least row version under the fence *name*, or None."""
        fence = self.blanket.peek(b"") or self.fences.peek(name)
        return None if fence is None else fence.row_version

    def raise_fence(self, name: bytes, row_version: int, lag: float) -> None:
        """Let nothing below *row_version* be stored under *name* for *lag* seconds; never lower what stands."""
        known = self.fences.peek(name)
        least = row_version if known is None else max(known.row_version, row_version)
        self.fences.set(name, Fence(least, lag), ttl=lag)

    def usable_guard(self) -> bytes:
        """Return the guard, a fresh one if there is none that a load may rely on."""
        if self.guard is None or not guards.usable(self.guard):
            self.guard = guards.fresh(os.urandom(guards.EPOCH_BYTES))
        return self.guard

    def bump(self, tags: Sequence[TagId]) -> None:
        """Move the counters that watch *tags*."""
        guard = bytearray(self.guard or bytes(guards.GUARD_BYTES))
        for slot in guards.slots(tags):
            at = slot * guards.COUNTER_BYTES
            counter = int.from_bytes(guard[at : at + guards.COUNTER_BYTES], "big") + 1
            guard[at : at + guards.COUNTER_BYTES] = (counter % 2**32).to_bytes(guards.COUNTER_BYTES, "big")
        self.guard = bytes(guard)

    def remove(self, name: bytes) -> None:
        """Forget what is called *name*, if it is an entry, a version, a lease or a fence."""
        for store in (self.entries, self.versions, self.leases, self.fences):
            store.delete(name)

    def _fence_gone(self, _name: bytes, fence: Fence, why: Removal) -> None:
        if why == "evicted":
            self.blanket.set(b"", Fence(UNPASSABLE_ROW, fence.lag), ttl=fence.lag)


def _bytes(name: bytes, entry: bytes) -> int:
    return len(name) + len(entry)
