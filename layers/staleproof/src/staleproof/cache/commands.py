"""Commands: what a plan asks of the world. A driver performs them, blocking or awaiting; a test may stand between."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from staleproof.cache.operations.performing import Perform
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from staleproof.cache.loading import LoadContext
    from staleproof.events import Invalidation
    from staleproof.ports import Claim, Deposit, JournalId, Want
    from staleproof.tags import TagId


class Read(Record, frozen=True):
    """Look at an entry and tag versions; the reply is `Observed`."""

    key: str
    tags: Sequence[TagId]

    def on(self, provider: Any) -> Any:
        """Ask *provider*; an asyncio provider returns an awaitable."""
        return provider.read(self.key, self.tags)


class ReadFollowing(Record, frozen=True):
    """Look at the journal, then at an entry; the reply is `(JournalPage, Observed)`."""

    key: str
    tags: Sequence[TagId]
    cursor: JournalId
    limit: int
    reader: bool = False

    def on(self, provider: Any) -> Any:
        """Ask *provider*, or the replicas behind it."""
        asked = getattr(provider, "reader", None) if self.reader else None
        return (asked or provider).read_following(self.key, self.tags, self.cursor, self.limit)


class Follow(Record, frozen=True):
    """Look at the journal; the reply is `JournalPage`."""

    cursor: JournalId
    limit: int

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.journal(self.cursor, self.limit)


class FindEnd(Record, frozen=True):
    """Find the journal's newest place; the reply is a `JournalId`."""

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.journal_end()


class Begin(Record, frozen=True):
    """Snapshot tags and take the lease; the reply is `Begun`."""

    key: str
    tags: Sequence[TagId]
    lease: bytes
    lease_ms: int
    tag_ttl_ms: int
    guard: bool

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.begin(
            self.key, self.tags, self.lease, self.lease_ms, self.tag_ttl_ms, guard=self.guard
        )


class TakeSnapshot(Record, frozen=True):
    """Snapshot tags that the result revealed, then the guard; the reply is `Snapshot`."""

    tags: Sequence[TagId]
    tag_ttl_ms: int
    guard: bool = True

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.snapshot(self.tags, self.tag_ttl_ms, guard=self.guard)


class Store(Record, frozen=True):
    """Store under the lease; the reply says whether it was still ours."""

    key: str
    entry: bytes
    ttl_ms: int
    lease: bytes

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.store(self.key, self.entry, self.ttl_ms, self.lease)


class Release(Record, frozen=True):
    """Give a lease back; no reply."""

    key: str
    lease: bytes

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.release(self.key, self.lease)


class ReadMany(Record, frozen=True):
    """Look at many entries; the reply is a list of `Observed`."""

    wants: Sequence[Want]

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.read_many(self.wants)


class BeginMany(Record, frozen=True):
    """Begin many loads; the reply is a list of `Begun`."""

    claims: Sequence[Claim]
    lease_ms: int
    tag_ttl_ms: int
    guard: bool

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.begin_many(self.claims, self.lease_ms, self.tag_ttl_ms, guard=self.guard)


class StoreMany(Record, frozen=True):
    """Store many under their leases; the reply says of each whether it was still ours."""

    deposits: Sequence[Deposit]

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.store_many(self.deposits)


class Expire(Record, frozen=True):
    """Move an entry's end; the reply says whether it was still the one that was seen."""

    key: str
    seen_ms: int
    expires_ms: int
    ttl_ms: int

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.expire(self.key, self.seen_ms, self.expires_ms, self.ttl_ms)


class Scan(Record, frozen=True):
    """Look at some of the namespace's keys; the reply is `Keys`."""

    cursor: str
    limit: int

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.scan(self.cursor, self.limit)


class Invalidate(Record, frozen=True):
    """Apply invalidations; the reply is their places in the journal."""

    invalidations: Sequence[Invalidation]

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.invalidate(self.invalidations)


class Load(Record, frozen=True):
    """Call the loader; the reply is its value, or its exception is thrown in.

    Attributes:
        context: what the loader may say from inside.
        missing: which of many keys to load, for a loader of many; None for one.
    """

    context: LoadContext
    missing: Sequence[int] | None = None


class Pause(Record, frozen=True):
    """Wait this many seconds; no reply."""

    seconds: float


class Apart(Record, frozen=True):
    """The name of a load without the server: it is not to wait for one that waits for the server."""

    flight: Hashable


class Fly(Record, frozen=True):
    """Run *plan* as the one load of *key* in this process, or wait for the one under way.

    The reply is `Landed` with the plan's value, or one of `AGAIN`, `LATE`, `IMPATIENT` and `RECURSIVE`; the failure of
    the load is thrown in.

    Attributes:
        key: what loads must have in common to be one.
        plan: makes the plan, for whoever runs it.
        wait: seconds after which the reply is `LATE`, while the load goes on; None for no bound.
        patience: seconds after which one who waits for another's load gets `IMPATIENT`.
        overdue: the age in seconds at which nobody joins a load any more.
        detached: run it where the caller can leave it behind.
    """

    key: Hashable
    plan: Callable[[], Plan[Any]]
    wait: float | None
    patience: float
    overdue: float
    detached: bool


class Depart(Record, frozen=True):
    """Run *plan* in the background, unless a load of *key* is under way that is not *overdue* (see `Fly`).

    The reply is True if it runs, or need not; False if there is no background here.
    """

    key: Hashable
    plan: Callable[[], Plan[Any]]
    overdue: float


class Landed(Record, frozen=True):
    """The value of a flight, new enough for who asked.

    Attributes:
        value: the value.
        shared: whether another led the flight, so that a load was spared.
    """

    value: Any
    shared: bool = False


class Turn(Enum):
    """Why a flight brought no value."""

    AGAIN = "the load began before we asked: look again"
    LATE = "it takes too long, and goes on"
    IMPATIENT = "another's load takes too long"
    RECURSIVE = "this very load asks for itself"


ProviderCommand = (
    Read
    | ReadFollowing
    | ReadMany
    | Follow
    | FindEnd
    | Begin
    | BeginMany
    | TakeSnapshot
    | Store
    | StoreMany
    | Release
    | Expire
    | Scan
    | Invalidate
    | Perform
)
Command = ProviderCommand | Load | Pause | Fly | Depart

R = TypeVar("R")
Plan: TypeAlias = Generator[Command, Any, R]
"""A plan: it yields commands, receives their replies, and returns its result."""
