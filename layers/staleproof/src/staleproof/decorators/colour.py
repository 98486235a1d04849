"""Blocking or awaited: which functions a cache's face takes, and what messages call them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def name_of(function: Any) -> str:
    """Return how messages call *function*."""
    return str(getattr(function, "__qualname__", function))


def awaits(function: Callable[..., Any]) -> bool:
    """Say whether *function*, or what it wraps, is a coroutine function, or an object that is called like one."""
    plain = inspect.unwrap(function)
    called = getattr(type(plain), "__call__", None)  # noqa: B004 - not whether, but what
    return any(map(inspect.iscoroutinefunction, (function, plain, called)))


def check_colour(function: Callable[..., Any], *, awaited: bool) -> None:
    """Raise `ConfigurationError` unless *function* is of the kind that the cache's face takes."""
    plain = inspect.unwrap(function)
    if isinstance(plain, type):
        raise ConfigurationError(
            f"{name_of(function)} is a class; decorate a function that makes its objects, and say what it returns"
        )
    if not callable(plain):
        raise ConfigurationError(f"{name_of(function)} is no function; put the decorator on one")
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise ConfigurationError(
            f"{name_of(function)} is a generator function; return a list instead of yielding"
        )
    if awaits(function) and not awaited:
        raise ConfigurationError(
            f"{name_of(function)} is a coroutine function; decorate it with an AsyncCache"
        )
    if awaited and not awaits(function):
        raise ConfigurationError(f"{name_of(function)} is no coroutine function; decorate it with a Cache")
