"""Durations as people write them: `"10m"`, `"1h30m"`, `"250ms"`, or a number of seconds."""

from __future__ import annotations

import math
import re

from staleproof.errors import ConfigurationError

LONGEST = 100 * 365.25 * 86_400.0
"""A century, in seconds: servers add a time to live to the time of day in 64 bits, and refuse what overflows."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_TERM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def seconds(value: float | str, field: str) -> float:
    """Return *value* in seconds.

    Raises:
        ConfigurationError: it is negative, longer than `LONGEST`, or unreadable; *field* names it in the message.
    """
    number: object = _parse(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        raise ConfigurationError(
            f"{field}={value!r} is no duration; write seconds, or '250ms', '10m', '1h30m', '2d'"
        )
    if number > LONGEST:
        raise ConfigurationError(
            f"{field}={value!r} is more than 100 years; leave it out (or write None) where it is to have no end"
        )
    return float(number)


def _parse(text: str) -> float | None:
    rest = text.strip()
    total = 0.0
    while rest:
        term = _TERM.match(rest)
        if term is None:
            return None
        total += float(term.group(1)) * _UNITS[term.group(2)]
        rest = rest[term.end() :]
    return total if text.strip() else None
