"""The steps of the algorithm for a cluster: the same commands, in waves of parcels; without I/O.

Where the order matters, and only there, a wave follows another:

==================  =========================================================================================
step                waves
==================  =========================================================================================
`read`              one: entry and versions, in any order, for both are read after the read began
`read_following`    one: journal, entry and versions; entry and versions again if the journal has moved
`begin`             versions; then row fences, guard, and the lease with the entry's head behind it
`snapshot`          versions; then row fences and guard
`store`, `put`      one: two commands about one slot
`invalidate`        guards and row fences; then versions, and keys with their leases; then the journal
==================  =========================================================================================

*An entry and its versions are no one moment here*, as they are on one server. Equality needs none: a version that was
rotated before the read began is not found by it, whenever within the read it looks.

*A page of the journal is the ticket* that fences an insert near by, so it must be older than what is inserted. If
nothing is new, the cursor itself is the ticket, and older than everything. If there is something new, the entry is read
again behind it.

Commands that name several keys name one each here, see `parcels`. Only `PROMOTE` cannot; while its slot is being moved
a value may go unstored.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from staleproof.ports import Keys, Observed
from staleproof.providers.redis.cluster_rotation import ClusterRotation, parcel
from staleproof.providers.redis.failures import is_foreign, translate
from staleproof.providers.redis.journal import JournalSteps, page, range_after
from staleproof.providers.redis.parcels import Tour, Waves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.ports import JournalId, JournalPage, Want
    from staleproof.providers.redis.parcels import Parcel
    from staleproof.providers.redis.steps import Step, Unit
    from staleproof.tags import TagId


class ClusterSteps(JournalSteps):
    """The steps for one keyspace on a cluster."""

    def __init__(self, keys: Keyspace, *, scripted: bool = False) -> None:
        super().__init__(keys, scripted=scripted)
        self._waves = ClusterRotation(keys)
        self._version: Callable[[TagId], Parcel] = lru_cache(maxsize=16_384)(self._version_parcel)

    def _send(self, *waves: Iterable[Unit], foreign: bool = False, once: bool = False) -> Any:
        return Waves([[self._parcel(unit) for unit in wave] for wave in waves], foreign, once)

    def _parcel(self, unit: Unit) -> Parcel:
        """What names no key is about the journal's node: it is asked for the time there."""
        return parcel(*unit, name=self.keys.journal if len(unit[0]) == 1 else None)

    def _looks(self, names: Iterable[bytes]) -> Iterator[Unit]:
        return ((("MGET", name),) for name in names)

    def _version_parcel(self, tag: TagId) -> Parcel:
        return parcel(("GET", self.keys.version(tag)))

    def look(self, key: str, tags: Sequence[TagId]) -> Any:
        """Return what reads the entry and its tags' versions."""
        return [parcel(("GET", self.keys.entry(key))), *map(self._version, tags)]

    def read(self, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`."""
        return _observed((yield Waves([self.look(key, tags)], foreign=True)))

    def read_many(self, wants: Sequence[Want]) -> Step[list[Observed]]:
        """See `Provider.read_many`."""
        if not wants:
            return []
        looks = [self.look(want.key, want.tags) for want in wants]
        replies = yield Waves([[each for look in looks for each in look]], foreign=True)
        values = iter(replies)
        return [_observed([next(values) for _ in look]) for look in looks]

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> Step[tuple[JournalPage, Observed]]:
        """All at once; and what was read again if the journal has moved, so that it is younger than the page."""
        follow, look = parcel(range_after(self.keys.journal, cursor, limit)), self.look(key, tags)
        followed, *found = yield Waves([[follow, *look]], foreign=True)
        if isinstance(followed, Exception):
            raise translate(followed, "the journal")
        seen = page(followed, cursor, limit)
        if seen.last != cursor:
            found = yield Waves([look], foreign=True)
        return seen, _observed(found)

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> Step[bool]:
        """See `Provider.store`."""
        replies = yield self._send((self._deposit(key, entry, ttl_ms, lease),))
        return bool(replies[1])

    def scan(self, cursor: str, limit: int) -> Step[Keys]:
        """See `Provider.scan`: one primary after another."""
        following, names = yield Tour(cursor, self.keys.entries, limit)
        return Keys([key for key in map(self.keys.key_of, names) if key is not None], following)

    def invalidate(self, invalidations: Sequence[Invalidation], parts: Sequence[Invalidation]) -> Any:
        """See `Provider.invalidate`."""
        return Waves(self._waves.waves(invalidations, parts), foreign=True)


def _observed(found: Sequence[Any]) -> Observed:
    """Return what was read; a key of another type is none."""
    entry, *versions = map(_held, found)
    return Observed(entry, versions)


def _held(reply: Any) -> Any:
    return None if isinstance(reply, Exception) and is_foreign(reply) else reply
