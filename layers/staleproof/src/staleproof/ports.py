"""Every port of the library: what a cache server must be able to do, said without naming one.

A provider works for one namespace. Its methods are the *steps* of the algorithm, each at most one round
trip on a single server; what is decided between them stands in `staleproof.cache.plans`.
`AsyncProvider` has the same methods as coroutines, held equal by a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.tags import TagId

JournalId = str
"""A place in a journal: `milliseconds-sequence#event`. The event's id tells a place from the same place in a journal
that was deleted and begun anew within the millisecond."""


JOURNAL_HORIZON_MS = 15 * 60 * 1_000
"""How far back a journal reaches for near caches, unless a link to another region needs more."""

TRIM_EVERY = 1_024
"""Invalidations between two trims by the provider itself, so that a journal is bounded without a scheduler."""


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


class Snapshot(NamedTuple):
    """Versions captured before a load.

    Attributes:
        versions: one a tag, created where it was missing.
        min_versions: the least acceptable row version a tag, or None.
        guard: the striped counters, or None if they were not asked for.
    """

    versions: Sequence[bytes]
    min_versions: Sequence[int | None]
    guard: bytes | None


class Begun(NamedTuple):
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


class Keys(NamedTuple):
    """Some of a namespace's keys, and where to go on; "" when all were seen."""

    keys: Sequence[str]
    cursor: str


class Provider(Protocol):
    """A cache server, seen through one namespace.

    Every method raises `ProviderUnavailableError` (retry) or `ProviderRejectedError` (do not).
    """

    namespace: str

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """Return the entry and the versions of *tags*, in one round trip."""
        ...

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """Read the journal after *cursor*, and then what `read` returns, in one round trip, in this order."""
        ...

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """Return what `read` returns for each of *wants*, in one round trip; together they are no one moment."""
        ...

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """Snapshot *tags*, take the key's lease under the name *lease*, look at the entry's head; in this order."""
        ...

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """Return what `begin` returns for each of *claims*, in one round trip."""
        ...

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """Return the versions of *tags*, creating those that are missing, and then the guard if asked.

        Every version then lives for at least another *tag_ttl_ms*, for ever if 0: longer than what is stored under it.
        """
        ...

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """Store *entry* and give the lease back, if it is still ours; say whether it was.

        A *ttl_ms* of 0 is for ever.
        """
        ...

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """Return what `store` returns for each of *deposits*, in one round trip."""
        ...

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """Move the end of the stored entry in place, if it is still *seen_ms*; say whether.

        Args:
            key: the key's text.
            seen_ms: the end that the caller has read, UTC milliseconds; an end moved since stays.
            expires_ms: the new end, UTC milliseconds, or the same one.
            ttl_ms: for how long the server keeps the entry from now on, 0 for ever.
        """
        ...

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """Store *entry* and break any lease on the key, so that no load in flight overwrites it."""
        ...

    def release(self, key: str, lease: bytes) -> None:
        """Give the lease back, if it is still ours."""
        ...

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """Bump the guards, rotate the tags, remove keys with their leases, append to the journal, in this order.

        A soft one keeps the tags' old versions as predecessors, and ends the keys' entries instead of removing them.

        Returns the journal place of each part. Returning *is* the acknowledgement: what is raised instead
        must be tried again, which is harmless.
        """
        ...

    def scan(self, cursor: str, limit: int) -> Keys:
        """Return about *limit* keys of stored entries after *cursor*, "" for the first; never a blocking `KEYS`.

        A key may come twice, and one stored or removed meanwhile may come or not. Keys too long for the server are
        known there by their digest only, and are left out.
        """
        ...

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """Read at most *limit* records after *cursor*."""
        ...

    def journal_end(self) -> JournalId:
        """Return the place of the newest record, appending an empty one if the journal does not exist."""
        ...

    def close(self) -> None:
        """Close connections; the provider may be used again and reconnects."""
        ...


class AsyncProvider(Protocol):
    """`Provider`, as coroutines."""

    namespace: str

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        ...

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        ...

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        ...

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        ...

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        ...

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        ...

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        ...

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        ...

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        ...

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        ...

    async def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        ...

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        ...

    async def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`."""
        ...

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        ...

    async def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        ...

    async def close(self) -> None:
        """See `Provider.close`."""
        ...


class Follower(Protocol):
    """The journal as a link to a peer region sees it: what it was handed, and what is still owed.

    A *name* is a link's, such as `eu-west-1`. A position moves only past records that were delivered, so a crash ships
    again and never skips.
    """

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """Return the records after the link's position that were not pushed to it."""
        ...

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """Note that the records at *places* were delivered ahead of the position."""
        ...

    def advance(self, name: str, place: JournalId) -> None:
        """Move the link's position to *place*; earlier pushes are forgotten.

        Of two overlapping runs the slower may move it back: what lies between is shipped again, harmlessly. And it must
        be able to, when a failover lost the journal's end.
        """
        ...

    def followers(self) -> list[str]:
        """Return the names of all links that the journal knows, in no order."""
        ...

    def forget(self, name: str) -> None:
        """Give up the link: it owes nothing any more, and holds back no trimming."""
        ...

    def trim(self, horizon_ms: int) -> int:
        """Drop records older than *horizon_ms* that every link has passed; return how many went."""
        ...
