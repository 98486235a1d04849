"""Canonical bytes: one encoding of a function's arguments, in which nothing that differs looks the same.

Every value is written as a letter for its type, the length of its payload, and the payload; so no two sequences of
values have one encoding, whatever is in them. What a function could tell apart is kept apart (`1`, `1.0`, `True` and
`"1"`; `Decimal("1.0")` and `Decimal("1.00")`; a list and a tuple): that costs a load, and the opposite a wrong answer.
Only the order of a dict's and a set's members does not count.

What has no value of its own (an open file, a connection, an object that is equal to itself alone) is refused: its text
names an address in memory, which another process gives to something else. A class says what its objects' value is by
a method `__cache_key__`, which returns anything that can be encoded.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def canonical(value: Any) -> bytes:
    """Return the encoding of *value*.

    Raises:
        ConfigurationError: it, or something in it, has no value to encode, or it is nested too deep.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise ConfigurationError(
            f"a {type(value).__name__} is nested too deep, or within itself; name what matters in a key template"
        ) from None


def qualified(cls: type) -> str:
    """Return the full name of *cls*."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _encode(value: Any) -> bytes:
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value)
    for encoding in (_declared, _named, _fielded, _derived):
        encoded = encoding(value)
        if encoded is not None:
            return encoded
    raise ConfigurationError(
        f"a {qualified(type(value))} has no value that a key could be made of; pass its id instead, or write a key "
        "template that names what matters, such as {it.id}, or give the class a method `__cache_key__`"
    )


def _framed(kind: bytes, payload: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(payload), payload)


def _text(text: str) -> bytes:
    return _framed(b"s", text.encode("utf-8", "surrogatepass"))


def _members(kind: bytes, values: Iterable[Any]) -> bytes:
    return _framed(kind, b"".join(map(_encode, values)))


def _unordered(kind: bytes, values: Iterable[Any]) -> bytes:
    return _framed(kind, b"".join(sorted(map(_encode, values))))


def _pairs(kind: bytes, value: dict[Any, Any]) -> bytes:
    return _framed(kind, b"".join(sorted(_encode(key) + _encode(each) for key, each in value.items())))


def _float(value: float) -> bytes:
    return b"d3:nan" if value != value else _framed(b"d", struct.pack(">d", value))  # noqa: PLR0124 - NaN


def _datetime(value: datetime) -> bytes:
    zone = getattr(value.tzinfo, "key", None)  # two zones may agree today and differ tomorrow
    return _framed(b"T", _text(value.isoformat()) + _encode(value.fold) + _encode(zone))


def _time(value: time) -> bytes:
    return _framed(
        b"M", _text(value.isoformat()) + _encode(value.fold) + _encode(getattr(value.tzinfo, "key", None))
    )


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"n0:",
    bool: lambda value: b"t0:" if value else b"f0:",
    int: lambda value: _framed(b"i", b"%x" % value),
    str: _text,
    float: _float,
    bytes: lambda value: _framed(b"b", value),
    bytearray: lambda value: _framed(b"y", value),
    complex: lambda value: _framed(b"c", _float(value.real) + _float(value.imag)),
    Decimal: lambda value: _framed(b"D", str(value).encode()),
    datetime: _datetime,
    date: lambda value: _framed(b"A", value.isoformat().encode()),
    time: _time,
    timedelta: lambda value: _framed(b"L", b"%d,%d,%d" % (value.days, value.seconds, value.microseconds)),
    UUID: lambda value: _framed(b"U", value.bytes),
    list: lambda value: _members(b"[", value),
    tuple: lambda value: _members(b"(", value),
    set: lambda value: _unordered(b"<", value),
    frozenset: lambda value: _unordered(b">", value),
    dict: lambda value: _pairs(b"{", value),
    range: lambda value: _framed(b"r", b"%d,%d,%d" % (value.start, value.stop, value.step)),
}


def _of_class(kind: bytes, cls: type, *parts: bytes) -> bytes:
    return _framed(kind, _text(qualified(cls)) + b"".join(parts))


def _declared(value: Any) -> bytes | None:
    declare = getattr(type(value), "__cache_key__", None)
    return None if declare is None else _of_class(b"k", type(value), _encode(declare(value)))


def _named(value: Any) -> bytes | None:
    """Encode what a name says whole: members of an Enum, classes."""
    if isinstance(value, Enum):
        return _of_class(b"E", type(value), _encode(value.name or value.value))
    if isinstance(value, type):
        if "<locals>" in value.__qualname__:
            raise ConfigurationError(
                f"the class {qualified(value)} is made inside a function, where many may have one name; move it to "
                "its module, or write a key template that names what matters"
            )
        return _of_class(b"C", value)
    if isinstance(value, PathLike):
        return _of_class(b"P", type(value), _encode(fspath(value)))
    return None


def _fielded(value: Any) -> bytes | None:
    """Encode objects by their fields: dataclasses, attrs, pydantic models, msgspec Structs."""
    fields = _fields(type(value))
    if fields is None:
        return None
    beside = ("__pydantic_extra__", "__pydantic_private__")
    written = [(name, getattr(value, name)) for name in fields]
    written += [(name, getattr(value, name, None)) for name in beside]
    return _of_class(b"O", type(value), _members(b"(", written))


def _fields(cls: type) -> list[str] | None:
    """Return the names of the fields that make up the value of *cls*'s objects, as their equality does."""
    if hasattr(cls, "__dataclass_fields__"):
        from dataclasses import fields  # noqa: PLC0415 - whoever has a dataclass has imported it

        return [field.name for field in fields(cls) if field.compare]
    if hasattr(cls, "__attrs_attrs__"):
        return [attribute.name for attribute in cls.__attrs_attrs__ if attribute.eq]
    for fielded in ("__struct_fields__", "model_fields"):
        names = getattr(cls, fielded, None)
        if isinstance(names, tuple | dict):
            return list(names)
    return None


def _derived(value: Any) -> bytes | None:
    """Encode an object of a subclass of a type above, named tuples among them, if it adds nothing of its own."""
    if getattr(value, "__dict__", None):
        return None
    for kind, encode in _PLAIN.items():
        if isinstance(value, kind):
            return _of_class(b"S", type(value), encode(value))
    return None
