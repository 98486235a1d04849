"""`Backoff`: how often something is tried, and how long is waited in between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from staleproof.publishers.figures import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS, FIRST, LONGEST = 5, 0.1, 5.0
MOST_ATTEMPTS = 100
LONGEST_PAUSE = 3_600.0


class Pauses(NamedTuple):
    """Growing pauses, half of each by chance, so that clients that failed together do not come back together.

    Attributes:
        attempts: how often something is tried in all.
        first: seconds of the first pause at most; each further one is twice as long.
        longest: seconds that no pause exceeds.
        chance: gives numbers from 0 to 1.
    """

    attempts: int = ATTEMPTS
    first: float = FIRST
    longest: float = LONGEST
    chance: Callable[[], float] = random.random

    def each(self) -> list[float]:
        """Return the seconds before the second and each further attempt."""
        return [self._jittered(number) for number in range(self.attempts - 1)]

    def _jittered(self, number: int) -> float:
        return min(self.longest, self.first * 2.0**number) * (0.5 + self.chance() / 2)


def pauses(attempts: int = ATTEMPTS, first: float = FIRST, longest: float = LONGEST) -> Pauses:
    """Return checked pauses; see `Pauses`.

    Raises:
        ConfigurationError: a figure is out of range.
    """
    return Pauses(
        whole(attempts, "attempts", 1, MOST_ATTEMPTS),
        seconds(first, "first", LONGEST_PAUSE),
        seconds(longest, "longest", LONGEST_PAUSE),
    )
