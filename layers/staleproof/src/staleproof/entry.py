"""The entry: a stored value with the tag versions that were current before it was loaded.

Layout, little-endian, format 1::

    offset  bytes  field
    0       1      format, 0xE1
    1       1      codec (0 msgpack)
    2       2      n, the number of tags, the namespace's root first
    4       4      how many of them the template named, the root included; the rest came from the result
    8       6 n    tag ids
    8+6n    8 n    tag versions
    8+14n   8      born: UTC milliseconds at which the load began
    16+14n  8      expires: UTC milliseconds, 0 for never
    24+14n  8      row version of the source, 0 if unknown
    32+14n  rest   payload

Everything that a hit requires stands at the beginning: an entry is one exactly if it starts with the expected
`prefix` and the current versions, two comparisons of byte strings whatever the number of tags. An entry that
cannot be read is a miss (`None`), never an error: a newer release's format, a truncated value and another program's
key are all met in a shared cache.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ConfigurationError
from staleproof.tags import TAG_ID_BYTES, VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.tags import TagId

FORMAT = 0xE1
MAX_TAGS = 3_900  # all of them in one command, below the 3,999 arguments of ElastiCache Serverless
HEAD_MARGIN = 32
_START = struct.Struct("<BBHI")
_TIMES = struct.Struct("<QQQ")
START_BYTES = _START.size
TIMES_BYTES = _TIMES.size
TAG_BYTES = TAG_ID_BYTES + VERSION_BYTES


class Entry(NamedTuple):
    """A decoded envelope; *payload* is still the codec's bytes."""

    codec: int
    ids: bytes
    versions: bytes
    named: int
    born_ms: int
    expires_ms: int
    row_version: int
    payload: memoryview | bytes

    @property
    def tag_ids(self) -> list[TagId]:
        """The tag ids, the root first."""
        return [self.ids[i : i + TAG_ID_BYTES] for i in range(0, len(self.ids), TAG_ID_BYTES)]

    @property
    def revealed_ids(self) -> list[TagId]:
        """The tags that the result revealed, which the template could not name."""
        return self.tag_ids[self.named :]


@lru_cache(maxsize=16_384)
def prefix(codec: int, ids: bytes, named: int) -> bytes:
    """Return what an entry begins with that was written by *codec* under the tags *ids*, *named* by the template."""
    return _START.pack(FORMAT, codec, len(ids) // TAG_ID_BYTES, named) + ids


def encode(entry: Entry) -> bytes:
    """Return the stored form of *entry*.

    Raises:
        ConfigurationError: it has more than `MAX_TAGS` tags, or ids and versions do not pair up.
    """
    count = len(entry.ids) // TAG_ID_BYTES
    if count > MAX_TAGS:
        raise ConfigurationError(f"an entry has {count} tags; the limit is {MAX_TAGS}: tag a coarser thing")
    if len(entry.versions) != count * VERSION_BYTES:
        raise ConfigurationError("an entry needs one version a tag")
    times = _TIMES.pack(entry.born_ms, entry.expires_ms, entry.row_version)
    return b"".join((prefix(entry.codec, entry.ids, entry.named), entry.versions, times, entry.payload))


def payload(raw: bytes, start: int) -> memoryview:
    """Return the payload of an entry whose prefix and versions take *start* bytes."""
    return memoryview(raw)[start + TIMES_BYTES :]


def decode(raw: bytes) -> Entry | None:
    """Return the entry stored as *raw*, or None if this release cannot read it."""
    if len(raw) < START_BYTES or raw[0] != FORMAT:
        return None
    _, codec, count, named = _START.unpack_from(raw)
    ids_end = START_BYTES + count * TAG_ID_BYTES
    end = ids_end + count * VERSION_BYTES
    if len(raw) < end + TIMES_BYTES or not 0 < named <= count <= MAX_TAGS:
        return None
    born_ms, expires_ms, row_version = _TIMES.unpack_from(raw, end)
    ids, versions = raw[START_BYTES:ids_end], raw[ids_end:end]
    return Entry(codec, ids, versions, named, born_ms, expires_ms, row_version, payload(raw, end))


def head_bytes(tags: int) -> int:
    """Return how many bytes of an entry show all its tags, if it has at most a few more than *tags*."""
    return START_BYTES + (tags + HEAD_MARGIN) * TAG_BYTES


def carries(head: bytes, tags: Sequence[TagId], versions: Sequence[bytes]) -> bool:
    """Say whether an entry that begins with *head* carries *tags*, as its first, at exactly *versions*."""
    if len(head) < START_BYTES or head[0] != FORMAT:
        return False
    count = _START.unpack_from(head)[2]
    return head.startswith(b"".join(tags), START_BYTES) and head.startswith(
        b"".join(versions), START_BYTES + count * TAG_ID_BYTES
    )


def join_versions(versions: Sequence[bytes | None]) -> bytes | None:
    """Return the run of *versions* as an entry stores it, or None if one is missing (a miss, P6)."""
    try:
        return b"".join(versions)  # type: ignore[arg-type]
    except TypeError:
        return None
