"""What providers are asked and what they answer: places in a journal, observations, snapshots, leases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.events import Invalidation
    from staleproof.tags import TagId

JournalId = str
"""A place in a journal: `milliseconds-sequence#event`. The event's id tells a place from the same place in a journal
that was deleted and begun anew within the millisecond."""


JOURNAL_HORIZON_MS = 15 * 60 * 1_000
"""How far back a journal reaches for near caches, unless a link to another region needs more."""

TRIM_EVERY = 1_024
"""Once in so many invalidations, by chance, a provider trims its journal itself (`staleproof.providers.trimming`)."""


def journal_id(place: str, event: str) -> JournalId:
    """Return the id of the record of *event* at *place*, `milliseconds-sequence` as Redis streams write it."""
    return f"{place}#{event}"


def journal_place(record: JournalId) -> str:
    """Return the `milliseconds-sequence` of a journal id."""
    return record.partition("#")[0]


def journal_order(record: JournalId) -> tuple[int, int]:
    """Return the place of *record* as numbers that compare in journal order."""
    milliseconds, _, sequence = journal_place(record).partition("-")
    return int(milliseconds), int(sequence or 0)


class JournalPage(NamedTuple):
    """What a journal holds after a cursor.

    Attributes:
        records: the applied invalidations after the cursor, oldest first; None stands for an unreadable one.
        last: the place of the newest record read, the next cursor; "" if the journal does not exist.
        contiguous: the cursor itself was still there, so nothing between was trimmed or lost.
        complete: nothing more was in the journal when it was read.
    """

    records: Sequence[tuple[JournalId, Invalidation | None]]
    last: JournalId
    contiguous: bool
    complete: bool


class Observed(NamedTuple):
    """One atomic look at a key: its stored entry (or None), and what the version keys of the tags asked for hold.

    That is the current version, and behind it the predecessors that soft invalidations left (`staleproof.tags`).
    """

    entry: bytes | None
    versions: Sequence[bytes | None]


observed: Callable[[tuple[bytes | None, Sequence[bytes | None]]], Observed] = partial(tuple.__new__, Observed)
"""What was read, of entry and versions in a pair: the same as `Observed`, for half its time."""


class Snapshot(Record, frozen=True):
    """Versions captured before a load.

    Attributes:
        versions: one a tag, created where it was missing.
        min_versions: the least acceptable row version a tag, or None.
        guard: the striped counters, or None if they were not asked for.
    """

    versions: Sequence[bytes]
    min_versions: Sequence[int | None]
    guard: bytes | None


class Begun(Record, frozen=True):
    """A load may start.

    Attributes:
        snapshot: the versions to store with the value.
        leased: whether the key's lease is ours; without it the value must not be stored.
        head: the beginning of what is stored under the key after the lease was taken, without its value; b"" if
            nothing is. Whoever held the lease before may have stored since our look (see `entry.head_bytes`).
    """

    snapshot: Snapshot
    leased: bool
    head: bytes


class Want(NamedTuple):
    """One read among many: a key, and the tags whose versions to look at."""

    key: str
    tags: Sequence[TagId]


class Claim(NamedTuple):
    """One load among many: a key, the tags to snapshot, and the name of the lease to take."""

    key: str
    tags: Sequence[TagId]
    lease: bytes


class Deposit(NamedTuple):
    """One store among many; see `Provider.store`."""

    key: str
    entry: bytes
    ttl_ms: int
    lease: bytes


class Keys(Record, frozen=True):
    """Some of a namespace's keys, and where to go on; "" when all were seen."""

    keys: Sequence[str]
    cursor: str
