"""Shapes of values without parts: builtins, everyday types of the standard library, enums, literals."""

from __future__ import annotations

from datetime import datetime
from enum import EnumMeta
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from staleproof.codecs import scalars
from staleproof.codecs.annotations import union_of
from staleproof.codecs.shapes import Shape

if TYPE_CHECKING:
    from staleproof.codecs.shapes import Builder

_BUILTINS = frozenset({str, int, float, bool, type(None), bytes, bytearray, memoryview})
_KNOWN = frozenset({"datetime", "date", "time", "timedelta", "decimal", "uuid"})
"""The everyday types that msgspec reads and writes by itself."""


def untyped(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of `Any`."""
    return builder.dialect.untyped if kind is Any else None


def simple(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a builtin or an everyday type, or None if *kind* is none."""
    if not isinstance(kind, type):
        return None
    if kind in _BUILTINS:
        builder.floats |= kind is float
        return Shape(int | float if kind is float and builder.wide else kind, (kind,))
    if kind.__name__ in {"Path", "PurePath"} and kind.__module__.startswith("pathlib"):
        return Shape(str, (type(kind()),), str, kind)
    scalar = scalars.of_class(kind)
    if scalar is None:
        return None
    if scalar.name in _KNOWN:
        return Shape(kind, (kind,), dated=kind is datetime)
    return Shape(str, (kind,), scalar.write, scalar.read)


def enumeration(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of an `Enum`: its value if all are texts or all are integers, else its name."""
    if not isinstance(kind, EnumMeta):
        return None
    if type(kind) is EnumMeta and builder.dialect.accepts(kind):
        return Shape(kind, (kind,))
    members: Any = kind
    for plain in (int, str):
        if all(type(each.value) is plain for each in members):
            return Shape(plain, (kind,), lambda value: value.value, members)
    return Shape(str, (kind,), lambda value: value.name, members.__getitem__)


def literal(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a `Literal`."""
    if get_origin(kind) is not Literal:
        return None
    allowed = get_args(kind)
    classes = tuple(dict.fromkeys(map(type, allowed)))
    if builder.dialect.accepts(kind):
        return Shape(kind, classes)
    shape = builder.shape(union_of(classes))

    def from_wire(wire: Any) -> Any:
        value = shape.restored(wire)
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise ValueError("not among the literals")
        return value

    return Shape(shape.wire, classes, shape.to_wire, from_wire)
