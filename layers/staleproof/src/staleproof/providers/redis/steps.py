"""The steps of the algorithm as Redis commands, without I/O.

Theory of operation: a step is a generator that yields an `Exchange` (packed commands, and how many replies
they have), receives the replies, and returns the step's result. `RedisProvider` and `AsyncRedisProvider` run
the same steps over their own connections, so what is sent stands in one place. The commands of one exchange
go to one connection in one write, and the server executes them in order: the algorithm relies on that order
where a docstring here says so.

A cluster knows no such order. So whatever names several keys is written in waves of units: a unit is about one
hash slot and executed in order, the units of a wave in any order, and waves follow one another. One server gets all of
it as one exchange; `cluster_steps` makes of it what a cluster needs.

Every step may be run twice, when a connection breaks between the server's work and its reply, or when the server
does not know a script (*scripted* then turns EVALSHA into EVAL). A lease taken by the first run is
recognised by its name in the second; everything else is idempotent. But what a step makes up, versions and guards, is
offered once: the same bytes sent again could bring back a version that was used and invalidated between the two, and
all that is stored under it. Such an exchange is marked `once`, and the second run makes up others.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Any

from staleproof.entry import MAX_TAGS, head_bytes
from staleproof.events import invalidation as records
from staleproof.policies import guard as guards
from staleproof.ports import (
    Begun,
    Claim,
    Deposit,
    Keys,
    Observed,
    Snapshot,
    Want,
)
from staleproof.providers.redis.deposits import STAGED_TTL_MS, packed_deposit
from staleproof.providers.redis.exchange import Exchange, chunks, commands
from staleproof.providers.redis.looks import Looks
from staleproof.providers.redis.rotation import Rotation
from staleproof.providers.redis.scripts import EXPIRE, GUARD, PROMOTE, RELEASE
from staleproof.tags import VERSION_BYTES, current, is_version

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias, TypeVar

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.providers.redis.exchange import Command
    from staleproof.providers.redis.scripts import Script
    from staleproof.tags import TagId

    R = TypeVar("R")
    Unit: TypeAlias = Sequence[Command]
    Step: TypeAlias = Generator[Any, list[Any], R]

UNREADABLE_ROW = 2**64
"""Above every row version: under a fence that cannot be read, nothing is stored (P6)."""

MAX_ROW_DIGITS = 20


class Steps:
    """The steps for one keyspace."""

    def __init__(self, keys: Keyspace, *, scripted: bool = False) -> None:
        self.keys = keys
        self._scripted = scripted
        self._known = Looks(keys)
        self._rotation = Rotation(keys)
        head = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n" % (len(keys.journal), keys.journal)
        self._append = head + b"$1\r\n*\r\n$1\r\nd\r\n$%d\r\n%b\r\n"

    def _call(self, script: Script, keys: Sequence[bytes], *arguments: bytes | int | str) -> Command:
        head = ("EVAL", script.body) if self._scripted else ("EVALSHA", script.digest)
        return (*head, len(keys), *keys, *arguments)

    def _send(self, *waves: Iterable[Unit], foreign: bool = False, once: bool = False) -> Any:
        """Return what to yield for *waves*."""
        return commands(chain.from_iterable(chain.from_iterable(waves)), foreign=foreign, once=once)

    def _looks(self, names: Iterable[bytes]) -> Iterator[Unit]:
        """Return what reads *names*: one or more of them a command."""
        return ((("MGET", *some),) for some in chunks(list(names), MAX_TAGS))

    # --- reading ---------------------------------------------------------------------------------

    def look(self, key: str, tags: Sequence[TagId]) -> bytes:
        """Pack the entry and its tags' versions as one MGET, so as one moment."""
        known = self._known.get(key)
        if known is not None and (known[0] is tags or known[0] == tags):  # mostly the same tuple, see `Call`
            return known[1]
        return self._known.pack(key, tuple(tags))

    def read(self, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`."""
        ((entry, *versions),) = yield Exchange(self.look(key, tags), 1)
        return Observed(entry, versions)

    def read_many(self, wants: Sequence[Want]) -> Step[list[Observed]]:
        """See `Provider.read_many`: one MGET each, so each is one moment."""
        if not wants:
            return []
        looks = [self.look(want.key, want.tags) for want in wants]
        replies = yield Exchange(b"".join(looks), len(looks))
        return [Observed(entry, versions) for entry, *versions in replies]

    # --- loading ---------------------------------------------------------------------------------

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Step[Snapshot]:
        """Versions, then row fences, then the guard: an invalidation writes these in the opposite order.

        The versions are prolonged here and not at the store: *tag_ttl_ms* covers the lease, within which a store
        must come.
        """
        offered = _random_versions(tags)
        replies = yield self._send(
            self._versions(tags, offered, tag_ttl_ms),
            self._fences(tags, guard=guard),
            foreign=True,
            once=True,
        )
        return (yield from self._captured(tags, offered, replies, tag_ttl_ms, guard=guard))

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[Begun]:
        """See `begin_many`."""
        (begun,) = yield from self.begin_many([Claim(key, tags, lease)], lease_ms, tag_ttl_ms, guard=guard)
        return begun

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[list[Begun]]:
        """The snapshot, then the leases, then the entries' heads: what a holder before us stored is seen."""
        tags = claims[0].tags if len(claims) == 1 else _all_tags(claims)
        offered = _random_versions(tags)
        takes = [self._take(claim, lease_ms) for claim in claims]
        versions, fences = self._versions(tags, offered, tag_ttl_ms), self._fences(tags, guard=guard)
        replies = yield self._send(versions, [*fences, *takes], foreign=True, once=True)
        taken = replies[len(replies) - 2 * len(takes) :]
        captured = replies[: len(replies) - 2 * len(takes)]
        snapshot = yield from self._captured(tags, offered, captured, tag_ttl_ms, guard=guard)
        lost = [
            claim for claim, holder in zip(claims, taken[::2], strict=True) if isinstance(holder, Exception)
        ]
        if lost:  # nobody's lease: somebody else's value in its place
            own = [(("SET", self.keys.lease(each.key), each.lease, "PX", lease_ms),) for each in lost]
            yield self._send(own)
        places = {tag: at for at, tag in enumerate(tags)}
        return [
            _begun(claim, snapshot, places, holder, head)
            for claim, holder, head in zip(claims, taken[::2], taken[1::2], strict=True)
        ]

    def _take(self, claim: Claim, lease_ms: int) -> tuple[Command, Command]:
        return (
            ("SET", self.keys.lease(claim.key), claim.lease, "NX", "GET", "PX", lease_ms),
            ("GETRANGE", self.keys.entry(claim.key), 0, head_bytes(len(claim.tags)) - 1),
        )

    def _versions(self, tags: Sequence[TagId], offered: Sequence[bytes], ttl_ms: int) -> Iterator[Unit]:
        life = ("PX", ttl_ms) if ttl_ms else ()
        for tag, version in zip(tags, offered, strict=True):
            yield (("SET", self.keys.version(tag), version, "NX", "GET", *life),)
        for tag in tags:
            name = self.keys.version(tag)
            yield (("PEXPIRE", name, ttl_ms, "GT") if ttl_ms else ("PERSIST", name),)

    def _fences(self, tags: Sequence[TagId], *, guard: bool) -> Iterator[Unit]:
        yield from self._looks(map(self.keys.min_version, tags))
        if guard:
            yield (("GET", self.keys.guard),)

    def _captured(
        self, tags: Sequence[TagId], offered: Sequence[bytes], replies: list[Any], ttl_ms: int, *, guard: bool
    ) -> Step[Snapshot]:
        held = replies.pop() if guard else None
        rows = [row for some in replies[2 * len(tags) :] for row in some]
        versions = [mine if known is None else known for known, mine in zip(replies, offered, strict=False)]
        foreign = [at for at, version in enumerate(versions) if not is_version(version)]
        if foreign:
            # Somebody else's value under our key: no entry can carry it, so it is replaced before the load.
            life = ("PX", ttl_ms) if ttl_ms else ()
            replaced = [(("SET", self.keys.version(tags[at]), offered[at], *life),) for at in foreign]
            yield self._send(replaced, once=True)
            versions = [offered[at] if at in foreign else version for at, version in enumerate(versions)]
        if guard and not (isinstance(held, bytes) and guards.usable(held)):
            fresh = guards.fresh(os.urandom(guards.EPOCH_BYTES))
            (held,) = yield self._send([(("EVAL", GUARD.body, 1, self.keys.guard, fresh),)], once=True)
        return Snapshot(list(map(current, versions)), list(map(_row_version, rows)), held)

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> Step[bool]:
        """See `store_many`; a hot path, so on its own."""
        if self._scripted:
            replies = yield self._send((self._deposit(key, entry, ttl_ms, lease),))
        else:
            replies = yield Exchange(packed_deposit(self.keys.entry(key), entry, ttl_ms, lease), 2)
        return bool(replies[1])

    def store_many(self, deposits: Sequence[Deposit]) -> Step[list[bool]]:
        """Stage each value, then promote it if the lease is ours; one round trip, no value inside a script."""
        if not deposits:
            return []
        replies = yield self._send([self._deposit(*each) for each in deposits])
        return [bool(reply) for reply in replies[1::2]]

    def _deposit(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> tuple[Command, Command]:
        name = self.keys.entry(key)
        staged = name + b":s" + lease
        keep = ("1", STAGED_TTL_MS) if not ttl_ms else ("0", ttl_ms)
        promote = self._call(PROMOTE, (self.keys.lease(key), name, staged), lease, keep[0])
        return ("SET", staged, entry, "PX", keep[1]), promote

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> Step[bool]:
        """See `Provider.expire`."""
        moments = (moment.to_bytes(8, "little") for moment in (seen_ms, expires_ms))
        (moved,) = yield self._send([(self._call(EXPIRE, (self.keys.entry(key),), *moments, ttl_ms),)])
        return bool(moved)

    def scan(self, cursor: str, limit: int) -> Step[Keys]:
        """See `Provider.scan`."""
        ((following, names),) = yield commands(
            [("SCAN", cursor or "0", "MATCH", self.keys.entries, "COUNT", limit)]
        )
        found = [key for key in map(self.keys.key_of, names) if key is not None]
        return Keys(found, "" if following == b"0" else following.decode())

    def put(self, key: str, entry: bytes, ttl_ms: int) -> Step[None]:
        """Break the lease before the value is written, so that no older load can follow it."""
        life = ("PX", ttl_ms) if ttl_ms else ()
        written = ("SET", self.keys.entry(key), entry, *life)
        yield self._send([(("UNLINK", self.keys.lease(key)), written)])

    def release(self, key: str, lease: bytes) -> Step[None]:
        """See `Provider.release`."""
        yield self._send([(self._call(RELEASE, (self.keys.lease(key),), lease),)])

    # --- invalidating ----------------------------------------------------------------------------

    def invalidate(self, invalidations: Sequence[Invalidation], parts: Sequence[Invalidation]) -> Any:
        """Guards, row fences, versions, keys with leases, journal: in this order, on one connection.

        *parts* are the invalidations as the journal takes them.
        """
        packed = self._rotation.pack(invalidations)
        for part in parts:
            raw = records.encode(part)
            packed.append(self._append % (len(raw), raw))
        return Exchange(b"".join(packed), len(packed))


def _all_tags(claims: Sequence[Claim]) -> list[TagId]:
    return list(dict.fromkeys(tag for claim in claims for tag in claim.tags))


def _begun(claim: Claim, snapshot: Snapshot, places: Mapping[TagId, int], holder: Any, head: Any) -> Begun:
    """Return what *claim* got: its part of the whole snapshot, and whether the lease was free or ours before."""
    at = [places[tag] for tag in claim.tags]
    own = Snapshot([snapshot.versions[n] for n in at], [snapshot.min_versions[n] for n in at], snapshot.guard)
    leased = holder is None or holder == claim.lease or isinstance(holder, Exception)
    return Begun(own, leased, head if isinstance(head, bytes) else b"")


def _row_version(row: bytes | None) -> int | None:
    if row is None:
        return None
    return int(row) if row.isdigit() and len(row) <= MAX_ROW_DIGITS else UNREADABLE_ROW


def _random_versions(tags: Sequence[TagId]) -> list[bytes]:
    pool = os.urandom(VERSION_BYTES * len(tags))
    return [pool[i : i + VERSION_BYTES] for i in range(0, len(pool), VERSION_BYTES)]
