"""The tags, leases and records that the contracts work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from staleproof.entry import TIMED, Entry, encode
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.tags import stripe, tag_id

A, B, C = (tag_id(name) for name in "abc")
MINE, OTHERS = b"lease-mine-1", b"lease-other1"
MINUTE = 60_000

Evict = Callable[[bytes], None]
Elapse = Callable[[float], None]


def invalidation(*tags: str, keys: tuple[str, ...] = (), **more: Any) -> Invalidation:
    """Return a record as an application would make it."""
    return Invalidation(id=new_id(), origin="here", namespace="any", tags=tags, keys=keys, **more)


def different_stripe(tag: bytes) -> str:
    """Return a tag text that another stripe watches."""
    return next(name for name in map(str, range(100)) if stripe(tag_id(name)) != stripe(tag))


def entry(
    tags: list[bytes], versions: list[bytes], *, expires_ms: int = 0, payload: bytes = b"value"
) -> bytes:
    """Return a stored entry that may outlive its end."""
    return encode(
        Entry(0, b"".join(tags), b"".join(versions), len(tags), 1, expires_ms, 0, payload, flags=TIMED)
    )
