"""The guard on Memcached: a log of stripes, one a node, that invalidations append to.

`staleproof.policies.guard` wants counters, bumped before a tag's version goes. Memcached has no string of counters, and
a read-compare-write of four kilobytes would make every invalidation contend with every other. But it appends in
place, atomically: so an invalidation appends the two bytes of its tag's stripe, and a reader counts them. Each node's
log watches the tags whose versions lie on that node: so bump and removal go in one exchange, in this order, and an
invalidation depends on no node but its tags' own.

A log begins with a random epoch. A loader that finds none, or one that has grown long, begins a new one before its
load: that counts as moved for all loads under way (P6). Appending to no log does nothing, which is right: nobody relies
on it.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

from staleproof.policies import guard
from staleproof.providers.memcached.wire import delete, put
from staleproof.tags import stripe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from staleproof.tags import TagId

LONGEST = 8_192
"""Bytes of a log that a loader replaces; about four thousand invalidations."""
MAX_BUMPS = 1_000
"""Stripes above which an invalidation removes the log instead."""
LIFE = b"T900"
"""A log that no loader reads any more goes after a quarter of an hour."""
_STRIPE = struct.Struct("<H")


def bump(name: bytes, tags: Iterable[TagId]) -> bytes:
    """Return the request that moves the guard called *name* for *tags*."""
    stripes = {stripe(tag) for tag in tags}
    if len(stripes) > MAX_BUMPS:
        return delete(name)
    return put(name, b"".join(map(_STRIPE.pack, sorted(stripes))), b"MA")


def usable(log: bytes | None) -> bool:
    """Say whether a loader may rely on *log*."""
    return log is not None and guard.EPOCH_BYTES <= len(log) <= LONGEST and not len(log) % _STRIPE.size


def begun(name: bytes, cas: bytes | None) -> bytes:
    """Return the request that begins a log, in place of none, or of the one that has *cas*."""
    epoch = os.urandom(guard.EPOCH_BYTES)
    return put(name, epoch, LIFE + (b" ME" if cas is None else b" C" + cas))


def packed(logs: Mapping[str, bytes | None]) -> bytes:
    """Return the counters of all nodes' *logs*, by node, as `policies.guard` compares them."""
    epoch = blake2b(digest_size=guard.EPOCH_BYTES)
    counts: Counter[int] = Counter()
    for node in sorted(logs):
        log = logs[node]
        if log is None or not usable(log):
            log = os.urandom(guard.EPOCH_BYTES)  # evicted again: like no guard that anybody has seen
        epoch.update(b"%b %b" % (node.encode(), log[: guard.EPOCH_BYTES]))
        counts.update(each for (each,) in _STRIPE.iter_unpack(log[guard.EPOCH_BYTES :]))
    cells = bytearray(guard.fresh(epoch.digest()))
    for at, count in counts.items():
        place = (guard.FIRST_SLOT + at) * guard.COUNTER_BYTES
        cells[place : place + guard.COUNTER_BYTES] = count.to_bytes(guard.COUNTER_BYTES, "big")
    return bytes(cells)
