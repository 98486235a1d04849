"""Row of the memory that a tag costs in each entry that carries it, by the server's own account.

An allocator rounds sizes up, so one entry says little: eight more tags may cost nothing or a whole size class. The sum
over very different value sizes is what a cache of them pays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from staleproof.entry import Entry, encode
from staleproof.tags import ROOT, VERSION_BYTES, tag_id

if TYPE_CHECKING:
    from benchmarks.stand import Stand

TAGS = 8
SIZES = range(16, 4_096, 3)


def bytes_per_tag(stand: Stand, _seconds: float) -> Figures:
    """Return the server's bytes per tag and entry; the reference is one byte."""
    used = {count: sum(_memory(stand, count, size) for size in SIZES) for count in (0, TAGS)}
    each = (used[TAGS] - used[0]) / (TAGS * len(SIZES))
    encoded = (len(encode(_entry(TAGS, 100))) - len(encode(_entry(0, 100)))) / TAGS
    return Figures(each, 1.0, each, f"{encoded:g} before the allocator rounds up")


def _memory(stand: Stand, count: int, size: int) -> int:
    key = stand.provider.keys.entry(f"size:{count}:{size}")
    stored, used, _ = stand.send(
        ("SET", key, encode(_entry(count, size))), ("MEMORY", "USAGE", key), ("UNLINK", key)
    )
    if stored != b"OK":
        raise stored
    return int(used)


def _entry(count: int, size: int) -> Entry:
    ids = [ROOT, *(tag_id(f"tag:{number}") for number in range(count))]
    return Entry(
        codec=0,
        ids=b"".join(ids),
        versions=bytes(VERSION_BYTES * len(ids)),
        named=len(ids),
        born_ms=0,
        expires_ms=0,
        row_version=0,
        payload=bytes(size),
    )
