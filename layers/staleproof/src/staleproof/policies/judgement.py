"""The judgement of a read: is a stored entry a hit? Equality of tag versions decides, nothing else.

Whatever is missing or unreadable is a miss (P6), and each miss has a reason that statistics count and `explain`
tells. A miss may still know a stale value: one whose time is over, or whose tags were invalidated softly. Whether
that is served is the policy's business; a hard invalidation leaves none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from staleproof.entry import TIMES_BYTES, Entry, decode, join_versions
from staleproof.records import Record
from staleproof.tags import TAG_ID_BYTES, VERSION_BYTES, current, ended_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT: Final = "absent"
EXPIRED: Final = "expired"
UNREADABLE: Final = "unreadable"
RETAGGED: Final = "retagged"
TAG: Final = "tag"
CODEC: Final = "codec"
UNREACHABLE: Final = "unreachable"
BREAKER: Final = "breaker"
REASONS: Final = (ABSENT, EXPIRED, UNREADABLE, RETAGGED, TAG, CODEC, UNREACHABLE, BREAKER)


SMALL: Final = 4_096
"""Bytes of an entry up to which a copy of its payload costs less than a view of it."""


class Miss(Record, frozen=True):
    """No hit.

    Attributes:
        reason: one of `REASONS`.
        entry: what was stored all the same, if it could be read: its tags predict the next ones.
        since_ms: since when the entry is stale, UTC milliseconds; None if it must not be served at all.
    """

    reason: str
    entry: Entry | None
    since_ms: int | None = None


class Partial(Record, frozen=True):
    """The entry carries tags that the read did not ask for: ask again, with all of the entry's own."""

    entry: Entry


_ABSENT = Miss(ABSENT, None)
_UNREADABLE = Miss(UNREADABLE, None)


def payload_of(
    raw: bytes | None, versions: Sequence[bytes | None], expected: bytes
) -> bytes | memoryview | None:
    """Return the payload if *raw* carries the right versions, else None; `judge` tells why not, and of its end.

    Args:
        raw: the stored entry, or None.
        versions: the current versions of the tags asked for.
        expected: the `prefix` of an entry with just these tags.
    """
    if raw is None:
        return None
    try:
        head = expected + b"".join(versions)  # type: ignore[arg-type]
    except TypeError:
        return None  # one is missing (P6)
    start, size = len(head) + TIMES_BYTES, len(raw)
    if size < start or not raw.startswith(head):
        return None  # cut short, or another's
    return raw[start:] if size <= SMALL else memoryview(raw)[start:]


def judge(
    raw: bytes | None, versions: Sequence[bytes | None], ids: bytes, named: int, now_ms: int = 0
) -> Entry | Miss | Partial:
    """Judge one observation.

    Args:
        raw: the stored entry, or None.
        versions: what the version keys of the tags asked for hold.
        ids: the ids of the tags asked for, one run: the *named* ones of the call, then predicted ones.
        named: how many of them the call itself names.
        now_ms: UTC milliseconds; it matters to entries that outlive their end.
    """
    if raw is None:
        return _ABSENT
    entry = decode(raw)
    if entry is None:
        return _UNREADABLE
    if entry.ids != ids or entry.named != named:
        return _differently_tagged(entry, versions, ids, named)
    if entry.versions != current_run(versions):
        return Miss(TAG, entry, _stale_since(entry, versions, now_ms))
    if entry.is_over(now_ms):
        return Miss(EXPIRED, entry, entry.expires_ms)
    return entry


def current_run(versions: Sequence[bytes | None]) -> bytes | None:
    """Return the run of current versions, as an entry stores it; None if one is missing."""
    run = join_versions(versions)
    if run is None or len(run) == VERSION_BYTES * len(versions):
        return run
    return b"".join(current(version) for version in versions if version is not None)


def _stale_since(entry: Entry, versions: Sequence[bytes | None], now_ms: int) -> int | None:
    """Return since when *entry* is stale, if every tag that moved on was invalidated softly; else None."""
    moments = [entry.expires_ms] if entry.is_over(now_ms) else []
    for at, held in enumerate(versions):
        own = entry.versions[at * VERSION_BYTES : (at + 1) * VERSION_BYTES]
        if held is not None and current(held) == own:
            continue
        ended = ended_ms(held, own)
        if ended is None:
            return None
        moments.append(ended)
    return min(moments, default=None)


def _differently_tagged(
    entry: Entry, versions: Sequence[bytes | None], ids: bytes, named: int
) -> Miss | Partial:
    end = named * TAG_ID_BYTES
    if entry.named != named or entry.ids[:end] != ids[:end]:
        return Miss(RETAGGED, entry)
    own, held = entry.versions[: named * VERSION_BYTES], versions[:named]
    if own != current_run(held) and _stale_since(entry, held, 0) is None:
        return Miss(TAG, entry)
    return Partial(entry)


def acceptable(row_version: int | None, least: Sequence[int | None]) -> bool:
    """Say whether a loaded row is new enough to be stored under tags fenced at *least*.

    A load that does not tell its row's version is not stored while a fence stands: the source is known to lag.
    """
    floor = max((row for row in least if row is not None), default=None)
    return floor is None or (row_version is not None and row_version >= floor)
