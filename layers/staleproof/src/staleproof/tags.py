"""Tags: names that many entries share and one invalidation removes.

A tag is known on the wire by a 48-bit digest of its text, its `TagId`. Two tags that share a digest share a
version, so the worst a collision can do is to invalidate too much: a miss, never a stale hit. The digest
keeps an entry's cost per tag at 14 bytes (6 for the id, 8 for the version) whatever the tag's length.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

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
