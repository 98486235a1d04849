"""The commands of an invalidation for a cluster, in the three waves that matter; see `Provider.invalidate`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hiredis import pack_command

from staleproof.events import invalidation as records
from staleproof.providers.redis.parcels import Parcel
from staleproof.providers.redis.rotation import Rotation
from staleproof.providers.redis.scripts import SOFTEN_KEY
from staleproof.providers.redis.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.providers.redis.exchange import Command
    from staleproof.tags import TagId


class ClusterRotation:
    """Makes parcels of invalidations.

    *Guards and row fences* come first, since a load reads them last. *Versions and keys* come then, all at once. *The
    journal* comes when everything that its record names is done.

    A key's lease goes before its entry: in the opposite order a load in flight could store between the two.
    """

    def __init__(self, keys: Keyspace) -> None:
        self.keys = keys
        self._rotation = Rotation(keys)
        self._unlinked: Callable[[TagId], Parcel] = lru_cache(maxsize=4_096)(self._unlink)

    def waves(
        self, invalidations: Sequence[Invalidation], parts: Sequence[Invalidation]
    ) -> list[list[Parcel]]:
        """Return the parcels; the last wave holds those of the journal, one a part."""
        return [
            list(self._fences(invalidations)),
            [parcel for each in invalidations for parcel in self._forget(each)],
            [parcel(("XADD", self.keys.journal, "*", "d", records.encode(part))) for part in parts],
        ]

    def _fences(self, invalidations: Sequence[Invalidation]) -> Iterator[Parcel]:
        guard = self.keys.guard
        tags = [tag for each in invalidations for tag in each.tag_ids]
        for packed in self._rotation.bumps(tags):
            yield Parcel(slot_of(guard), guard, (packed,))
        for each in invalidations:
            yield from map(parcel, self._rotation.row_fences(each))

    def _forget(self, invalidation: Invalidation) -> Iterator[Parcel]:
        if invalidation.soft:
            yield from map(parcel, self._rotation.softened(invalidation))
            at_ms = invalidation.at_ms.to_bytes(8, "little")
            for key in invalidation.evicted:
                entry = self.keys.entry(key)
                yield parcel(("UNLINK", self.keys.lease(key)), ("EVAL", SOFTEN_KEY.body, 1, entry, at_ms))
            return
        yield from map(self._unlinked, invalidation.tag_ids)
        for key in invalidation.evicted:
            yield parcel(("UNLINK", self.keys.lease(key)), ("UNLINK", self.keys.entry(key)))

    def _unlink(self, tag: TagId) -> Parcel:
        return parcel(("UNLINK", self.keys.version(tag)))


def parcel(*unit: Command, name: bytes | None = None) -> Parcel:
    """Return *unit*, commands about one slot, as a parcel; it goes where *name* is, or what it names itself."""
    name = key_of(unit[0]) if name is None else name
    return Parcel(slot_of(name), name, tuple(map(pack_command, unit)))


def key_of(command: Command) -> bytes:
    """Return the first key that *command* names: it is what comes next, but for scripts."""
    key: bytes = command[3] if command[0] in {"EVAL", "EVALSHA"} else command[1]
    return key
