"""Whole numbers within bounds, as callers give them."""

from __future__ import annotations

from staleproof.errors import ConfigurationError


def whole(field: str, value: object, least: int, most: int) -> int:
    """Return *value*.

    Raises:
        ConfigurationError: it is no whole number from *least* to *most*; *field* names it in the message.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{field}={value!r} must be a whole number from {least} to {most}")
    return value
