"""Whether a value that was read back is the one that was written, and if not, where they part.

Nearly always `==` says yes, at C's speed. Where it says no, the two may be the same all the same: NaN equals
nothing, a class may define no equality, and a time that the end of summer repeats equals no time of another zone
(PEP 495). So a difference is looked for part by part.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, time
from typing import Any


def difference(value: Any, back: Any, path: str = "") -> str | None:
    """Return where *back* is not *value*, as `"at .rows[3]: a tuple comes back as a list"`; None if it is the same.

    The text names types and places, never what a value holds.
    """
    if _equal(value, back):
        return None
    at = f"at {path}: " if path else ""
    name, other = type(value).__qualname__, type(back).__qualname__
    if type(value) is not type(back):
        return f"{at}a {name} comes back as a {other}"
    if isinstance(value, datetime | time):
        return None if value.isoformat() == back.isoformat() else f"{at}a {name} comes back as another"
    parts, others = _parts(value), _parts(back)
    if parts is None or others is None:
        nan = not _equal(value, value) and not _equal(back, back)
        return None if nan else f"{at}a {name} comes back as another"
    if parts.keys() != others.keys():
        return f"{at}a {name} of {len(parts)} parts comes back with {len(others)}, or with others"
    found = (difference(part, others[key], f"{path}{_place(key)}") for key, part in parts.items())
    return next(filter(None, found), None)


def _equal(value: Any, back: Any) -> bool:
    try:
        return bool(value == back)
    except Exception:  # noqa: BLE001 - `Decimal("sNaN")`, and classes of the user's; the parts will tell
        return False


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
