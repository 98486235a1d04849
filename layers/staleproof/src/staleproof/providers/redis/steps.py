"""The steps of the algorithm as Redis commands, without I/O.

Theory of operation: a step is a generator that yields an `Exchange` (packed commands, and how many replies
they have), receives the replies, and returns the step's result. `RedisProvider` and `AsyncRedisProvider` run
the same steps over their own connections, so what is sent stands in one place. The commands of one exchange
go to one connection in one write, and the server executes them in order: the algorithm relies on that order
where a docstring here says so.

Every step may be run twice, when a connection breaks between the server's work and its reply, or when the server
does not know a script (*scripted* then turns EVALSHA into EVAL). A lease taken by the first run is
recognised by its name in the second; everything else is idempotent.
"""

from __future__ import annotations

import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hiredis import pack_command

from staleproof.entry import head_bytes
from staleproof.events import invalidation as records
from staleproof.policies import guard as guards
from staleproof.ports import Begun, JournalId, Observed, Snapshot, journal_id
from staleproof.providers.redis.scripts import FENCE, GUARD, PROMOTE, RELEASE
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from typing import TypeAlias, TypeVar

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.providers.redis.scripts import Script
    from staleproof.tags import TagId

    R = TypeVar("R")
    Command: TypeAlias = tuple[Any, ...]
    Step: TypeAlias = Generator["Exchange", list[Any], R]

UNREADABLE_ROW = 2**64
"""Above every row version: under a fence that cannot be read, nothing is stored (P6)."""

MAX_ROW_DIGITS = 20

CHUNK = 1_000
"""Keys that a command names at most: ElastiCache Serverless refuses 4,000 arguments."""

MEMOISED_TAGS = 16
"""Tags of one read whose packed form is remembered; more of them seldom come again, and would hold memory."""

FEW_TAGS = 4
"""Tags of one invalidation whose packed form is remembered."""

STAGED_TTL_MS = 60_000
"""How long a staged value without a time to live may wait for its promotion."""


class Exchange(NamedTuple):
    """Packed commands for one connection, and the number of replies to read.

    Attributes:
        foreign: whether a key of another type is met as an error among the replies: it is a miss, not a failure.
    """

    packed: bytes
    replies: int
    foreign: bool = False


def commands(each: Iterable[Command], *, foreign: bool = False) -> Exchange:
    """Pack *each* command into one exchange."""
    packed = list(map(pack_command, each))
    return Exchange(b"".join(packed), len(packed), foreign)


class Steps:
    """The steps for one keyspace."""

    def __init__(self, keys: Keyspace, *, scripted: bool = False) -> None:
        self.keys = keys
        self._scripted = scripted
        # A read names the same tags again and again: what they are in a command is memoised.
        self._packed_versions: Callable[[tuple[TagId, ...]], bytes] = lru_cache(maxsize=16_384)(
            self._pack_versions
        )
        # A tag that changed will change again.
        self._packed_rotation: Callable[[tuple[TagId, ...]], tuple[list[bytes], list[bytes]]] = lru_cache(
            maxsize=4_096
        )(self._pack_rotation)
        self._bump = b"*%%d\r\n$8\r\nBITFIELD\r\n$%d\r\n%b\r\n" % (len(keys.guard), keys.guard)
        head = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n" % (len(keys.journal), keys.journal)
        self._append = head + b"$1\r\n*\r\n$1\r\nd\r\n$%d\r\n%b\r\n"

    def _call(self, script: Script, keys: Sequence[bytes], *arguments: bytes | int | str) -> Command:
        head = ("EVAL", script.body) if self._scripted else ("EVALSHA", script.digest)
        return (*head, len(keys), *keys, *arguments)

    # --- reading ---------------------------------------------------------------------------------

    def look(self, key: str, tags: Sequence[TagId]) -> bytes:
        """Pack the entry and its tags' versions as one MGET, so as one moment."""
        name = self.keys.entry(key)
        few = len(tags) <= MEMOISED_TAGS
        versions = (self._packed_versions if few else self._pack_versions)(tuple(tags))
        return b"*%d\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n%b" % (len(tags) + 2, len(name), name, versions)

    def _pack_versions(self, tags: Sequence[TagId]) -> bytes:
        names = map(self.keys.version, tags)
        return b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)

    def read(self, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`."""
        ((entry, *versions),) = yield Exchange(self.look(key, tags), 1)
        return Observed(entry, versions)

    # --- loading ---------------------------------------------------------------------------------

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Step[Snapshot]:
        """Versions, then row fences, then the guard: an invalidation writes these in the opposite order.

        The versions are prolonged here and not at the store: *tag_ttl_ms* covers the lease, within which a store
        must come.
        """
        offered = _random_versions(tags)
        replies = yield commands(self._capture(tags, offered, tag_ttl_ms, guard=guard), foreign=True)
        return (yield from self._captured(tags, offered, replies, tag_ttl_ms, guard=guard))

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[Begun]:
        """The snapshot, then the lease, then the entry's head: what a holder before us stored is seen."""
        offered = _random_versions(tags)
        take: Command = ("SET", self.keys.lease(key), lease, "NX", "GET", "PX", lease_ms)
        peek: Command = ("GETRANGE", self.keys.entry(key), 0, head_bytes(len(tags)) - 1)
        *replies, holder, head = yield commands(
            [*self._capture(tags, offered, tag_ttl_ms, guard=guard), take, peek], foreign=True
        )
        snapshot = yield from self._captured(tags, offered, replies, tag_ttl_ms, guard=guard)
        if isinstance(holder, Exception):  # nobody's lease: somebody else's value in its place
            yield commands([("SET", self.keys.lease(key), lease, "PX", lease_ms)])
            holder = lease
        return Begun(snapshot, holder is None or holder == lease, head if isinstance(head, bytes) else b"")

    def _capture(
        self, tags: Sequence[TagId], offered: Sequence[bytes], ttl_ms: int, *, guard: bool
    ) -> Iterator[Command]:
        life = ("PX", ttl_ms) if ttl_ms else ()
        for tag, version in zip(tags, offered, strict=True):
            yield ("SET", self.keys.version(tag), version, "NX", "GET", *life)
        for tag in tags:
            name = self.keys.version(tag)
            yield ("PEXPIRE", name, ttl_ms, "GT") if ttl_ms else ("PERSIST", name)
        if tags:
            yield ("MGET", *map(self.keys.min_version, tags))
        if guard:
            yield ("GET", self.keys.guard)

    def _captured(
        self, tags: Sequence[TagId], offered: Sequence[bytes], replies: list[Any], ttl_ms: int, *, guard: bool
    ) -> Step[Snapshot]:
        held = replies.pop() if guard else None
        rows = replies.pop() if offered else []
        versions = [mine if known is None else known for known, mine in zip(replies, offered, strict=False)]
        foreign = [at for at, version in enumerate(versions) if not _is_version(version)]
        if foreign:
            # Somebody else's value under our key: no entry can carry it, so it is replaced before the load.
            life = ("PX", ttl_ms) if ttl_ms else ()
            yield commands([("SET", self.keys.version(tags[at]), offered[at], *life) for at in foreign])
            versions = [offered[at] if at in foreign else version for at, version in enumerate(versions)]
        if guard and not (isinstance(held, bytes) and guards.usable(held)):
            fresh = guards.fresh(os.urandom(guards.EPOCH_BYTES))
            (held,) = yield commands([("EVAL", GUARD.body, 1, self.keys.guard, fresh)])
        return Snapshot(versions, list(map(_row_version, rows)), held)

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> Step[bool]:
        """Stage the value, then promote it if the lease is ours; one round trip, no value inside a script."""
        name = self.keys.entry(key)
        staged = name + b":s" + lease
        keep = ("1", STAGED_TTL_MS) if not ttl_ms else ("0", ttl_ms)
        promote = self._call(PROMOTE, (self.keys.lease(key), name, staged), lease, keep[0])
        stage: Command = ("SET", staged, entry, "PX", keep[1])
        replies = yield commands([stage, promote])
        return bool(replies[1])

    def put(self, key: str, entry: bytes, ttl_ms: int) -> Step[None]:
        """Break the lease before the value is written, so that no older load can follow it."""
        life = ("PX", ttl_ms) if ttl_ms else ()
        yield commands([("UNLINK", self.keys.lease(key)), ("SET", self.keys.entry(key), entry, *life)])

    def release(self, key: str, lease: bytes) -> Step[None]:
        """See `Provider.release`."""
        yield commands([self._call(RELEASE, (self.keys.lease(key),), lease)])

    # --- invalidating ----------------------------------------------------------------------------

    def invalidate(self, invalidations: Sequence[Invalidation], parts: Sequence[Invalidation]) -> Exchange:
        """Guards, row fences, versions, keys with leases, journal: in this order, on one connection.

        *parts* are the invalidations as the journal takes them.
        """
        packed = self._rotation(invalidations)
        packed += [self._append % (len(raw), raw) for raw in map(records.encode, parts)]
        return Exchange(b"".join(packed), len(packed))

    @staticmethod
    def placed(parts: Sequence[Invalidation], replies: Sequence[Any]) -> list[JournalId]:
        """Return where *parts* lie, from the replies to `invalidate`, the last of which are the journal's."""
        places = replies[len(replies) - len(parts) :]
        return [journal_id(place.decode(), part.id) for place, part in zip(places, parts, strict=True)]

    def drop_guard(self) -> Exchange:
        """Remove what lies in the guard's place and is none: a bump makes one without epoch, which is safe."""
        return commands([("UNLINK", self.keys.guard)])

    def _rotation(self, invalidations: Sequence[Invalidation]) -> list[bytes]:
        """Pack the commands up to the journal's. Mostly not by `pack_command`: this is a hot path too."""
        tags = tuple([tag for each in invalidations for tag in each.tag_ids])
        bumps, unlinks = (self._packed_rotation if len(tags) <= FEW_TAGS else self._pack_rotation)(tags)
        packed = [*bumps]
        for each in invalidations:
            if each.row_version is not None and each.lag_ms:
                packed += self._row_fences(each.tag_ids, each.row_version, each.lag_ms)
        packed += unlinks
        packed += [self._evict(key) for each in invalidations for key in each.keys]
        return packed

    def _pack_rotation(self, tags: tuple[TagId, ...]) -> tuple[list[bytes], list[bytes]]:
        """Pack what bumps the guards of *tags*, and what forgets their versions."""
        bumps = [self._bumps(slots) for slots in _chunks(list(guards.slots(tags)), CHUNK // 4)]
        return bumps, [self._unlink(some) for some in _chunks(tags, CHUNK)]

    def _bumps(self, slots: Sequence[int]) -> bytes:
        return self._bump % (4 * len(slots) + 2) + b"".join(map(_packed_bump, slots))

    def _unlink(self, tags: Sequence[TagId]) -> bytes:
        return b"*%d\r\n$6\r\nUNLINK\r\n%b" % (len(tags) + 1, self._pack_versions(tags))

    def _evict(self, key: str) -> bytes:
        return commands([("UNLINK", self.keys.entry(key), self.keys.lease(key))]).packed

    def _row_fences(self, tags: Sequence[TagId], row_version: int, lag_ms: int) -> list[bytes]:
        fence = self.keys.min_version
        # By the script's text: a server that does not know it would refuse after it has done everything else.
        calls: list[Command] = [("EVAL", FENCE.body, 1, fence(tag), row_version, lag_ms) for tag in tags]
        return list(map(pack_command, calls))


@cache  # one for each of the guard's counters
def _packed_bump(slot: int) -> bytes:
    place = b"#%d" % slot
    return b"$6\r\nINCRBY\r\n$3\r\nu32\r\n$%d\r\n%b\r\n$1\r\n1\r\n" % (len(place), place)


def _is_version(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == VERSION_BYTES


def _row_version(row: bytes | None) -> int | None:
    if row is None:
        return None
    return int(row) if row.isdigit() and len(row) <= MAX_ROW_DIGITS else UNREADABLE_ROW


def _random_versions(tags: Sequence[TagId]) -> list[bytes]:
    pool = os.urandom(VERSION_BYTES * len(tags))
    return [pool[i : i + VERSION_BYTES] for i in range(0, len(pool), VERSION_BYTES)]


def _chunks(items: Sequence[R], size: int) -> list[Sequence[R]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
