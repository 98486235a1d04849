"""The circuit breaker: after some failures in a row the server is left alone for a while.

Theory of operation: closed, it only counts failures in a row. At *failures* of them it opens: questions are refused at
once, without a time-out each. After *cooldown* one question goes through as a probe, and the next only another
*cooldown* later, until one succeeds. Threads may race here; the worst is a probe more. Whether it opened or closed is
known by one of them: no call stands between reading and writing `in_a_row`. That one tells the listener.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CircuitOpenError, ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.clock import Clock
    from staleproof.policies.duration import Duration

NEVER_OPENS = 0


class Breaker:
    """When to stop asking a server that does not answer.

    Args:
        failures: how many in a row open it; 0 never does.
        cooldown: how long it stays open before a probe, seconds or `"1s"`.
        clock: the source of time.

    Attributes:
        in_a_row: questions without an answer since the last answer.
        opened: how often it opened since it was made.
        listener: called with `opened=True` when it opened and `opened=False` when it closed, and with `figure=`, the
            failures in a row or the seconds that it was open; or None.
    """

    __slots__ = (
        "_clock",
        "_cooldown",
        "_failures",
        "_next_probe",
        "_opened_at",
        "in_a_row",
        "listener",
        "opened",
    )

    def __init__(self, failures: int = 3, cooldown: Duration = "1s", *, clock: Clock = SYSTEM_CLOCK) -> None:
        if type(failures) is not int or failures < 0:
            raise ConfigurationError(f"breaker failures={failures!r} must be a whole number; 0 never opens")
        self._failures = failures
        self._cooldown = seconds(cooldown, "breaker cooldown")
        self._clock = clock
        self._next_probe = self._opened_at = 0.0
        self.in_a_row = 0
        self.opened = 0
        self.listener: Callable[..., object] | None = None

    @property
    def is_open(self) -> bool:
        """Whether questions are refused, but for probes."""
        return 0 < self._failures <= self.in_a_row

    @property
    def probe_in(self) -> float:
        """Seconds until a question goes through; 0 if one does."""
        return max(0.0, self._next_probe - self._clock.monotonic()) if self.is_open else 0.0

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
        failures = self.in_a_row = self.in_a_row + 1
        if failures == self._failures:
            self._open(failures)

    def succeeded(self) -> None:
        """Note an answer."""
        failures, self.in_a_row = self.in_a_row, 0
        if 0 < self._failures <= failures:
            self._tell(opened=False, figure=self._clock.monotonic() - self._opened_at)

    def adopt(self, failures: int, cooldown: Duration) -> None:
        """Take other limits from now on."""
        fresh, was_open = Breaker(failures, cooldown, clock=self._clock), self.is_open
        self._failures, self._cooldown = fresh._failures, fresh._cooldown
        if self.is_open and not was_open:
            self._open(self.in_a_row)
        elif was_open and not self.is_open:
            self._tell(opened=False, figure=self._clock.monotonic() - self._opened_at)

    def _open(self, failures: int) -> None:
        self.opened += 1
        self._opened_at = self._clock.monotonic()
        self._next_probe = self._opened_at + self._cooldown
        self._tell(opened=True, figure=failures)

    def _tell(self, *, opened: bool, figure: float) -> None:
        if self.listener is not None:
            self.listener(opened=opened, figure=figure)
