"""`Looks`: reads as packed commands, the last one of each key remembered.

A read names the same tags again and again, and a hot key all of it. What is found by the key alone, and told by its
tags, costs a hit less than what is found by both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from staleproof.providers.redis.exchange import packed_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.keys import Keyspace
    from staleproof.tags import TagId

MEMOISED_LOOKS = 4_096
"""Reads whose packed form is remembered; when there are as many, all are forgotten, which needs no lock."""

MEMOISED_TAGS = 16
"""Tags of one read whose packed form is remembered; more of them seldom come again, and would hold memory."""


class Looks(dict[str, tuple[tuple["TagId", ...], bytes]]):
    """The tags that a key was last read with, and that read as one MGET, by key.

    Args:
        keys: names entries and versions.
    """

    __slots__ = ("_keys", "_packed_versions")

    def __init__(self, keys: Keyspace) -> None:
        super().__init__()
        self._keys = keys
        self._packed_versions: Callable[[tuple[TagId, ...]], bytes] = lru_cache(maxsize=16_384)(
            self._pack_versions
        )

    def pack(self, key: str, tags: tuple[TagId, ...]) -> bytes:
        """Pack the entry and its tags' versions as one MGET, so as one moment, and remember it if the tags are few."""
        name, few = self._keys.entry(key), len(tags) <= MEMOISED_TAGS
        versions = (self._packed_versions if few else self._pack_versions)(tags)
        packed = b"*%d\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n%b" % (len(tags) + 2, len(name), name, versions)
        if few:
            if len(self) >= MEMOISED_LOOKS:
                self.clear()
            self[key] = tags, packed
        return packed

    def _pack_versions(self, tags: Sequence[TagId]) -> bytes:
        return packed_names(map(self._keys.version, tags))
