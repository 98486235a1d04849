"""The judgement of a read: is a stored entry a hit? Equality of tag versions decides, nothing else.

Whatever is missing or unreadable is a miss (P6), and each miss has a reason that statistics count and `explain`
will tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from staleproof.entry import Entry, decode, join_versions, payload
from staleproof.tags import TAG_ID_BYTES, VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT: Final = "absent"
UNREADABLE: Final = "unreadable"
RETAGGED: Final = "retagged"
TAG: Final = "tag"
CODEC: Final = "codec"
REASONS: Final = (ABSENT, UNREADABLE, RETAGGED, TAG, CODEC)


class Miss(NamedTuple):
    """No hit.

    Attributes:
        reason: one of `REASONS`.
        entry: what was stored all the same, if it could be read: its tags predict the next ones.
    """

    reason: str
    entry: Entry | None


class Partial(NamedTuple):
    """The entry carries tags that the read did not ask for: ask again, with all of the entry's own."""

    entry: Entry


_ABSENT = Miss(ABSENT, None)
_UNREADABLE = Miss(UNREADABLE, None)


def payload_of(raw: bytes | None, versions: Sequence[bytes | None], expected: bytes) -> memoryview | None:
    """Return the payload if *raw* is a hit, else None; `judge` tells why not.

    Args:
        raw: the stored entry, or None.
        versions: the current versions of the tags asked for.
        expected: the `prefix` of an entry with just these tags.
    """
    if raw is None or not raw.startswith(expected):
        return None
    current = join_versions(versions)
    if current is None or not raw.startswith(current, len(expected)):
        return None
    return payload(raw, len(expected) + len(current))


def judge(
    raw: bytes | None, versions: Sequence[bytes | None], ids: bytes, named: int
) -> Entry | Miss | Partial:
    """Judge one observation.

    Args:
        raw: the stored entry, or None.
        versions: the current versions of the tags asked for.
        ids: the ids of the tags asked for, one run: the *named* ones of the call, then predicted ones.
        named: how many of them the call itself names.
    """
    if raw is None:
        return _ABSENT
    entry = decode(raw)
    if entry is None:
        return _UNREADABLE
    if entry.ids != ids or entry.named != named:
        return _differently_tagged(entry, versions, ids, named)
    if entry.versions != join_versions(versions):
        return Miss(TAG, entry)
    return entry


def _differently_tagged(
    entry: Entry, versions: Sequence[bytes | None], ids: bytes, named: int
) -> Miss | Partial:
    end = named * TAG_ID_BYTES
    if entry.named != named or entry.ids[:end] != ids[:end]:
        return Miss(RETAGGED, entry)
    if entry.versions[: named * VERSION_BYTES] != join_versions(versions[:named]):
        return Miss(TAG, entry)
    return Partial(entry)


def acceptable(row_version: int | None, least: Sequence[int | None]) -> bool:
    """Say whether a loaded row is new enough to be stored under tags fenced at *least*.

    A load that does not tell its row's version is not stored while a fence stands: the source is known to lag.
    """
    floor = max((row for row in least if row is not None), default=None)
    return floor is None or (row_version is not None and row_version >= floor)
