"""The type of a function's results, from its annotation, as soon as the names in it are there.

A method may return the class that is being defined, or one that is defined further down: then its annotation cannot be
resolved at decoration, and is at the first call. `Self` is the class that the method stands in.
"""

from __future__ import annotations

import functools
import inspect
import sys
from operator import or_
from types import UnionType
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin, get_type_hints

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class UnresolvedError(ConfigurationError):
    """An annotation names what is not there, or not yet."""


def result_type(function: Callable[..., Any], owner: type | None = None) -> Any:
    """Resolve the result's annotation alone: parameters may well be annotated for type checkers only.

    *owner* is the class that it stands in, if that is known; it is looked for otherwise.

    Raises:
        UnresolvedError: it names what is not there, or not yet.
    """
    plain = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = inspect.unwrap(plain.func)
    written = getattr(plain, "__annotations__", {}).get("return", Any)
    if written is None:
        return type(None)
    stand_in = type("Result", (), {"__annotations__": {"result": written}, "__module__": plain.__module__})
    place = owner or _place(plain)
    names = {**_enclosed(plain), **_inside(place)}
    try:
        return _with_self(get_type_hints(stand_in, getattr(plain, "__globals__", {}), names)["result"], place)
    except UnresolvedError:
        raise
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise UnresolvedError(
            f"the result's annotation {written!r} cannot be resolved: {error}; import the type where the function is "
            "defined, outside of TYPE_CHECKING"
        ) from error


def _place(function: Callable[..., Any]) -> type | None:
    """Return the class in which *function* stands, if it can be found: not before its module has it."""
    place: Any = sys.modules.get(function.__module__)
    for name in getattr(function, "__qualname__", "").split(".")[:-1]:
        place = getattr(place, name, None)
    return place if isinstance(place, type) else None


def _inside(place: type | None) -> dict[str, Any]:
    """Return what an annotation in the body of *place* may name beside globals: its classes, and itself."""
    if place is None:
        return {}
    inner = {name: value for name, value in vars(place).items() if isinstance(value, type)}
    return {**inner, place.__name__: place}


def _with_self(kind: Any, place: type | None) -> Any:
    """Return *kind* with *place* for `Self`."""
    if kind is Self:
        if place is None:
            raise UnresolvedError("the result is Self, of a class that cannot be found; name the class")
        return place
    arguments, origin = get_args(kind), get_origin(kind)
    if not any(_names_self(each) for each in arguments):
        return kind
    known = tuple(_with_self(each, place) for each in arguments)
    return functools.reduce(or_, known) if origin in {Union, UnionType} else origin[known]


def _names_self(kind: Any) -> bool:
    return kind is Self or any(_names_self(each) for each in get_args(kind))


def _enclosed(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what *function* knows of the functions around it."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(names, cells, strict=False) if _is_filled(cell)}


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True


def value_type(function: Callable[..., Any], owner: type | None = None) -> Any:
    """Return the type of a mapping result's values, `Any` if its annotation does not tell.

    Raises:
        ConfigurationError: the annotation is of no mapping.
    """
    kind = result_type(function, owner)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if kind is not Any and not (isinstance(origin, type) and hasattr(origin, "keys")):
        raise ConfigurationError(
            f"the result is annotated {kind!r}; return a dict from each id to its value, such as dict[int, Product]"
        )
    return arguments[1] if len(arguments) == 2 else Any  # noqa: PLR2004 - of keys and of values
