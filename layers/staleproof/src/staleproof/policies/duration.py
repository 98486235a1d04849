"""Durations as people write them: `"10m"`, `"1h30m"`, `"250ms"`, a number of seconds, or a `timedelta`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeAlias

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import timedelta

Duration: TypeAlias = "float | str | timedelta"
"""Seconds, a text such as `"10m"`, or a `timedelta`: wherever a duration is taken, all three are."""

LONGEST = 100 * 365.25 * 86_400.0
"""A century, in seconds: servers add a time to live to the time of day in 64 bits, and refuse what overflows."""

MOST_AT_ONCE = 65_000
"""ElastiCache lets so many clients connect to a node: `maxclients`."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_TERM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def seconds(value: Duration, field: str) -> float:
    """Return *value* in seconds.

    Raises:
        ConfigurationError: it is negative, longer than `LONGEST`, or unreadable; *field* names it in the message.
    """
    number: object = _parse(value) if isinstance(value, str) else value
    # A timedelta's; a cold start would pay for importing it.
    in_seconds = getattr(number, "total_seconds", None)
    if in_seconds is not None:
        number = in_seconds()
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        raise ConfigurationError(
            f"{field}={value!r} is no duration; write seconds, or '250ms', '10m', '1h30m', '2d'"
        )
    if number > LONGEST:
        raise ConfigurationError(
            f"{field}={value!r} is more than 100 years; leave it out (or write None) where it is to have no end"
        )
    return float(number)


def waited(value: Duration, field: str, least: float, most: float) -> float:
    """Return *value*, for which somebody may wait, in seconds.

    Raises:
        ConfigurationError: it is no duration from *least* to *most* seconds; *field* names it in the message.
    """
    try:
        given = seconds(value, field)
    except ConfigurationError:
        given = -1.0
    if not least <= given <= most:
        raise ConfigurationError(
            f"{field}={value!r}: use {least} to {most} seconds, or a duration such as '1s'"
        )
    return given


def at_once(value: object, field: str) -> int:
    """Return *value*, how many of something there may be at once.

    Raises:
        ConfigurationError: it is no whole number from 1 to `MOST_AT_ONCE`; *field* names it in the message.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_ONCE:
        raise ConfigurationError(f"{field}={value!r}: use a whole number from 1 to {MOST_AT_ONCE}")
    return value


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
