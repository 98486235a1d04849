"""What callers pass to operations, checked: numbers, and slices as Python has them."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, TypeVar

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

T = TypeVar("T")

LARGEST = 2**63 - 1


def whole(field: str, value: Any, low: int = -LARGEST, high: int = LARGEST) -> int:
    """Return *value*, a whole number from *low* to *high*, or raise `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{field}={value!r} must be a whole number from {low} to {high}")
    return value


def real(field: str, value: Any, low: float = -inf, high: float = inf) -> float:
    """Return *value*, a number from *low* to *high* and not NaN, or raise `ConfigurationError`."""
    number = nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = nan
    if not low <= number <= high:
        raise ConfigurationError(f"{field}={value!r} must be a number from {low} to {high}")
    return number


def finite(field: str, value: Any) -> float:
    """Return *value*, a finite number, or raise `ConfigurationError`."""
    number = real(field, value)
    if number in {inf, -inf}:
        raise ConfigurationError(f"{field}={value!r} must be a finite number")
    return number


def several(field: str, given: Iterable[T]) -> list[T]:
    """Return *given* as a list, or raise `ConfigurationError` for what is one element, whose parts nobody means."""
    if isinstance(given, str | bytes):
        raise ConfigurationError(f"{field}={given!r:.80} is one; pass a list: [{given!r:.80}]")
    return list(given)


def inclusive(start: Any, stop: Any) -> tuple[int, int] | None:
    """Return the slice `[start:stop]` as servers take ranges, whose last place is within; None if nothing is in it."""
    first = whole("start", start)
    if stop is None:
        return first, -1
    last = whole("stop", stop)
    return None if last == 0 else (first, last - 1)
