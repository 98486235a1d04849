"""The commands of an invalidation up to the journal's, packed. Order matters; see `Provider.invalidate`."""

from __future__ import annotations

import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from hiredis import pack_command

from staleproof.policies import guard as guards
from staleproof.providers.redis.exchange import chunks, commands, packed_names
from staleproof.providers.redis.scripts import FENCE, SOFTEN_KEY, SOFTEN_TAG
from staleproof.tags import VERSION_BYTES, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.providers.redis.exchange import Command
    from staleproof.tags import TagId

    Packed: TypeAlias = tuple[list[bytes], list[bytes]]

CHUNK = 1_000
"""Keys that a command names at most: ElastiCache Serverless refuses 4,000 arguments."""

FEW_TAGS = 4
"""Tags of one invalidation whose packed form is remembered."""


class Rotation:
    """Packs what makes the tags and keys of invalidations forgotten, or stale."""

    def __init__(self, keys: Keyspace) -> None:
        self.keys = keys
        # A tag that changed will change again.
        self._known: Callable[[tuple[str, ...]], Packed] = lru_cache(maxsize=4_096)(self._pack_named)
        self._bump = b"*%%d\r\n$8\r\nBITFIELD\r\n$%d\r\n%b\r\n" % (len(keys.guard), keys.guard)

    def pack(self, invalidations: Sequence[Invalidation]) -> list[bytes]:
        """Pack the commands up to the journal's. Mostly not by `pack_command`: this is a hot path too."""
        tags = invalidations[0].tags if len(invalidations) == 1 and not invalidations[0].clear else None
        if tags is not None and len(tags) <= FEW_TAGS:
            bumps, unlinks = self._known(tags)
            only = invalidations[0]
            if only.row_version is None and not (only.soft or only.keys):
                return bumps + unlinks
        else:
            bumps, unlinks = self._pack_rotation([tag for each in invalidations for tag in each.tag_ids])
        packed = [*bumps]
        soft = False
        for each in invalidations:
            soft = soft or each.soft
            if each.row_version is not None:
                packed += map(pack_command, self.row_fences(each))
        if not soft:
            packed += unlinks
            for each in invalidations:
                if each.keys:
                    packed += map(self._evict, each.evicted)
            return packed
        for each in invalidations:
            packed += self._soften(each) if each.soft else self._remove(each)
        return packed

    def _remove(self, invalidation: Invalidation) -> list[bytes]:
        _, unlinks = self._pack_rotation(invalidation.tag_ids)
        return [*unlinks, *map(self._evict, invalidation.evicted)]

    def _soften(self, invalidation: Invalidation) -> list[bytes]:
        entries: list[Command] = [
            ("EVAL", SOFTEN_KEY.body, 2, self.keys.entry(key), self.keys.lease(key), _moment(invalidation))
            for key in invalidation.evicted
        ]
        return list(map(pack_command, [*self.softened(invalidation), *entries]))

    def softened(self, invalidation: Invalidation) -> list[Command]:
        """Return what softens the tags' versions. By the script's text, as for row fences."""
        moment = _moment(invalidation)
        return [
            ("EVAL", SOFTEN_TAG.body, 1, self.keys.version(tag), os.urandom(VERSION_BYTES), moment)
            for tag in invalidation.tag_ids
        ]

    def _pack_named(self, tags: tuple[str, ...]) -> Packed:
        return self._pack_rotation(list(map(tag_id, tags)))

    def _pack_rotation(self, tags: Sequence[TagId]) -> Packed:
        """Pack what bumps the guards of *tags*, and what forgets their versions."""
        return self.bumps(tags), [self._unlink(some) for some in chunks(tags, CHUNK)]

    def bumps(self, tags: Sequence[TagId]) -> list[bytes]:
        """Pack what bumps the guards of *tags*."""
        return [
            self._bump % (4 * len(slots) + 2) + b"".join(map(_packed_bump, slots))
            for slots in chunks(list(guards.slots(tags)), CHUNK // 4)
        ]

    def _unlink(self, tags: Sequence[TagId]) -> bytes:
        return b"*%d\r\n$6\r\nUNLINK\r\n%b" % (len(tags) + 1, packed_names(map(self.keys.version, tags)))

    def _evict(self, key: str) -> bytes:
        return commands([("UNLINK", self.keys.entry(key), self.keys.lease(key))]).packed

    def row_fences(self, invalidation: Invalidation) -> list[Command]:
        """Return what keeps the row's version as the least of its tags', if there is one and its source lags."""
        row, lag_ms = invalidation.row_version, invalidation.lag_ms
        if row is None or not lag_ms:
            return []
        fence = self.keys.min_version
        # By the script's text: a server that does not know it would refuse after it has done everything else.
        return [("EVAL", FENCE.body, 1, fence(tag), row, lag_ms) for tag in invalidation.tag_ids]


def _moment(invalidation: Invalidation) -> bytes:
    return invalidation.at_ms.to_bytes(8, "little")


@cache  # one for each of the guard's counters
def _packed_bump(slot: int) -> bytes:
    place = b"#%d" % slot
    return b"$6\r\nINCRBY\r\n$3\r\nu32\r\n$%d\r\n%b\r\n$1\r\n1\r\n" % (len(place), place)
