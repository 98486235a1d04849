"""Commands: what a plan asks of the world. A driver performs them, blocking or awaiting; a test may stand between."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.ports import JournalId
    from staleproof.tags import TagId


class Read(NamedTuple):
    """Look at an entry and tag versions; the reply is `Observed`."""

    key: str
    tags: Sequence[TagId]

    def on(self, provider: Any) -> Any:
        """Ask *provider*; an asyncio provider returns an awaitable."""
        return provider.read(self.key, self.tags)


class ReadFollowing(NamedTuple):
    """Look at the journal, then at an entry; the reply is `(JournalPage, Observed)`."""

    key: str
    tags: Sequence[TagId]
    cursor: JournalId
    limit: int

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.read_following(self.key, self.tags, self.cursor, self.limit)


class Follow(NamedTuple):
    """Look at the journal; the reply is `JournalPage`."""

    cursor: JournalId
    limit: int

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.journal(self.cursor, self.limit)


class FindEnd(NamedTuple):
    """Find the journal's newest place; the reply is a `JournalId`."""

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.journal_end()


class Begin(NamedTuple):
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


class TakeSnapshot(NamedTuple):
    """Snapshot tags that the result revealed, then the guard; the reply is `Snapshot`."""

    tags: Sequence[TagId]
    tag_ttl_ms: int
    guard: bool = True

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.snapshot(self.tags, self.tag_ttl_ms, guard=self.guard)


class Store(NamedTuple):
    """Store under the lease; the reply says whether it was still ours."""

    key: str
    entry: bytes
    ttl_ms: int
    lease: bytes

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.store(*self)


class Release(NamedTuple):
    """Give a lease back; no reply."""

    key: str
    lease: bytes

    def on(self, provider: Any) -> Any:
        """Ask *provider*."""
        return provider.release(self.key, self.lease)


class Load(NamedTuple):
    """Call the loader; the reply is its value, or its exception is thrown in."""


class Pause(NamedTuple):
    """Wait this many seconds; no reply."""

    seconds: float


ProviderCommand = Read | ReadFollowing | Follow | FindEnd | Begin | TakeSnapshot | Store | Release
Command = ProviderCommand | Load | Pause

R = TypeVar("R")
Plan: TypeAlias = Generator[Command, Any, R]
"""A plan: it yields commands, receives their replies, and returns its result."""
