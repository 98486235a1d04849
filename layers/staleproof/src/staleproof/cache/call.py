"""`Call`: everything about one read that is known before it starts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from staleproof.entry import prefix
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from staleproof.codecs import MsgpackCodec
    from staleproof.policies.policy import Policy
    from staleproof.tags import TagId


@lru_cache(maxsize=16_384)
def _tag_ids(tags: tuple[str, ...], codec: int) -> tuple[tuple[TagId, ...], bytes]:
    """Return the ids, and what an entry with just these tags begins with."""
    ids = (ROOT, *map(tag_id, tags))
    return ids, prefix(codec, b"".join(ids), len(ids))


class Call:
    """One read of one key.

    Attributes:
        key: the key's text.
        tags: the ids that the call names, the namespace's root first.
        expected: what an entry with these tags and no others begins with.
        policy: how the value is kept.
        codec: how it is written and read back.
        tags_from: further tags, from the loaded value; or None.
        row_version: the version of the loaded row, from the value; or None.
    """

    __slots__ = ("codec", "expected", "key", "policy", "row_version", "tags", "tags_from")

    def __init__(
        self,
        key: str,
        tags: tuple[str, ...],
        policy: Policy,
        codec: MsgpackCodec[Any],
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
    ) -> None:
        self.key = key
        self.tags, self.expected = _tag_ids(tags, codec.codec_id)
        self.policy = policy
        self.codec = codec
        self.tags_from = tags_from
        self.row_version = row_version

    def revealed(self, value: Any) -> list[TagId]:
        """Return the ids of the tags that only *value* names, without those the call names itself."""
        if self.tags_from is None:
            return []
        named = set(self.tags)
        return [tag for tag in dict.fromkeys(map(tag_id, self.tags_from(value))) if tag not in named]
