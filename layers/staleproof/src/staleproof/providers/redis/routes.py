"""`Routes`: which of several places that give the same answers to ask, by how long they took of late.

Theory of operation: one place is *preferred* and asked. Now and then another is asked instead, one after the other, to
learn how far away it is: often enough to notice a change within a minute, seldom enough to cost nothing. The preference
changes only when another is clearly faster, several times in a row: two places in the same zone would otherwise take
turns with every hiccup, and each would keep the other's connections cold. A place that does not answer is left out for
some seconds, longer each time it is found dead again.

How long an answer took is smoothed; a place that nobody has asked yet counts as the best, so that each is tried once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staleproof.clock import Clock

SMOOTHING = 0.2
"""How much the newest answer counts."""

CLEARLY = 0.75
"""The part of the preferred place's time that another must take at most to be clearly faster."""

IN_A_ROW = 3
"""How often it must be so."""

EXPLORE_SECONDS = 5.0
"""Seconds between two questions to places that are not preferred."""

FIRST_REST, LONGEST_REST = 2.0, 60.0
"""Seconds for which a place that did not answer is left out."""


class Place:
    """What is known of one place."""

    __slots__ = ("failures", "faster", "rests_until", "took")

    def __init__(self) -> None:
        self.took: float | None = None
        self.faster = 0
        self.failures = 0
        self.rests_until = float("-inf")


class Routes:
    """Chooses among *count* places.

    Not locked: two threads that choose at once may both explore, and a count may be lost; neither matters.
    """

    def __init__(self, count: int, clock: Clock) -> None:
        self._places = [Place() for _ in range(count)]
        self._clock = clock
        self._explored = clock.monotonic()
        self._candidate: int | None = None
        self._turn = 0
        self.preferred = 0
        """Which place is asked as a rule."""

    def choose(self) -> int:
        """Return which place to ask next."""
        now = self._clock.monotonic()
        awake = [at for at, place in enumerate(self._places) if place.rests_until <= now]
        if not awake:
            return min(range(len(self._places)), key=lambda at: self._places[at].rests_until)
        unknown = [at for at in awake if self._places[at].took is None]
        if unknown:
            return unknown[0]
        if self.preferred not in awake:
            self._prefer(min(awake, key=self._took))
        if self._candidate is not None and self._candidate in awake:
            return self._candidate
        return self._explore(awake, now)

    def _explore(self, awake: list[int], now: float) -> int:
        others = [at for at in awake if at != self.preferred]
        if not others or now - self._explored < EXPLORE_SECONDS:
            return self.preferred
        self._explored = now
        self._turn += 1
        return others[self._turn % len(others)]

    def answered(self, at: int, seconds: float) -> None:
        """Take notice that place *at* answered within *seconds*."""
        place = self._places[at]
        place.failures, place.rests_until = 0, float("-inf")
        place.took = seconds if place.took is None else place.took + SMOOTHING * (seconds - place.took)
        if at == self.preferred:
            return
        clearly = self._took(at) <= CLEARLY * self._took(self.preferred)
        place.faster = place.faster + 1 if clearly else 0
        self._candidate = at if clearly else None  # ask it again at once
        if place.faster >= IN_A_ROW:
            self._prefer(at)

    def failed(self, at: int) -> None:
        """Take notice that place *at* did not answer."""
        place = self._places[at]
        place.failures += 1
        rest = min(FIRST_REST * 2 ** (place.failures - 1), LONGEST_REST)
        place.rests_until = self._clock.monotonic() + rest
        place.faster, self._candidate = 0, None

    def _took(self, at: int) -> float:
        took = self._places[at].took
        return float("inf") if took is None else took

    def _prefer(self, at: int) -> None:
        self.preferred, self._candidate = at, None
        for place in self._places:
            place.faster = 0
