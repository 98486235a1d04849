"""The fields of a policy: what may stand in each, checked by name.

A check takes a value and the field's name, and returns the value as it is kept, or raises `ConfigurationError`
that says what to write instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

FINEST = 0.001


def wait(value: Any, field: str) -> float:
    """Take a duration that may be nothing."""
    return seconds(value, field)


def life(value: Any, field: str) -> float:
    """Take a duration of a millisecond, the server's finest, or more."""
    given = seconds(value, field)
    if given < FINEST:
        raise ConfigurationError(
            f"{field}={value!r} is under a millisecond; nothing could be kept so short, nor waited for"
        )
    return given


def share(value: Any, field: str) -> float:
    """Take a number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigurationError(
            f"{field}={value!r} is no share; write a number from 0 to below 1, such as 0.1"
        )
    return float(value)


def positive(value: Any, field: str) -> float:
    """Take a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{field}={value!r} must be a number above 0, such as 1.0")
    return float(value)


def whole(value: Any, field: str) -> int:
    """Take a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{field}={value!r} must be a whole number of 1 or more")
    return value


def switch(value: Any, field: str) -> bool:
    """Take True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{field}={value!r} must be True or False")
    return value


def function(value: Any, field: str) -> Any:
    """Take something that can be called."""
    if not callable(value):
        raise ConfigurationError(f"{field}={value!r} cannot be called; pass a function")
    return value


def choice(*allowed: str) -> Callable[[Any, str], Any]:
    """Take one of *allowed*."""

    def check(value: Any, field: str) -> Any:
        if value not in allowed:
            raise ConfigurationError(f"{field}={value!r} is none of {', '.join(map(repr, allowed))}")
        return value

    return check


def optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Take what *check* takes, or None."""
    return lambda value, field: None if value is None else check(value, field)
