"""The circuit breaker: after some failures in a row the server is left alone for a while.

Theory of operation: closed, it only counts failures in a row. At *failures* of them it opens: questions are refused at
once, without a time-out each. After *cooldown* one question goes through as a probe, and the next only another
*cooldown* later, until one succeeds. Threads may race here; the worst is a probe more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CircuitOpenError, ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from staleproof.clock import Clock

NEVER_OPENS = 0


class Breaker:
    """When to stop asking a server that does not answer.

    Args:
        failures: how many in a row open it; 0 never does.
        cooldown: how long it stays open before a probe, seconds or `"1s"`.
        clock: the source of time.
    """

    __slots__ = ("_clock", "_cooldown", "_failures", "_next_probe", "in_a_row", "opened")

    def __init__(
        self, failures: int = 3, cooldown: float | str = "1s", *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        if type(failures) is not int or failures < 0:
            raise ConfigurationError(f"breaker failures={failures!r} must be a whole number; 0 never opens")
        self._failures = failures
        self._cooldown = seconds(cooldown, "breaker cooldown")
        self._clock = clock
        self._next_probe = 0.0
        self.in_a_row = 0
        self.opened = 0
        """How often it opened since it was made."""

    @property
    def is_open(self) -> bool:
        """Whether questions are refused, but for probes."""
        return 0 < self._failures <= self.in_a_row

    def check(self) -> None:
        """Let a question through.

        Raises:
            CircuitOpenError: it is open, and no probe is due.
        """
        if not self.is_open:
            return
        now = self._clock.monotonic()
        if now < self._next_probe:
            raise CircuitOpenError(
                f"the cache server failed {self.in_a_row} times in a row and is left alone for another "
                f"{self._next_probe - now:.3f} s"
            )
        self._next_probe = now + self._cooldown

    def failed(self) -> None:
        """Note that a question got no answer."""
        self.in_a_row += 1
        if self._failures and self.in_a_row == self._failures:
            self.opened += 1
            self._next_probe = self._clock.monotonic() + self._cooldown

    def succeeded(self) -> None:
        """Note an answer."""
        self.in_a_row = 0

    def adopt(self, failures: int, cooldown: float | str) -> None:
        """Take other limits from now on."""
        fresh = Breaker(failures, cooldown, clock=self._clock)
        self._failures, self._cooldown = fresh._failures, fresh._cooldown
