"""The guard: how tags that only a result reveals are fenced.

Theory of operation
-------------------
A tag known before the load is fenced by its version, snapshot before the load. A tag that only the result
names (`tags_from=`) can be snapshot only *after* it, when an invalidation may already have rotated it: the
old value would then be stored under the new version. So every invalidation first bumps the striped counter
that watches its tag, and only then rotates the tag; the loader reads all counters before the load and
again after the late snapshot. If a counter of one of the late tags moved, the value is served and not stored.

The counters are one string, so that reading all 1,024 of them is one GET of 4 kB::

    bytes 0..7     epoch, random, never zero once a loader has met the guard
    bytes 8..      STRIPES big-endian 32-bit counters

A guard that was evicted and re-created by a bump has epoch zero, or a fresh random one from another loader:
either way it differs from what was read before (P6). A loader that meets a missing guard or epoch zero writes a
fresh one *before* its load, which at worst keeps other loads in flight from being stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.tags import STRIPES, stripe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.tags import TagId

EPOCH_BYTES = 8
COUNTER_BYTES = 4
GUARD_BYTES = EPOCH_BYTES + STRIPES * COUNTER_BYTES
FIRST_SLOT = EPOCH_BYTES // COUNTER_BYTES
_NO_EPOCH = bytes(EPOCH_BYTES)


def fresh(epoch: bytes) -> bytes:
    """Return a new guard under *epoch*, eight random bytes."""
    return epoch + bytes(GUARD_BYTES - EPOCH_BYTES)


def usable(guard: bytes | None) -> bool:
    """Say whether a loader may rely on *guard*; otherwise it writes a fresh one first."""
    return guard is not None and len(guard) == GUARD_BYTES and guard[:EPOCH_BYTES] != _NO_EPOCH


def slots(tags: Iterable[TagId]) -> set[int]:
    """Return the places of the counters that watch *tags*, counted in counters from the start of the string."""
    return {FIRST_SLOT + stripe(tag) for tag in tags}


def moved(before: bytes | None, after: bytes | None, tags: Iterable[TagId]) -> bool:
    """Say whether any of *tags* may have been invalidated between two readings; in doubt, yes."""
    if before is None or after is None or not usable(before) or before[:EPOCH_BYTES] != after[:EPOCH_BYTES]:
        return True
    if len(before) != len(after):
        return True
    starts = [slot * COUNTER_BYTES for slot in slots(tags)]
    return any(before[at : at + COUNTER_BYTES] != after[at : at + COUNTER_BYTES] for at in starts)
