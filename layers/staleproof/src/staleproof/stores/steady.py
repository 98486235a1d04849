"""Steady: one reading of time that never goes back and misses no pause.

The monotonic clock may stand still while a machine is paused, the wall clock may be set back. This reading moves, from
each look to the next, by whichever of the two moved more; so what has a deadline is over too early rather than too late
(see decision 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staleproof.clock import Clock


class Steady:
    """Seconds since it was made, by the clock that says more at every step. Its owner's lock guards it."""

    __slots__ = ("_monotonic", "_passed", "_read_monotonic", "_read_wall", "_wall")

    def __init__(self, clock: Clock) -> None:
        self._read_monotonic = clock.monotonic
        self._read_wall = clock.wall
        self._monotonic, self._wall = self._read_monotonic(), self._read_wall()
        self._passed = 0.0

    def read(self) -> float:
        """Return the seconds that have passed."""
        monotonic, wall = self._read_monotonic(), self._read_wall()
        self._passed += max(monotonic - self._monotonic, wall - self._wall, 0.0)
        self._monotonic, self._wall = monotonic, wall
        return self._passed
