"""Shapes of unions.

msgspec reads a union whose members look different in the format: a text, a number, one mapping, one array. The members
of any other union are written under the name of their class, `{"Cat": {…}}`, which no reader can mistake. Names, not
places: an annotation may be put in another order while entries of the old one are still stored.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec

from staleproof.codecs.annotations import filled, is_union, members, union_of
from staleproof.codecs.records import wire_record
from staleproof.codecs.shapes import Shape
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.codecs.shapes import Builder


def union(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a union, or None if *kind* is none."""
    if not is_union(kind):
        return None
    kinds = _merged(members(kind))
    if Any in kinds:
        return builder.dialect.untyped
    apart = {type(None), msgspec.UnsetType}
    shape = _joined(builder, kind, [builder.shape(each) for each in kinds if each not in apart])
    if msgspec.UnsetType in kinds:
        if not shape.plain:
            raise ConfigurationError(f"{kind!r} cannot be told from UNSET; use None instead")
        shape = shape._replace(wire=union_of([shape.wire, msgspec.UnsetType]))
    return _optional(shape) if type(None) in kinds else shape


def _merged(kinds: Sequence[Any]) -> list[Any]:
    """Return *kinds* with one `Literal` at most, of what no other allows anyway: `str | Literal["a"]` is `str`."""
    others = [each for each in kinds if get_origin(each) is not Literal]
    values = [value for each in kinds if get_origin(each) is Literal for value in get_args(each)]
    left = [value for value in values if type(value) not in others]
    return [*others, filled(Literal, *left)] if left else others


def _joined(builder: Builder, kind: Any, shapes: Sequence[Shape]) -> Shape:
    if len(shapes) == 1:
        return shapes[0]
    classes = tuple(dict.fromkeys(cls for each in shapes for cls in each.classes))
    dated = any(each.dated for each in shapes)
    wire = union_of(each.wire for each in shapes)
    readable = all(each.from_wire is None for each in shapes) and builder.dialect.accepts(wire)
    if readable and all(each.to_wire is None for each in shapes):
        return Shape(wire, classes, dated=dated)
    choose = _chooser(kind, shapes)
    if readable:
        return Shape(wire, classes, lambda value: choose(value).written(value), None, dated)
    return _named(shapes, choose)._replace(classes=classes, dated=dated)


def _named(shapes: Sequence[Shape], choose: Callable[[Any], Shape]) -> Shape:
    names = _names(shapes)
    by_name = dict(zip(names, shapes, strict=True))
    name_of = {id(each): name for name, each in by_name.items()}

    def to_wire(value: Any) -> Any:
        shape = choose(value)
        return {name_of[id(shape)]: shape.written(value)}

    def from_wire(wire: Any) -> Any:
        ((name, content),) = wire.items()
        return by_name[name].restored(content)

    wire = wire_record({name: (each.wire, False) for name, each in by_name.items()})
    return Shape(wire, (), to_wire, from_wire)


def _names(shapes: Sequence[Shape]) -> list[str]:
    short = [each.classes[0].__name__ for each in shapes]
    often = Counter(short)
    return [
        name if often[name] == 1 else f"{each.classes[0].__module__}.{each.classes[0].__qualname__}"
        for name, each in zip(short, shapes, strict=True)
    ]


def _chooser(kind: Any, shapes: Sequence[Shape]) -> Callable[[Any], Shape]:
    """Return what finds the member of a union that a value belongs to.

    Raises:
        ConfigurationError: two members have values of one class.
    """
    exact: dict[Any, Shape] = {}
    for shape in shapes:
        if not shape.classes or any(cls in exact for cls in shape.classes):
            raise ConfigurationError(
                f"the members of {kind!r} cannot be told apart; give each a class of its own, a dataclass for example"
            )
        exact |= dict.fromkeys(shape.classes, shape)

    def choose(value: Any) -> Shape:
        shape = exact.get(type(value))
        if shape is None and type(value) is int:
            shape = exact.get(float)  # PEP 484: where a float is expected, an int will do
        if shape is None:
            raise TypeError(f"a {type(value).__qualname__} is none of the union's")
        return shape

    return choose


def _optional(shape: Shape) -> Shape:
    return Shape(
        union_of([shape.wire, None]),
        (*shape.classes, type(None)) if shape.classes else (),
        _unless_none(shape.to_wire),
        _unless_none(shape.from_wire),
        shape.dated,
    )


def _unless_none(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    return None if convert is None else lambda value: None if value is None else convert(value)
