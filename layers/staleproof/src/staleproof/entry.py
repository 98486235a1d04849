"""The entry: a stored value with the tag versions that were current before it was loaded.

Layout, little-endian, format 2::

    offset  bytes  field
    0       1      format, 0xE2
    1       1      codec in the low four bits (`staleproof.codecs`), compression in the high four
    2       2      n, the number of tags, the namespace's root first
    4       2      how many of them the template named, the root included; the rest came from the result
    6       2      flags: 1 `TIMED`, the server may keep it beyond `expires`; 2 `OVER`, it was invalidated softly then
    8       6 n    tag ids
    8+6n    8 n    tag versions
    8+14n   8      born: UTC milliseconds at which the load began
    16+14n  8      expires: UTC milliseconds, 0 for never
    24+14n  8      row version of the source, 0 if unknown
    32+14n  4      what the load cost, in microseconds
    36+14n  4      zero, or a random mark by which one who updates in place knows his own write again
    40+14n  rest   payload

Format 1 (0xE1) had no flags, and neither cost nor the zero word; it is still read.

Everything that a hit requires stands at the beginning: an entry is one exactly if it starts with the expected
`prefix` and the current versions, two comparisons of byte strings whatever the number of tags. An entry that
cannot be read is a miss (`None`), never an error: a newer release's format, a truncated value and another program's
key are all met in a shared cache.

A `TIMED` entry stays on the server after its end, to be served stale while another is loaded. A key is invalidated
softly by marking its entry `OVER` in place; its end then says since when. The mark decides, not the moment: clocks
differ between those who write and those who read.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from staleproof.errors import ConfigurationError
from staleproof.records import Record
from staleproof.tags import TAG_ID_BYTES, VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.tags import TagId

FORMAT = 0xE2
FIRST_FORMAT = 0xE1
TIMED = 1
OVER = 2
MAX_TAGS = 3_900  # all of them in one command, below the 3,999 arguments of ElastiCache Serverless
HEAD_MARGIN = 32
FEW = 16
"""Tags up to which what was made of them is remembered: more would hold kilobytes under each of thousands of names."""
MAX_COST_US = 2**32 - 1
_START = struct.Struct("<BBHHH")
_TIMES = struct.Struct("<QQQII")
_FIRST_TIMES = struct.Struct("<QQQ")
cost_from = struct.Struct("<I").unpack_from
_TWO_TIMES = struct.Struct("<QQ")
_FLAGS_AT, _EXPIRES_AFTER_BORN, COST_AFTER_BORN = 6, 8, 24
START_BYTES = _START.size
TIMES_BYTES = _TIMES.size
TAG_BYTES = TAG_ID_BYTES + VERSION_BYTES
_FEW_BYTES = (1 + FEW) * TAG_ID_BYTES  # the root, too


class Entry(Record, frozen=True):
    """A decoded envelope; *payload* is still the codec's bytes, compressed or not as *codec* says."""

    codec: int
    ids: bytes
    versions: bytes
    named: int
    born_ms: int
    expires_ms: int
    row_version: int
    payload: memoryview | bytes
    flags: int = 0
    cost_us: int = 0
    mark: int = 0

    @property
    def tag_ids(self) -> list[TagId]:
        """The tag ids, the root first."""
        return [self.ids[i : i + TAG_ID_BYTES] for i in range(0, len(self.ids), TAG_ID_BYTES)]

    @property
    def revealed_ids(self) -> list[TagId]:
        """The tags that the result revealed, which the template could not name."""
        return self.tag_ids[self.named :]

    @property
    def size(self) -> int:
        """The bytes of its stored form."""
        return START_BYTES + len(self.ids) + len(self.versions) + TIMES_BYTES + len(self.payload)

    def is_over(self, now_ms: int) -> bool:
        """Say whether it is stale by itself; without `TIMED` the server judges its time, by forgetting it."""
        if self.flags & OVER:
            return True
        return bool(self.flags & TIMED and self.expires_ms) and now_ms >= self.expires_ms


def prefix(codec: int, ids: bytes, named: int, flags: int = 0) -> bytes:
    """Return what an entry begins with that was written by *codec* under the tags *ids*, *named* by the template."""
    return (_known_prefix if len(ids) <= _FEW_BYTES else _prefix)(codec, ids, named, flags)


def _prefix(codec: int, ids: bytes, named: int, flags: int) -> bytes:
    return _START.pack(FORMAT, codec, len(ids) // TAG_ID_BYTES, named, flags) + ids


_known_prefix = lru_cache(maxsize=16_384)(_prefix)


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
    times = _TIMES.pack(
        entry.born_ms, entry.expires_ms, entry.row_version, min(entry.cost_us, MAX_COST_US), entry.mark
    )
    start = prefix(entry.codec, entry.ids, entry.named, entry.flags)
    return b"".join((start, entry.versions, times, entry.payload))


def times(raw: bytes, start: int) -> tuple[int, int]:
    """Return when an entry was born and when it ends, if its prefix and versions take *start* bytes."""
    born_ms, expires_ms = _TWO_TIMES.unpack_from(raw, start)
    return born_ms, expires_ms


def cost_us(raw: bytes, start: int) -> int:
    """Return what the load of an entry of today's format cost, if its prefix and versions take *start* bytes."""
    cost: int = cost_from(raw, start + COST_AFTER_BORN)[0]
    return cost


def decode(raw: bytes) -> Entry | None:
    """Return the entry stored as *raw*, or None if this release cannot read it."""
    if len(raw) < START_BYTES or raw[0] not in {FORMAT, FIRST_FORMAT}:
        return None
    found, codec, count, named, flags = _START.unpack_from(raw)
    ids_end = START_BYTES + count * TAG_ID_BYTES
    end = ids_end + count * VERSION_BYTES
    layout = _TIMES if found == FORMAT else _FIRST_TIMES
    if len(raw) < end + layout.size or not 0 < named <= count <= MAX_TAGS:
        return None
    born_ms, expires_ms, row_version, *more = layout.unpack_from(raw, end)
    cost, mark = more or (0, 0)
    ids, versions, body = raw[START_BYTES:ids_end], raw[ids_end:end], memoryview(raw)[end + layout.size :]
    return Entry(codec, ids, versions, named, born_ms, expires_ms, row_version, body, flags, cost, mark)


def head_bytes(tags: int) -> int:
    """Return how many bytes of an entry show all its tags and its times, if it has at most a few more than *tags*."""
    return START_BYTES + (tags + HEAD_MARGIN) * TAG_BYTES


def carries(head: bytes, tags: Sequence[TagId], versions: Sequence[bytes]) -> bool:
    """Say whether an entry that begins with *head* carries *tags*, as its first, at exactly *versions*."""
    if len(head) < START_BYTES or head[0] not in {FORMAT, FIRST_FORMAT}:
        return False
    count = _START.unpack_from(head)[2]
    return head.startswith(b"".join(tags), START_BYTES) and head.startswith(
        b"".join(versions), START_BYTES + count * TAG_ID_BYTES
    )


def prolonged(raw: bytes, seen_ms: int, expires_ms: int) -> bytes | None:
    """Return *raw* with its end moved from *seen_ms* to *expires_ms*, or None if that is not its end, or it is over."""
    at = end_offset(raw)
    if at is None or raw[_FLAGS_AT] & OVER or raw[at : at + 8] != seen_ms.to_bytes(8, "little"):
        return None
    return raw if seen_ms == expires_ms else _marked(raw, at, TIMED, expires_ms)


def ended(raw: bytes, at_ms: int) -> bytes | None:
    """Return *raw* as it is once it was invalidated softly at *at_ms*, or None if it cannot be marked so."""
    at = end_offset(raw)
    return None if at is None else _marked(raw, at, TIMED | OVER, at_ms)


def _marked(raw: bytes, at: int, flags: int, expires_ms: int) -> bytes:
    start = raw[:_FLAGS_AT] + flags.to_bytes(2, "little")
    return start + raw[START_BYTES:at] + expires_ms.to_bytes(8, "little") + raw[at + 8 :]


def end_offset(raw: bytes) -> int | None:
    """Return where an entry's end stands, or None: it is none of today's format, and its end cannot be moved."""
    if len(raw) < START_BYTES or raw[0] != FORMAT:
        return None
    at = START_BYTES + _START.unpack_from(raw)[2] * TAG_BYTES + _EXPIRES_AFTER_BORN
    return at if len(raw) >= at - _EXPIRES_AFTER_BORN + TIMES_BYTES else None


def born_at(head: bytes) -> int | None:
    """Return when an entry that begins with *head* was born, or None if *head* does not show it."""
    if len(head) < START_BYTES:
        return None
    at = START_BYTES + _START.unpack_from(head)[2] * TAG_BYTES
    return int(_TWO_TIMES.unpack_from(head, at)[0]) if len(head) >= at + _TWO_TIMES.size else None


def join_versions(versions: Sequence[bytes | None]) -> bytes | None:
    """Return the run of *versions* as an entry stores it, or None if one is missing (a miss, P6)."""
    try:
        return b"".join(versions)  # type: ignore[arg-type]
    except TypeError:
        return None
