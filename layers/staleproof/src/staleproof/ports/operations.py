"""Operations: small atomic programs that a server runs about one name, beside the cache's own steps.

Each is a request and its reply. A provider that can run them has one method for all, `perform`; so a provider that
cannot (Memcached, one of your own) lacks one method and not twenty, and callers are told (see `Operator`).

Every operation touches one name, and so one hash slot. Its moment is the server's: no two clients' clocks are compared.
If a connection breaks between the server's work and its reply the operation may be run a second time: what that means
is said of each, and `Push` alone is not run again.

================  ==========================================================  ====================================
operation         does                                                        run twice
================  ==========================================================  ====================================
`Take`            takes from a rate limit                                     takes twice: never lets through more
`Forget`          removes whatever lies under the name                        the same
`TakeLock`        takes a lock                                                the same: the owner is recognised
`KeepLock`        prolongs it, if it is still the owner's                     the same
`FreeLock`        frees it, if it is still the owner's                        the same
`Push`            appends to a list or stream of bounded length               not run again: an error says so
`Latest`          reads its newest                                            the same
`FilterBegin`     begins a Bloom filter beside the one in use                 the same
`FilterFill`      adds to the one that was begun                              the same
`FilterSwap`      puts the one that was begun in use                          the second says that it is gone
`FilterAdd`       adds to the one in use, and to one that was begun           the same; tells fewer new ones
`FilterLook`      asks the one in use                                         the same
`JsonPut`         puts a document into the server's JSON module                the same
`Native`          one command of a module, about one name                     as that command
`Ask`             one command about the server itself                         the same
================  ==========================================================  ====================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COUNT = 2**31
"""Bound of limits, capacities and lengths."""

LOCK_MEMORY_MS = 600_000
"""For how long the token of a lock is remembered after its end; later the server's time is above it."""

BUILDING_TTL_MS = 86_400_000
"""How long a Bloom filter that was begun waits for what is to fill it."""


class Take(NamedTuple):
    """Take *cost* from a limit of *capacity* that refills by one in *interval_us*; 0 only looks. Reply: `Taken`."""

    name: str
    interval_us: int
    capacity: int
    cost: int


class Taken(NamedTuple):
    """What came of `Take`.

    Attributes:
        allowed: whether *cost* was, or could be, taken.
        used_us: the microseconds until the limit is full again, after this.
        wait_us: the microseconds after which *cost* can be taken; 0 if it was.
    """

    allowed: bool
    used_us: int
    wait_us: int


class Forget(NamedTuple):
    """Remove what lies under *name* as *kind*: `limit`, `list`, `stream` or `filter`. Reply: whether there was any."""

    name: str
    kind: str


class TakeLock(NamedTuple):
    """Take the lock *name* as *owner*, a text that nobody else has, for *ttl_ms*. Reply: `Held`."""

    name: str
    owner: str
    ttl_ms: int


class Held(NamedTuple):
    """What came of `TakeLock`.

    Attributes:
        token: greater than that of every earlier holder; 0 if the lock is another's.
        left_ms: for how long it is held, if nobody prolongs it.
    """

    token: int
    left_ms: int


def remembered_ms(ttl_ms: int) -> int:
    """Return for how long a lock that is held for *ttl_ms* is remembered from now on, with its token."""
    return ttl_ms + LOCK_MEMORY_MS


class KeepLock(NamedTuple):
    """Hold the lock for *ttl_ms* from now. Reply: whether it was still the owner's."""

    name: str
    owner: str
    token: int
    ttl_ms: int


class FreeLock(NamedTuple):
    """Free the lock. Reply: whether nobody else had it since it was taken; also if it has run out meanwhile.

    A token of 0 stands for whichever *owner* was given, by a server whose answer was lost.
    """

    name: str
    owner: str
    token: int


class Push(NamedTuple):
    """Append *values*, keep the newest *keep*, and let them live for *ttl_ms* (0 for ever). Reply: `Pushed`."""

    name: str
    values: tuple[bytes, ...]
    keep: int
    ttl_ms: int
    stream: bool = False


class Pushed(NamedTuple):
    """How many are kept now, and how many were dropped to make room, of old and new ones."""

    kept: int
    dropped: int


class Latest(NamedTuple):
    """Read at most *limit* values, the newest first. Reply: a list of bytes."""

    name: str
    limit: int
    stream: bool = False


class FilterBegin(NamedTuple):
    """Begin an empty Bloom filter beside the one in use, under the mark *build*, of eight bytes. Reply: True.

    Attributes:
        bits, hashes: its shape.
        module: for a server with a Bloom module: its capacity and error rate instead; None without.
    """

    name: str
    build: bytes
    bits: int
    hashes: int
    module: tuple[int, float] | None = None


class FilterFill(NamedTuple):
    """Add items by their *digests* to the filter begun as *build*. Reply: whether it is still there."""

    name: str
    build: bytes
    digests: Sequence[bytes]
    module: bool = False


class FilterSwap(NamedTuple):
    """Put the filter begun as *build* in use, for *ttl_ms* (0 for ever). Reply: whether it was still there."""

    name: str
    build: bytes
    ttl_ms: int
    module: bool = False


class FilterAdd(NamedTuple):
    """Add to the filter in use and to one that was begun. Reply: how many the one in use did not have, -1 without."""

    name: str
    digests: Sequence[bytes]
    module: bool = False


class FilterLook(NamedTuple):
    """Ask of each of *digests* whether it may have been added. Reply: a list of bools; None if no filter is in use."""

    name: str
    digests: Sequence[bytes]
    module: bool = False


class Native(NamedTuple):
    """Send one command of a module about *name*, its *kind*, and what comes *after* it. Reply: as it comes."""

    command: str
    name: str
    kind: str
    after: tuple[Any, ...] = ()


class JsonPut(NamedTuple):
    """Put a whole JSON document, for *ttl_ms* (0 for ever), by the server's JSON module. Reply: True."""

    name: str
    text: bytes
    ttl_ms: int


class Ask(NamedTuple):
    """Send one command that names no key and changes nothing. Reply: as it comes; None where there is no server."""

    words: tuple[str, ...]


Operation = (
    Take
    | Forget
    | TakeLock
    | KeepLock
    | FreeLock
    | Push
    | Latest
    | FilterBegin
    | FilterFill
    | FilterSwap
    | FilterAdd
    | FilterLook
    | Native
    | JsonPut
    | Ask
)


class Operator(Protocol):
    """A provider that can run operations."""

    def perform(self, operation: Operation) -> Any:
        """Run *operation* as one step, and return its reply.

        Raises:
            ProviderUnavailableError: no answer; a `Push` may have been made.
            ProviderRejectedError: the server refused, or does not have it.
        """
        ...


class AsyncOperator(Protocol):
    """`Operator`, as a coroutine."""

    async def perform(self, operation: Operation) -> Any:
        """See `Operator.perform`."""
        ...
