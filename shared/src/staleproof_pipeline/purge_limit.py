"""How much one process invalidates at most: so many tags and keys a second, so many namespaces a minute.

Theory of operation. A token bucket that may go into debt: what is larger than the bucket is admitted as a whole when it
is full, and what comes next waits until the debt is paid. So the rate holds over time, nothing is too large to be ever
admitted, and what waits is told how long. What is not admitted is not dropped: it is stored with a
deferrer, or its record fails and stays in its source (`aftermath`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from staleproof.clock import Clock
    from staleproof.events import Invalidation

ROUNDING = 1e-6
"""Tokens that floating point may lose."""

BURST_SECONDS = 1.0
"""So many seconds of a quiet rate may be spent at once."""


class TokenBucket:
    """One rate.

    Args:
        rate: tokens a second.
        burst: tokens at most; at least one.
        clock: the source of time.
    """

    def __init__(self, rate: float, burst: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._tokens = self._burst
        self._at = clock.monotonic()
        self._lock = threading.Lock()

    def take(self, amount: float) -> float:
        """Take *amount* and return 0; or take nothing, and return in how many seconds it can be taken."""
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            lacking = min(amount, self._burst) - self._tokens
            if lacking > ROUNDING:
                return max(0.001, lacking / self._rate)
            self._tokens -= amount
            return 0.0


class PurgeLimit:
    """The limits of a process.

    Args:
        purge_rate: tags and keys a second; 0 for any number.
        clear_rate: namespaces a minute; 0 for any number.
        clock: the source of time.
    """

    def __init__(
        self, purge_rate: float = 0.0, clear_rate: float = 0.0, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._purges = (
            TokenBucket(purge_rate, purge_rate * BURST_SECONDS, clock=clock) if purge_rate else None
        )
        self._clears = TokenBucket(clear_rate / 60, 1.0, clock=clock) if clear_rate else None

    def __bool__(self) -> bool:
        return self._purges is not None or self._clears is not None

    def wait(self, invalidation: Invalidation) -> float:
        """Admit *invalidation* and return 0, or return in how many seconds it may be asked about again."""
        if self._clears is not None and invalidation.clear and (seconds := self._clears.take(1)):
            return seconds
        targets = len(invalidation.tags) + len(invalidation.keys)
        return self._purges.take(targets) if self._purges is not None and targets else 0.0
