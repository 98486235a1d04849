"""Times to live as Memcached takes them: whole seconds, by a clock that ticks once a second.

What is stored with `T5` in the middle of a second goes when the clock has ticked five times, so after more than four
seconds and at most five. What must last is given a second more. A number above thirty days would be read as seconds
since 1970, and one above 31 bits as a time long past: the first is translated, the second is for ever.
"""

from __future__ import annotations

import time

MONTH = 30 * 24 * 3_600
LAST = 2**31 - 1
SLACK = 1.25
"""How much longer than needed a version is kept that is prolonged anyway, so that not every load has to."""


def seconds_for(milliseconds: int) -> int:
    """Return the seconds after which what must last *milliseconds* may go; 0 is for ever."""
    return -(-milliseconds // 1_000) + 1 if milliseconds else 0


def lasting(milliseconds: int) -> bytes:
    """Return the flag for what must last at least *milliseconds*, for ever if 0."""
    return flag(seconds_for(milliseconds))


def leased(milliseconds: int) -> bytes:
    """Return the flag for a lease of about *milliseconds*: too short is safe, so it is not given a second more."""
    return flag(max(2, -(-milliseconds // 1_000)))


def remaining(seconds: int) -> bytes:
    """Return the flag that keeps what has *seconds* left as the server says it: -1 is for ever."""
    return flag(0 if seconds < 0 else max(1, seconds))


def prolonging(left: int, milliseconds: int) -> bytes | None:
    """Return the flag that lets what has *left* seconds last *milliseconds*; None if it does already."""
    needed = seconds_for(milliseconds)
    if left < 0 or (needed and left >= needed):
        return None
    return flag(round(needed * SLACK) if needed > SHORT else needed)


SHORT = 10
"""Seconds below which a quarter more would be no help."""


def flag(seconds: int) -> bytes:
    """Return the flag for *seconds* from now."""
    if seconds > MONTH:
        seconds += int(time.time())
        if seconds > LAST:
            seconds = 0
    return b"T%d" % seconds
