"""Tags: names that many entries share and one invalidation removes.

A tag is known on the wire by a 48-bit digest of its text, its `TagId`. Two tags that share a digest share a
version, so the worst a collision can do is to invalidate too much: a miss, never a stale hit. The digest
keeps an entry's cost per tag at 14 bytes (6 for the id, 8 for the version) whatever the tag's length.
"""

from __future__ import annotations

from functools import lru_cache

from staleproof.digests import blake2b
from staleproof.errors import ConfigurationError
from staleproof.texts import utf8

TagId = bytes
TAG_ID_BYTES = 6
VERSION_BYTES = 8
MAX_TAG_BYTES = 1_024

ROOT: TagId = bytes(TAG_ID_BYTES)
"""The namespace's own tag, first in every entry: rotating it clears the namespace."""

STRIPES = 1_024
"""How many counters guard the tags that only a result reveals (see `staleproof.cache.plans`)."""


@lru_cache(maxsize=16_384)
def tag_id(tag: str) -> TagId:
    """Return the digest by which *tag* is known on the wire.

    Raises:
        ConfigurationError: the tag is empty, longer than `MAX_TAG_BYTES`, or holds half of a surrogate pair.
    """
    raw = utf8(tag)
    if not 0 < len(raw) <= MAX_TAG_BYTES:
        raise ConfigurationError(
            f"tag {tag[:80]!r} has {len(raw)} bytes; use 1 to {MAX_TAG_BYTES} (hash long parts)"
        )
    return blake2b(raw, digest_size=TAG_ID_BYTES, person=b"staleproof-tag").digest()


def stripe(tag: TagId) -> int:
    """Return the guard counter that watches *tag*."""
    return (tag[0] << 8 | tag[1]) % STRIPES


# --- versions as the server keeps them ------------------------------------------------------------
#
# The value of a version key is the current version, 8 bytes. A tag that was invalidated softly has its predecessors
# behind it, newest first, each with the UTC milliseconds at which it ended: an entry under one of them is stale, not
# gone. A hard invalidation removes the key, and with it all of that.

MOMENT_BYTES = 8
PREDECESSOR_BYTES = VERSION_BYTES + MOMENT_BYTES
MAX_PREDECESSORS = 3
"""Soft invalidations in a row after which what was loaded before the first is gone; redeliveries count."""

LONGEST_VERSION = VERSION_BYTES + MAX_PREDECESSORS * PREDECESSOR_BYTES


def is_version(value: object) -> bool:
    """Say whether *value* is what a version key may hold."""
    return (
        isinstance(value, bytes)
        and VERSION_BYTES <= len(value) <= LONGEST_VERSION
        and (len(value) - VERSION_BYTES) % PREDECESSOR_BYTES == 0
    )


def current(value: bytes) -> bytes:
    """Return the current version of what a version key holds."""
    return value[:VERSION_BYTES]


def succeeded(value: bytes, version: bytes, at_ms: int) -> bytes:
    """Return what a version key holds after a soft invalidation at *at_ms* that makes *version* current."""
    ended = value[:VERSION_BYTES] + at_ms.to_bytes(MOMENT_BYTES, "little")
    return (version + ended + value[VERSION_BYTES:])[:LONGEST_VERSION]


def ended_ms(value: bytes | None, version: bytes) -> int | None:
    """Return when *version* ended, by what its version key holds: None if it is no predecessor that is known."""
    if value is None or not is_version(value):
        return None
    for at in range(VERSION_BYTES, len(value), PREDECESSOR_BYTES):
        if value[at : at + VERSION_BYTES] == version:
            return int.from_bytes(value[at + VERSION_BYTES : at + PREDECESSOR_BYTES], "little")
    return None
