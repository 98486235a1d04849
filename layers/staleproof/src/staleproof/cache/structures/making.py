"""How templates of structures are made of what the faces are told; imported when the first one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache import structures
from staleproof.cache.structures.arguments import whole
from staleproof.cache.structures.bitmaps import MOST_BITS
from staleproof.cache.structures.elements import is_number, member_element, value_element
from staleproof.cache.structures.template import Structures
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from staleproof.policies.policy import Policy

    Tags: TypeAlias = Iterable[str]
    Chosen: TypeAlias = Policy | str | None


def handle(name: str) -> Any:
    """Return the class of handles of this *name*."""
    return getattr(structures, name)


def of_members(face: Any, name: str, key: str, tags: Tags, policy: Chosen, member: Any) -> Structures[Any]:
    """Make structures of members."""
    return Structures(handle(name), face, key, tags, policy, member_element(member, "member"))


def lists(face: Any, name: str, key: str, tags: Tags, policy: Chosen, value: Any) -> Structures[Any]:
    """Make lists."""
    return Structures(handle(name), face, key, tags, policy, value_element(face.codec_for, value))


def hashes(
    face: Any, name: str, key: str, tags: Tags, policy: Chosen, field: Any, value: Any
) -> Structures[Any]:
    """Make hashes."""
    elements = member_element(field, "field"), value_element(face.codec_for, value)
    return Structures(handle(name), face, key, tags, policy, *elements)


def counters(face: Any, name: str, key: str, tags: Tags, policy: Chosen, kind: Any) -> Structures[Any]:
    """Make counters."""
    if not is_number(kind):
        raise ConfigurationError(f"kind={kind!r}: a counter counts int or float")
    return Structures(handle(name), face, key, tags, policy, value_element(face.codec_for, kind))


def bitmaps(face: Any, name: str, key: str, tags: Tags, policy: Chosen, bits: int) -> Structures[Any]:
    """Make bitmaps."""
    return Structures(handle(name), face, key, tags, policy, bits=whole("bits", bits, 1, MOST_BITS))


def streams(
    face: Any, name: str, key: str, tags: Tags, policy: Chosen, value: Any, maxlen: int | None
) -> Structures[Any]:
    """Make streams."""
    most = None if maxlen is None else whole("maxlen", maxlen, 1)
    element = value_element(face.codec_for, value)
    return Structures(handle(name), face, key, tags, policy, element, maxlen=most)
