"""`Call`: everything about one read that is known before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from staleproof.cache import uncommitted
from staleproof.codecs.typed import TypedCodec
from staleproof.entry import FEW, prefix
from staleproof.errors import ConfigurationError
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from staleproof.cache.near import Copy
    from staleproof.codecs import Codec
    from staleproof.policies.policy import Policy
    from staleproof.tags import TagId


MAX_TEXT = 4_096
"""Characters of a key: a near cache reads its last journal record again at every check."""

MAX_ROW_VERSION = 2**63


MEMORABLE_TAGS = FEW
"""Tags of a call whose ids are remembered; with more they would hold kilobytes each, and seldom come again."""


def _tag_ids(tags: tuple[str, ...], codec: int, flags: int) -> tuple[tuple[TagId, ...], bytes]:
    """Return the ids, and what an entry with just these tags begins with: whatever their order, and each once."""
    ids = (ROOT, *sorted(set(map(tag_id, tags))))
    return ids, prefix(codec, b"".join(ids), len(ids), flags)


_known_tag_ids = lru_cache(maxsize=16_384)(_tag_ids)


class Habit:
    """Whether loads of one function add tags from inside: those need the guard, which the others spare.

    The first load reads the guard in any case. Later ones do if one added tags before; a load that adds some without
    warning is not stored, once.
    """

    __slots__ = ("known", "reveals")

    def __init__(self) -> None:
        self.known = False
        self.reveals = False

    def learn(self, *, reveals: bool) -> None:
        """Remember what a load did."""
        self.known = True
        self.reveals = self.reveals or reveals


class Call:
    """One read of one key.

    Attributes:
        key: the key's text.
        tags: the ids that the call names, the namespace's root first.
        expected: what an entry with these tags and no others begins with.
        policy: how the value is kept.
        codec: how it is written and read back.
        read: makes a value of bytes; whatever it raises, `codec.decode` knows better.
        tags_from: further tags, from the loaded value; or None.
        row_version: the version of the loaded row, from the value; or None.
        shelf: where the decorated function finds its own near copies; or None.
        unless: says of a loaded value that it is served only, not stored; or None.
        habit: what the decorated function's loads do; or None.
    """

    __slots__ = (
        "codec",
        "expected",
        "habit",
        "key",
        "policy",
        "read",
        "row_version",
        "shelf",
        "tags",
        "tags_from",
        "unless",
    )

    def __init__(
        self,
        key: str,
        tags: tuple[str, ...],
        policy: Policy,
        codec: Codec[Any],
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        shelf: dict[str, Copy] | None = None,
        unless: Callable[[Any], bool] | None = None,
        habit: Habit | None = None,
    ) -> None:
        check_text("key", key)
        self.key = key
        ids_of = _known_tag_ids if len(tags) <= MEMORABLE_TAGS else _tag_ids
        self.tags, self.expected = ids_of(tags, codec.codec_id, policy.flags)
        self.policy = policy
        self.codec = codec
        plain = getattr(type(codec), "decode", None) is TypedCodec.decode
        self.read: Callable[[Any], Any] = codec.read if plain else codec.decode  # type: ignore[attr-defined]
        self.tags_from = tags_from
        self.row_version = row_version
        self.shelf = shelf
        self.unless = unless
        self.habit = habit

    @property
    def flight(self) -> Hashable:
        """What loads must have in common to be one: a value loaded for one call answers the other.

        What a transaction has changed and not committed, its own loads alone see.
        """
        return self.key, self.tags, self.codec.kind, self.codec.codec_id, uncommitted.pending()

    @property
    def guarded(self) -> bool:
        """Whether a load must read the guard beforehand, for the tags that only it reveals."""
        habit = self.habit
        return self.tags_from is not None or habit is None or not habit.known or habit.reveals

    def revealed(self, value: Any, added: Iterable[str] = ()) -> list[TagId]:
        """Return the ids of the tags that only *value* names, or the load *added*, without those the call names."""
        revealed = () if self.tags_from is None else self.tags_from(value)
        if isinstance(revealed, str) or not isinstance(revealed, Iterable):
            raise ConfigurationError(f"tags_from returned {revealed!r}; return a list of tags")
        named = set(self.tags)
        return [tag for tag in dict.fromkeys(map(_checked_id, [*revealed, *added])) if tag not in named]

    def row_of(self, value: Any) -> int | None:
        """Return the version of the source row behind *value*, if the call tells it.

        Raises:
            ConfigurationError: it is no integer that fits 64 bits.
        """
        return checked_row_version(self.row_version(value) if self.row_version else None)


def checked_row_version(row_version: int | None) -> int | None:
    """Return *row_version*, or raise `ConfigurationError` if it is no integer from 0 to 2^63 - 1."""
    if row_version is not None and (type(row_version) is not int or not 0 <= row_version < MAX_ROW_VERSION):
        raise ConfigurationError(f"row_version {row_version!r} is no integer from 0 to 2^63 - 1, nor None")
    return row_version


def check_text(field: str, text: str) -> None:
    """Raise `ConfigurationError` if a key or tag is longer than what a journal record should carry."""
    if len(text) > MAX_TEXT:
        raise ConfigurationError(
            f"{field} {text[:80]!r}… has {len(text)} characters; the limit is {MAX_TEXT}: hash long parts"
        )


def _checked_id(tag: object) -> TagId:
    if not isinstance(tag, str):
        raise ConfigurationError(f"tags_from returned the tag {tag!r}; build tags with `staleproof.key`")
    return tag_id(tag)
