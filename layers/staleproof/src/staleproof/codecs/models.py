"""Shapes of pydantic models, and of types that only pydantic knows. Nothing here imports pydantic.

A model is stored as what it *is*, and comes back as `copy` and `pickle` bring it back: fields by their own names
whatever their aliases, which of them were set, extra and private attributes; computed fields are computed again.
Validators do not run again. They are made for input from outside, and many read only that: a validator that splits a
text cannot read the list that it made of it. What a field holds is checked against its type, like everywhere.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from staleproof.codecs.annotations import class_of, hints
from staleproof.codecs.records import Record, record_shape, wire_record
from staleproof.codecs.shapes import Shape
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from staleproof.codecs.shapes import Builder

UNSET, EXTRA, PRIVATE = "$unset", "$extra", "$private"
"""Beside the fields, where there is something to tell; no field can have such a name."""


def model(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a pydantic model, or None if *kind* is none."""
    if (
        not isinstance(kind, type)
        or not hasattr(kind, "__pydantic_validator__")
        or not hasattr(kind, "model_fields")
    ):
        return None
    return builder.recursive(kind, lambda: record_shape(builder, kind, model_record(kind)))


def model_record(cls: Any) -> Record:
    """Take a pydantic model apart."""
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    described = cls.model_fields
    fields: dict[str, tuple[Any, bool]] = {
        name: (each.annotation, each.is_required()) for name, each in described.items()
    }
    fields[UNSET] = (list[str], False)
    if _takes_extra(cls):
        fields[EXTRA] = (dict[str, Any], False)
    if cls.__private_attributes__:
        fields[PRIVATE] = (_private(cls), False)
    return Record(cls, fields, _taker(described), _maker(cls, described), known=False)


def _taker(described: Mapping[str, Any]) -> Callable[[Any], dict[str, Any]]:
    names = frozenset(described)

    def take(value: Any) -> dict[str, Any]:
        state, given = value.__dict__, value.__pydantic_fields_set__
        taken = {name: state[name] for name in described}
        if not names <= given:
            taken[UNSET] = sorted(names - given)
        if value.__pydantic_extra__:
            taken[EXTRA] = value.__pydantic_extra__
        if value.__pydantic_private__:
            taken[PRIVATE] = value.__pydantic_private__
        return taken

    return take


def _maker(cls: Any, described: Mapping[str, Any]) -> Callable[[dict[str, Any]], Any]:
    names, new = frozenset(described), cls.__new__
    extras, privates = _takes_extra(cls), bool(cls.__private_attributes__)

    def make(state: dict[str, Any]) -> Any:
        unset, extra, private = state.pop(UNSET, ()), state.pop(EXTRA, None), state.pop(PRIVATE, None)
        given = set(names.intersection(state)).difference(unset)
        if len(state) != len(names):
            _complete(state, described)
        if extra:
            given.update(extra)
        value = new(cls)
        value.__setstate__(
            {
                "__dict__": state,
                "__pydantic_fields_set__": given,
                "__pydantic_extra__": {} if extra is None and extras else extra,
                "__pydantic_private__": {} if private is None and privates else private,
            }
        )
        return value

    return make


def _complete(state: dict[str, Any], described: Mapping[str, Any]) -> None:
    """Add the defaults of fields that an older release did not have."""
    for name, each in described.items():
        if name not in state:
            state[name] = each.get_default(call_default_factory=True)


def _takes_extra(cls: Any) -> bool:
    return bool(cls.model_config.get("extra") == "allow")


def _private(cls: Any) -> Any:
    """Return a TypedDict of the private attributes, by their annotations as far as these can be resolved."""
    try:
        annotated = hints(cls)
    except ConfigurationError:
        annotated = {}
    return wire_record({name: (annotated.get(name, Any), False) for name in cls.__private_attributes__})


def described(_: Builder, kind: Any) -> Shape | None:
    """Return the shape of a type that only pydantic knows how to read, a `HttpUrl` for example; or None."""
    cls = class_of(kind)
    if hasattr(cls, "get_secret_value"):
        raise ConfigurationError(
            f"a {cls.__name__} is not written to a cache; keep secrets out of what is cached"
        )
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not hasattr(cls, "__get_pydantic_core_schema__"):
        return None
    try:
        adapter = pydantic.TypeAdapter(kind)
    except Exception as error:
        raise ConfigurationError(f"pydantic cannot read a {kind!r}: {error}") from error

    def to_wire(value: Any) -> Any:
        return adapter.dump_python(value, mode="json", round_trip=True, warnings="error")

    return Shape(Any, (cls,), to_wire, adapter.validate_python)
