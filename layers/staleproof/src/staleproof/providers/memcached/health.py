"""`Health`: a node that does not answer is left alone for a while, so that nobody waits for its time-outs.

Its keys are not given to other nodes: who can reach it would go on using it, and would not see what was invalidated
elsewhere. Membership is for discovery to say. So what lies on a dead node is loaded and not stored, and what must be
invalidated there is tried again, until the node is back, replaced or removed.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from staleproof.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from staleproof.clock import Clock

FAILURES = 2
"""Failures in a row after which a node rests."""
REST, LONGEST_REST = 0.5, 5.0
"""Seconds of the first rest, and of the longest: each is twice the one before."""

SILENT = 120.0
"""Seconds below the 350 after which AWS's load balancers and NAT gateways forget a connection, and tell nobody."""


def was_silent(since: float) -> bool:
    """Say whether a connection that lay idle *since*, by the wall clock, may have been forgotten on the way.

    The wall clock, for it goes on in a process that is frozen; if it was set back, nobody knows.
    """
    return not 0 <= time() - since <= SILENT


class Health:
    """Of one node. A race among threads costs one more question to a dead node."""

    __slots__ = ("_clock", "_failures", "_rest", "_until", "where")

    def __init__(self, where: str, clock: Clock) -> None:
        self.where = where
        self._clock = clock
        self.works()

    def works(self) -> None:
        """Note that the node answered."""
        self._failures = 0
        self._rest = REST
        self._until = 0.0

    def fails(self) -> None:
        """Note that it did not."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._until = self._clock.monotonic() + self._rest
            self._rest = min(2 * self._rest, LONGEST_REST)

    def check(self) -> None:
        """Let one caller through after a rest.

        Raises:
            ProviderUnavailableError: the node rests.
        """
        if not self._failures or not self._until:
            return
        now = self._clock.monotonic()
        if now < self._until:
            raise ProviderUnavailableError(
                f"memcached: {self.where} did not answer, and is left alone for {self._until - now:.1f} s; retry"
            )
        self._until = now + self._rest  # the others wait for what becomes of this one
