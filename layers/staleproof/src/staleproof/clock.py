"""Time, as one injectable thing.

Two clocks are read because neither is enough alone: the monotonic one survives a change of
the wall clock, the wall clock survives whatever stops the monotonic one (a paused virtual machine,
a restored snapshot). `elapsed` takes the larger of the two, so a doubt makes a copy older, never
younger.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Instant(Record, frozen=True, order=True):
    """One reading of both clocks, in seconds."""

    monotonic: float
    wall: float

    def elapsed(self, since: Instant) -> float:
        """Seconds between *since* and this reading, by the clock that says more."""
        return max(self.monotonic - since.monotonic, self.wall - since.wall)


class Clock(Protocol):
    """A source of instants."""

    def monotonic(self) -> float:
        """Read the clock that is never set, in seconds from some start."""
        ...

    def wall(self) -> float:
        """Read the clock that people set, in seconds UTC since 1970."""
        ...

    def now(self) -> Instant:
        """Read both clocks."""
        ...


class SystemClock:
    """The machine's own clocks. The readings are attributes, so that a hot path may bind and call them directly."""

    def __init__(self) -> None:
        self.monotonic: Callable[[], float] = time.monotonic
        self.wall: Callable[[], float] = time.time

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(time.monotonic(), time.time())


class ManualClock:
    """A clock that moves only when told, for tests."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._now = Instant(1_000.0, wall)
        self.monotonic: Callable[[], float] = lambda: self._now.monotonic
        self.wall: Callable[[], float] = lambda: self._now.wall

    def now(self) -> Instant:
        """Return the instant last set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now = Instant(self._now.monotonic + seconds, self._now.wall + seconds)

    def freeze(self, seconds: float) -> None:
        """Move the wall clock alone, as a paused machine does."""
        self._now = Instant(self._now.monotonic, self._now.wall + seconds)


SYSTEM_CLOCK: Clock = SystemClock()
