"""Whether a value that was read back is the one that was written, in every part of it, and if not, where they part.

Equality alone does not tell: `5 == 5.0`, a `defaultdict` equals a dictionary, a named tuple a tuple, a member of an
`IntEnum` its number. So classes are compared, too, level by level: all parts of one class at once, mostly in C.

Nor does inequality: NaN equals nothing, a class may define no equality, and a time that the end of summer repeats
equals no time of another zone (PEP 495). So where the quick way finds a difference, it is looked for part by part.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, time
from functools import lru_cache
from itertools import chain, compress, repeat
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAVES = frozenset({str, int, float, bool, type(None), bytes})
_flattened = chain.from_iterable


def difference(value: Any, back: Any, path: str = "") -> str | None:
    """Return where *back* is not *value*, as `"at .rows[3]: a tuple comes back as a list"`; None if it is the same.

    The text names types and places, never what a value holds.
    """
    if _equal(value, back) and same_classes([value], [back]):
        return None
    name = type(value).__qualname__
    parts, others = _parts(value), _parts(back)
    if type(value) is not type(back):
        found: str | None = f"as a {type(back).__qualname__}"
    elif parts is None or others is None:
        found = None if _alike(value, back) else "as another"
    elif parts.keys() != others.keys():
        name, found = f"{name} of {len(parts)} parts", f"with {len(others)}, or with others"
    elif isinstance(value, dict) and not same_classes(list(value), list(back)):
        found = "with keys of another class, or in another order"
    else:
        inner = (difference(part, others[key], f"{path}{_place(key)}") for key, part in parts.items())
        return next(filter(None, inner), None)
    return found and f"{f'at {path}: ' if path else ''}a {name} comes back {found}"


def _alike(value: Any, back: Any) -> bool:
    """Say whether two of one class, without parts to compare and perhaps unequal, are the same for all that."""
    if isinstance(value, datetime | time):
        return bool(value.isoformat() == back.isoformat())
    return not _equal(value, value) and not _equal(back, back)  # NaN, and what is like it


def _equal(value: Any, back: Any) -> bool:
    try:
        return bool(value == back)
    except Exception:  # noqa: BLE001 - `Decimal("sNaN")`, and classes of the user's; the parts will tell
        return False


# --- the quick way: values that are equal, and whether their classes are --------------------------------


def same_classes(values: list[Any], others: list[Any]) -> bool:
    """Say whether *values* and *others*, which are equal, have the same classes, place by place, all the way down."""
    classes = list(map(type, values))
    if classes != list(map(type, others)):
        return False
    if not classes or classes.count(classes[0]) == len(classes):
        return not classes or classes[0] in _LEAVES or _same_parts(classes[0], values, others)
    nested = set(classes) - _LEAVES
    return all(
        _same_parts(
            kind,
            list(compress(values, map(is_, repeat(kind), classes))),
            list(compress(others, map(is_, repeat(kind), classes))),
        )
        for kind in nested
    )


def _same_parts(kind: Any, values: list[Any], others: list[Any]) -> bool:
    """Compare the classes of the parts of values that are all of the class *kind*."""
    if issubclass(kind, dict):
        return _same_entries(values, others)
    if issubclass(kind, set | frozenset):
        return all(map(_same_members, values, others))
    if issubclass(kind, list | tuple | deque):
        same = not issubclass(kind, deque) or all(map(_have_same_room, values, others))
        return same and same_classes(list(_flattened(values)), list(_flattened(others)))
    fields = _fields(kind)
    try:
        # Without fields they are equal, and of one class; what is in them is their class's business.
        return fields is None or same_classes(
            list(_flattened(map(fields, values))), list(_flattened(map(fields, others)))
        )
    except AttributeError:  # a slot that was never filled
        return False


def _same_entries(values: list[Any], others: list[Any]) -> bool:
    """Compare dictionaries; their keys come back in the order in which they were written."""
    keys = list(_flattened(values))
    names = list(_flattened(others))
    if keys != names or not same_classes(keys, names):
        return False
    return same_classes(
        list(_flattened(map(dict.values, values))), list(_flattened(map(dict.values, others)))
    )


def _same_members(value: Any, back: Any) -> bool:
    """Compare sets, which have no order: 1 and 1.0 are one member."""
    if type(value) is not type(back) or value != back:
        return False
    theirs = {each: each for each in back}
    return same_classes(list(value), [theirs[each] for each in value])


def _have_same_room(value: Any, back: Any) -> bool:
    return bool(value.maxlen == back.maxlen)


@lru_cache(maxsize=1_024)
def _fields(cls: Any) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return what takes the fields of a value of this class; None if it has none that are known."""
    names = _names(cls)
    if not names:
        return None
    take = attrgetter(*map(str, names))
    return take if len(names) > 1 else lambda value: (take(value),)


# --- part by part -----------------------------------------------------------------------------------


def _parts(value: Any) -> dict[Any, Any] | None:
    """Return what *value* consists of, by place; None if it has no parts that could be compared."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple | deque):
        return dict(enumerate(value))
    names = _names(type(value))
    return None if names is None else {name: getattr(value, name, None) for name in names}


def _place(key: Any) -> str:
    # A key may be somebody's address: errors end up in logs.
    return f"[{key}]" if type(key) is int else f".{key}" if type(key) is _Name else "[…]"


class _Name(str):
    """The name of a field, which may be told, while the keys of a dictionary may not."""

    __slots__ = ()


def _names(cls: Any) -> list[_Name] | None:
    if hasattr(cls, "__struct_fields__"):
        names = cls.__struct_fields__
    elif hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields"):
        names = (*cls.model_fields, "__pydantic_extra__", "__pydantic_private__")
    elif hasattr(cls, "__dataclass_fields__"):
        names = tuple(cls.__dataclass_fields__)
    elif hasattr(cls, "__attrs_attrs__"):
        names = tuple(each.name for each in cls.__attrs_attrs__)
    else:
        return None
    return [_Name(name) for name in names]
