"""The generic cell rate algorithm: a rate limit in one number, the moment at which it is full again.

A limit of *capacity* that refills by one in *unit* microseconds: whoever takes pushes that moment further away, and is
refused if it would lie more than *capacity* units ahead. So within any time t at most capacity + t / unit are let
through, in whatever order and from however many processes they come. Source: ITU-T I.371, Annex A.
"""

from __future__ import annotations

from typing import NamedTuple


class Level(NamedTuple):
    """What came of it; all in microseconds.

    Attributes:
        allowed: whether it was taken.
        full: the moment at which the limit is full again.
        wait: after how long the cost can be taken; 0 if it was.
    """

    allowed: bool
    full: int
    wait: int


def take(full: int | None, now: int, unit: int, capacity: int, cost: int) -> Level:
    """Take *cost* units at the moment *now* from a limit that is *full* then, None for now.

    A moment too far ahead comes from a clock that was set back, or from a limit that was higher: it counts as empty.
    """
    room = unit * capacity
    full = min(max(now if full is None else full, now), now + room)
    wait = full + unit * cost - now - room
    if wait > 0:
        return Level(allowed=False, full=full, wait=wait)
    return Level(allowed=True, full=full + unit * cost, wait=0)
