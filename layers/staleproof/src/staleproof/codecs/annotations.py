"""Annotations as codecs need them: without wrappers, with names resolved and type variables filled in."""

from __future__ import annotations

import inspect
import sys
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    LiteralString,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable


def unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what *kind* names under `NewType`, `Annotated`, `Final` and aliases, with msgspec's constraints on it."""
    constraints: list[Any] = []
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            constraints += [each for each in kind.__metadata__ if isinstance(each, msgspec.Meta)]
            kind = kind.__origin__
        elif origin is Final:
            kind = get_args(kind)[0]
        elif hasattr(origin, "__value__"):  # a generic `type` statement
            kind = origin.__value__[get_args(kind)]
        elif hasattr(kind, "__value__") and not isinstance(kind, type):
            kind = kind.__value__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif isinstance(kind, TypeVar):
            kind = _of_variable(kind)
        else:
            return _PLAIN.get(kind, kind) if _hashable(kind) else kind, tuple(constraints)


_PLAIN: dict[Any, Any] = {None: type(None), object: Any, LiteralString: str}


def _hashable(kind: Any) -> bool:
    try:
        hash(kind)
    except TypeError:
        return False
    return True


def _of_variable(variable: Any) -> Any:
    if variable.__constraints__:
        return union_of(variable.__constraints__)
    return Any if variable.__bound__ is None else variable.__bound__


def union_of(kinds: Iterable[Any]) -> Any:
    """Return the union of *kinds*."""
    return Union[tuple(kinds)]  # noqa: UP007 - of as many as there are


def filled(generic: Any, *kinds: Any) -> Any:
    """Return *generic* of *kinds*: `list[int]` of `list` and `int`, in a form that type checkers leave alone."""
    return generic[kinds if len(kinds) != 1 else kinds[0]]


def is_union(kind: Any) -> bool:
    """Say whether *kind* is a union in either spelling."""
    return get_origin(kind) in {Union, UnionType}


def members(union: Any) -> tuple[Any, ...]:
    """Return the types of a union, those of unions inside it too."""
    flat: list[Any] = []
    for each in get_args(union):
        kind, constraints = unwrapped(each)
        if is_union(kind):
            flat += members(kind)
        else:
            flat.append(Annotated[(kind, *constraints)] if constraints else kind)
    return tuple(dict.fromkeys(flat))


def class_of(kind: Any) -> Any:
    """Return the class of *kind*, which may be one with its parameters filled in."""
    return get_origin(kind) or kind


def hints(kind: Any) -> dict[str, Any]:
    """Return the annotations of the class *kind* and of its bases, resolved where each was written.

    Raises:
        ConfigurationError: one of them names something that does not exist at run time.
    """
    found: dict[str, Any] = {}
    variables = _parameters(kind)
    for base in reversed(class_of(kind).__mro__):
        mapping = variables.get(base, {})
        found |= {name: substituted(hint, mapping) for name, hint in _own_hints(base).items()}
    return found


def _own_hints(cls: type) -> dict[str, Any]:
    """Resolve the annotations in the body of *cls*."""
    written = dict(inspect.get_annotations(cls))
    if not written:
        return {}
    stand_in = type(cls.__name__, (), {"__annotations__": written, "__module__": cls.__module__})
    scope = {**getattr(sys.modules.get(cls.__module__), "__dict__", {}), cls.__name__: cls}
    variables = {each.__name__: each for each in getattr(cls, "__type_params__", ())}
    try:
        return get_type_hints(stand_in, globalns=scope, localns=variables, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigurationError(
            f"an annotation of {cls!r} cannot be resolved: {error}; import the type where the class is defined, "
            "outside of TYPE_CHECKING"
        ) from error


def _parameters(kind: Any) -> dict[Any, dict[Any, Any]]:
    """Return what the type variables of each generic base of *kind* stand for: `T` may be another in each."""
    found: dict[Any, dict[Any, Any]] = {}

    def visit(alias: Any, scope: dict[Any, Any]) -> None:
        cls = class_of(alias)
        if cls is Generic or not hasattr(cls, "__mro__"):
            return
        given = (substituted(each, scope) for each in get_args(alias))
        found.setdefault(cls, dict(zip(getattr(cls, "__parameters__", ()), given, strict=False)))
        for base in getattr(cls, "__orig_bases__", cls.__bases__):
            visit(base, found[cls])

    visit(kind, {})
    return found


def substituted(hint: Any, mapping: dict[Any, Any]) -> Any:
    """Return *hint* with the type variables of *mapping* replaced."""
    if isinstance(hint, TypeVar):
        return mapping.get(hint, hint)
    wanted = getattr(hint, "__parameters__", ())
    if not mapping or not wanted or isinstance(hint, type):
        return hint
    return hint[tuple(mapping.get(each, each) for each in wanted)]
