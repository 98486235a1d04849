"""Shapes of classes with fields: dataclasses, attrs classes, msgspec Structs, NamedTuples and TypedDicts.

msgspec reads and writes these by itself if it can read every field. Otherwise the wire type is a TypedDict of the
fields' wire types, and a value is made of what was read as msgspec would make it: without `__init__`, with defaults
for what an older release did not write, and with `__post_init__`.
"""

from __future__ import annotations

import sys
import typing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, Required, get_args, get_origin

import msgspec

from staleproof.codecs.annotations import class_of, hints
from staleproof.codecs.shapes import Shape
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from staleproof.codecs.shapes import Builder

_ABSENT: Any = object()


class Record(NamedTuple):
    """How values of one class are taken apart and put together.

    Attributes:
        cls: their exact class.
        fields: the annotation of each field, and whether every value has it.
        take: a value to its fields, by name.
        make: fields, by name, to a value.
        changed: a value to one like it with other fields; not checked, for it is encoded at once.
        get: a field of a value, or a default.
        known: whether msgspec knows such classes.
    """

    cls: Any
    fields: Mapping[str, tuple[Any, bool]]
    take: Callable[[Any], dict[str, Any]]
    make: Callable[[dict[str, Any]], Any]
    changed: Callable[[Any, dict[str, Any]], Any] | None = None
    get: Callable[[Any, str, Any], Any] = getattr
    known: bool = True


def record(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a class with fields, or None if *kind* is none."""
    cls = class_of(kind)
    if not isinstance(cls, type):
        return None
    describe = next((describe for recognises, describe in FAMILIES if recognises(cls)), None)
    if describe is None:
        return None
    return builder.recursive(kind, lambda: record_shape(builder, kind, describe(kind)))


def record_shape(builder: Builder, kind: Any, described: Record) -> Shape:
    """Return the shape of the class that *described* takes apart."""
    shapes = {name: builder.shape(hint) for name, (hint, _) in described.fields.items()}
    dated = any(each.dated for each in shapes.values())
    restoring = {name: each.from_wire for name, each in shapes.items() if each.from_wire is not None}
    classes = (described.cls,)
    if described.known and not restoring and not builder.wide and builder.dialect.accepts(kind):
        writing = {name: each.to_wire for name, each in shapes.items() if each.to_wire is not None}
        return Shape(kind, classes, partial(_replaced, described, writing) if writing else None, None, dated)
    wire = wire_record({name: (each.wire, described.fields[name][1]) for name, each in shapes.items()})

    def to_wire(value: Any) -> Any:
        return {name: shapes[name].written(each) for name, each in described.take(value).items()}

    def from_wire(wire: Any) -> Any:
        for name, restore in restoring.items():
            if name in wire:
                wire[name] = restore(wire[name])
        return described.make(wire)

    return Shape(wire, classes, to_wire, from_wire, dated)


def wire_record(fields: Mapping[str, tuple[Any, bool]]) -> Any:
    """Return a TypedDict of these types, each with whether it is always there."""
    typed_dict: Any = typing.TypedDict
    return typed_dict(
        "Wire", {name: each if always else NotRequired[each] for name, (each, always) in fields.items()}
    )


def _replaced(described: Record, writing: Mapping[str, Callable[[Any], Any]], value: Any) -> Any:
    """Return *value* with those fields rewritten that msgspec would write otherwise; mostly the very object."""
    changes, get = {}, described.get
    for name, write in writing.items():
        field = get(value, name, _ABSENT)
        if field is not _ABSENT and (written := write(field)) is not field:
            changes[name] = written
    return described.changed(value, changes) if changes and described.changed else value


# --- instances: dataclasses and attrs classes -----------------------------------------------------


class _Defaults(NamedTuple):
    plain: dict[str, Any]
    made: dict[str, Callable[[], Any]]


def _instances(
    cls: Any, fields: Mapping[str, tuple[Any, bool]], defaults: _Defaults, finish: Callable[[Any], None]
) -> Record:
    names = tuple(fields)

    def take(value: Any) -> dict[str, Any]:
        found = {name: getattr(value, name, _ABSENT) for name in names}
        return {name: each for name, each in found.items() if each is not _ABSENT}

    def filled(given: Mapping[str, Any]) -> Any:
        new = cls.__new__(cls)
        for name in names:
            if name in given:
                object.__setattr__(new, name, given[name])
        return new

    def make(given: dict[str, Any]) -> Any:
        missing = {name: factory() for name, factory in defaults.made.items() if name not in given}
        new = filled({**defaults.plain, **missing, **given})
        finish(new)
        return new

    return Record(cls, fields, take, make, lambda value, changes: filled({**take(value), **changes}))


def dataclass_record(kind: Any) -> Record:
    """Take a dataclass apart."""
    dataclasses = sys.modules["dataclasses"]
    cls, resolved, defaults = class_of(kind), hints(kind), _Defaults({}, {})
    # A dataclass of pydantic's keeps descriptions where others keep defaults.
    pydantic = hasattr(cls, "__pydantic_fields__")
    fields = {}
    for each in dataclasses.fields(cls):
        if not pydantic and each.default is not dataclasses.MISSING:
            defaults.plain[each.name] = each.default
        elif not pydantic and each.default_factory is not dataclasses.MISSING:
            defaults.made[each.name] = each.default_factory
        given = each.name in defaults.plain or each.name in defaults.made
        fields[each.name] = (resolved[each.name], each.init and not given)
    passing = [name for name, hint in resolved.items() if dataclasses.InitVar in {hint, type(hint)}]
    if passing:
        raise ConfigurationError(
            f"{cls!r} has the InitVar {passing[0]!r}, which no value keeps; make it a field"
        )

    def finish(value: Any) -> None:
        if hasattr(cls, "__post_init__"):
            value.__post_init__()

    return _instances(cls, fields, defaults, finish)._replace(known=not pydantic)


def attrs_record(kind: Any) -> Record:
    """Take an attrs class apart."""
    cls, resolved, defaults = class_of(kind), hints(kind), _Defaults({}, {})
    nothing = sys.modules["attr"].NOTHING
    fields = {}
    for each in cls.__attrs_attrs__:
        made = getattr(each.default, "factory", None)
        if made is not None and not each.default.takes_self:
            defaults.made[each.name] = made
        elif made is None and each.default is not nothing:
            defaults.plain[each.name] = each.default
        given = each.name in defaults.plain or each.name in defaults.made
        fields[each.name] = (resolved.get(each.name, Any), each.init and not given)

    def finish(value: Any) -> None:
        for each in cls.__attrs_attrs__:
            if each.validator is not None:
                each.validator(value, each, getattr(value, each.name))
        if hasattr(cls, "__attrs_post_init__"):
            value.__attrs_post_init__()

    return _instances(cls, fields, defaults, finish)


# --- the others -----------------------------------------------------------------------------------


def struct_record(kind: Any) -> Record:
    """Take a msgspec Struct apart, by the names that it has when it is encoded."""
    cls, resolved = class_of(kind), hints(kind)
    encoded = dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True))
    defaults = cls.__struct_defaults__
    always = [True] * (len(encoded) - len(defaults)) + [each is msgspec.NODEFAULT for each in defaults]
    fields = {name: (resolved[encoded[name]], each) for name, each in zip(encoded, always, strict=True)}

    def get(value: Any, name: str, default: Any = _ABSENT) -> Any:
        return getattr(value, encoded[name], default)

    def take(value: Any) -> dict[str, Any]:
        found = {name: get(value, name) for name in fields}
        return {name: each for name, each in found.items() if each is not msgspec.UNSET}

    def named(given: Mapping[str, Any]) -> dict[str, Any]:
        return {encoded[name]: each for name, each in given.items()}

    return Record(
        cls,
        fields,
        take,
        lambda given: cls(**named(given)),
        lambda value, changes: msgspec.structs.replace(value, **named(changes)),
        get,
    )


def named_tuple_record(kind: Any) -> Record:
    """Take a NamedTuple apart."""
    cls = class_of(kind)
    resolved = hints(kind)
    fields = {name: (resolved.get(name, Any), name not in cls._field_defaults) for name in cls._fields}
    return Record(
        cls,
        fields,
        lambda value: value._asdict(),
        lambda given: cls(**given),
        lambda value, changes: value._replace(**changes),
    )


def typed_dict_record(kind: Any) -> Record:
    """Take a TypedDict apart; its values are plain dictionaries."""
    cls = class_of(kind)
    fields = {name: _item(name, hint, cls) for name, hint in hints(kind).items()}

    def take(value: Any) -> dict[str, Any]:
        return {name: each for name, each in value.items() if name in fields}

    return Record(dict, fields, take, dict, lambda value, changes: {**value, **changes}, dict.get)


def _item(name: str, hint: Any, cls: Any) -> tuple[Any, bool]:
    always = name in cls.__required_keys__
    while get_origin(hint) in {Required, NotRequired} or "ReadOnly" in str(get_origin(hint)):
        if "ReadOnly" not in str(get_origin(hint)):
            always = get_origin(hint) is Required
        (hint,) = get_args(hint)
    return hint, always


FAMILIES: tuple[tuple[Callable[[Any], bool], Callable[[Any], Record]], ...] = (
    (lambda cls: hasattr(cls, "__struct_fields__"), struct_record),
    (lambda cls: hasattr(cls, "__dataclass_fields__"), dataclass_record),
    (lambda cls: hasattr(cls, "__attrs_attrs__"), attrs_record),
    (lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"), named_tuple_record),
    (lambda cls: issubclass(cls, dict) and hasattr(cls, "__required_keys__"), typed_dict_record),
)
