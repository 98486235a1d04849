"""`Naming`: how a handle's template, and the arguments of a function that it decorates, become a name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from staleproof.cache.call import MAX_TEXT
from staleproof.errors import ConfigurationError
from staleproof.keys import template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Naming:
    """A template of names.

    Args:
        source: such as `login:{user}`; without fields, a name.
        reserved: fields that it must not have, for the handle's methods have arguments of these names.

    Raises:
        ConfigurationError: it is no template, or has a reserved field.
    """

    def __init__(self, source: str, *reserved: str) -> None:
        self._template = template(source)
        self.source = source
        for name in reserved:
            if any(hole.head == name and not hole.ambient for hole in self._template.holes):
                raise ConfigurationError(
                    f"template {source!r}: a field cannot be called {name!r} here, for that is an argument; rename it"
                )

    def name(self, fields: Mapping[str, Any]) -> str:
        """Return the name that *fields* make.

        Raises:
            ConfigurationError: a field is missing, unknown or has no text, or the name is too long.
        """
        known = {hole.head for hole in self._template.holes if not hole.ambient}
        unknown = sorted(set(fields) - known)
        if unknown:
            fields_are = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(
                f"template {self.source!r} has no field {unknown[0]!r}; its fields are: {fields_are}"
            )
        return self._checked(self._template.render(fields))

    def _checked(self, name: str) -> str:
        if len(name) > MAX_TEXT:
            raise ConfigurationError(
                f"template {self.source!r} makes a name of {len(name)} characters; the limit is {MAX_TEXT}"
            )
        return name

    def of_calls(self, function: Callable[..., Any]) -> Callable[..., str]:
        """Return what makes names of the arguments of *function*.

        Raises:
            ConfigurationError: a field is no parameter of it.
        """
        signature = inspect.signature(function)
        self._template.check(signature.parameters)

        def name(*args: Any, **kwargs: Any) -> str:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return self._checked(self._template.render(bound.arguments))

        return name


def must_be_blocking(function: Callable[..., Any], what: str) -> None:
    """Raise `ConfigurationError` if *function* must be awaited."""
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{getattr(function, '__qualname__', function)} is a coroutine function; use the {what} of an AsyncCache"
        )


def must_be_awaited(function: Callable[..., Any], what: str) -> None:
    """Raise `ConfigurationError` unless *function* is a coroutine function."""
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{getattr(function, '__qualname__', function)} is no coroutine function; use the {what} of a Cache"
        )
