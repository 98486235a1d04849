"""The entry: a stored value with the tag versions that were current before it was loaded.

Layout, little-endian, format 1::

    offset  bytes  field
    0       1      format, 0xE1
    1       1      codec (0 msgpack, 1 json, 2 raw bytes)
    2       2      n, the number of tags, the namespace's root first
    4       4      how many of them the template named, the root included; the rest came from the result
    8       8      born: UTC milliseconds at which the load began
    16      8      expires: UTC milliseconds, 0 for never
    24      8      row version of the source, 0 if unknown
    32      6 n    tag ids
    32+6n   8 n    tag versions
    32+14n  rest   payload

Ids and versions lie in two runs, so that judging an entry is two comparisons of byte strings
whatever the number of tags. An entry that cannot be read is a miss (`None`), never an error: a newer
release's format, a truncated value and another program's key are all met in a shared cache.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ConfigurationError
from staleproof.tags import TAG_ID_BYTES, VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.tags import TagId

FORMAT = 0xE1
MAX_TAGS = 4_096
HEAD_MARGIN = 32
_HEADER = struct.Struct("<BBHIQQQ")
HEADER_BYTES = _HEADER.size


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
    header = _HEADER.pack(
        FORMAT, entry.codec, count, entry.named, entry.born_ms, entry.expires_ms, entry.row_version
    )
    return b"".join((header, entry.ids, entry.versions, entry.payload))


def decode(raw: bytes) -> Entry | None:
    """Return the entry stored as *raw*, or None if this release cannot read it."""
    if len(raw) < HEADER_BYTES or raw[0] != FORMAT:
        return None
    _, codec, count, named, born, expires, row = _HEADER.unpack_from(raw)
    ids_end = HEADER_BYTES + count * TAG_ID_BYTES
    end = ids_end + count * VERSION_BYTES
    if len(raw) < end or not 0 < named <= count:
        return None
    return Entry(
        codec, raw[HEADER_BYTES:ids_end], raw[ids_end:end], named, born, expires, row, memoryview(raw)[end:]
    )


def head_bytes(tags: int) -> int:
    """Return how many bytes of an entry show its header and tags, if it has at most a few more than *tags*."""
    return HEADER_BYTES + (tags + HEAD_MARGIN) * (TAG_ID_BYTES + VERSION_BYTES)


def carries(head: bytes, tags: Sequence[TagId], versions: Sequence[bytes]) -> bool:
    """Say whether an entry that begins with *head* carries *tags*, as its first, at exactly *versions*."""
    if len(head) < HEADER_BYTES or head[0] != FORMAT:
        return False
    count = _HEADER.unpack_from(head)[2]
    start = HEADER_BYTES + count * TAG_ID_BYTES
    ids, held = b"".join(tags), b"".join(versions)
    return head[HEADER_BYTES : HEADER_BYTES + len(ids)] == ids and head[start : start + len(held)] == held


def join_versions(versions: Sequence[bytes | None]) -> bytes | None:
    """Return the run of *versions* as an entry stores it, or None if one is missing (a miss, P6)."""
    try:
        return b"".join(versions)  # type: ignore[arg-type]
    except TypeError:
        return None
