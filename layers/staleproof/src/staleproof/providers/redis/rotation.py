"""The commands of an invalidation up to the journal's, packed. Order matters; see `Provider.invalidate`."""

from __future__ import annotations

import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from hiredis import pack_command

from staleproof.policies import guard as guards
from staleproof.providers.redis.exchange import chunks, commands, packed_names
from staleproof.providers.redis.scripts import FENCE, SOFTEN_KEY, SOFTEN_TAG
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.events import Invalidation
    from staleproof.keys import Keyspace
    from staleproof.providers.redis.exchange import Command
    from staleproof.tags import TagId

CHUNK = 1_000
"""Keys that a command names at most: ElastiCache Serverless refuses 4,000 arguments."""

FEW_TAGS = 4
"""Tags of one invalidation whose packed form is remembered."""


class Rotation:
    """Packs what makes the tags and keys of invalidations forgotten, or stale."""

    def __init__(self, keys: Keyspace) -> None:
        self.keys = keys
        # A tag that changed will change again.
        self._packed_rotation: Callable[[tuple[TagId, ...]], tuple[list[bytes], list[bytes]]] = lru_cache(
            maxsize=4_096
        )(self._pack_rotation)
        self._bump = b"*%%d\r\n$8\r\nBITFIELD\r\n$%d\r\n%b\r\n" % (len(keys.guard), keys.guard)

    def pack(self, invalidations: Sequence[Invalidation]) -> list[bytes]:
        """Pack the commands up to the journal's. Mostly not by `pack_command`: this is a hot path too."""
        tags = tuple([tag for each in invalidations for tag in each.tag_ids])
        bumps, unlinks = (self._packed_rotation if len(tags) <= FEW_TAGS else self._pack_rotation)(tags)
        packed = [*bumps]
        soft = False
        for each in invalidations:
            soft = soft or each.soft
            if each.row_version is not None and each.lag_ms:
                packed += self._row_fences(each.tag_ids, each.row_version, each.lag_ms)
        if not soft:
            packed += unlinks
            packed += [self._evict(key) for each in invalidations if each.keys for key in each.evicted]
            return packed
        for each in invalidations:
            packed += self._soften(each) if each.soft else self._remove(each)
        return packed

    def _remove(self, invalidation: Invalidation) -> list[bytes]:
        _, unlinks = self._pack_rotation(tuple(invalidation.tag_ids))
        return [*unlinks, *map(self._evict, invalidation.evicted)]

    def _soften(self, invalidation: Invalidation) -> list[bytes]:
        """By the scripts' text, as for row fences."""
        moment = invalidation.at_ms.to_bytes(8, "little")
        tags: list[Command] = [
            ("EVAL", SOFTEN_TAG.body, 1, self.keys.version(tag), os.urandom(VERSION_BYTES), moment)
            for tag in invalidation.tag_ids
        ]
        entries: list[Command] = [
            ("EVAL", SOFTEN_KEY.body, 2, self.keys.entry(key), self.keys.lease(key), moment)
            for key in invalidation.evicted
        ]
        return list(map(pack_command, [*tags, *entries]))

    def _pack_rotation(self, tags: tuple[TagId, ...]) -> tuple[list[bytes], list[bytes]]:
        """Pack what bumps the guards of *tags*, and what forgets their versions."""
        bumps = [self._bumps(slots) for slots in chunks(list(guards.slots(tags)), CHUNK // 4)]
        return bumps, [self._unlink(some) for some in chunks(tags, CHUNK)]

    def _bumps(self, slots: Sequence[int]) -> bytes:
        return self._bump % (4 * len(slots) + 2) + b"".join(map(_packed_bump, slots))

    def _unlink(self, tags: Sequence[TagId]) -> bytes:
        return b"*%d\r\n$6\r\nUNLINK\r\n%b" % (len(tags) + 1, packed_names(map(self.keys.version, tags)))

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
