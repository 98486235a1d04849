"""Figures that publishers are given, checked by name."""

from __future__ import annotations

from typing import Any

from staleproof.errors import ConfigurationError


def whole(value: Any, field: str, least: int, most: int) -> int:
    """Take a whole number from *least* to *most*.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{field}={value!r:.80} must be a whole number from {least} to {most}")
    return value


def seconds(value: Any, field: str, most: float) -> float:
    """Take a number of seconds above 0, at most *most*.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ConfigurationError(
            f"{field}={value!r:.80} must be a number of seconds above 0, up to {most:.0f}"
        )
    return value
