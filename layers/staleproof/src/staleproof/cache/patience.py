"""Patience: waiting for somebody else's load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.cache.commands import Pause

if TYPE_CHECKING:
    from staleproof.clock import Clock

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1


class Patience:
    """How long to wait for another's lease, and how long between two questions.

    It is over by the clock, or by the pauses alone: they pass in any case, also while a test holds the clock still.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._deadline = clock.monotonic() + seconds
        self._left = seconds
        self._next = FIRST_PAUSE

    def is_over(self) -> bool:
        """Say whether the policy's patience is used up."""
        return self._left <= 0 or self._clock.monotonic() >= self._deadline

    def pause(self) -> Pause:
        """Return the next pause: longer each time, and spread, so that a crowd does not ask in step."""
        from random import random  # noqa: PLC0415 - where it is used

        seconds = self._next * (0.5 + random())
        self._next = min(2 * self._next, LONGEST_PAUSE)
        self._left -= seconds
        return Pause(seconds)
