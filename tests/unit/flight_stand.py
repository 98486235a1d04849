"""What the tests of flights share: a loader that stops where the test wants it to, and a count of who came aboard."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any

from local.conditions import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10.0
"""Seconds after which a test that waits for another thread gives up."""


class Gate:
    """A loader that, once entered, returns only when the test opens it; it counts its calls from 1.

    Args:
        answer: makes what the call of a number returns or raises; the number itself by default.
    """

    def __init__(self, answer: Callable[[int], Any] = lambda number: number) -> None:
        self._answer = answer
        self._numbers = count(1)
        self._opened = threading.Event()
        self._entered = threading.Semaphore(0)
        self.calls = 0

    def __call__(self) -> Any:
        """Load."""
        self.calls = number = next(self._numbers)
        self._entered.release()
        if not self._opened.wait(LIMIT):
            raise TimeoutError("nobody opened the gate")
        return self._answer(number)

    def wait_entered(self) -> None:
        """Wait until one more call is inside."""
        assert self._entered.acquire(timeout=LIMIT)

    def open(self) -> None:
        """Let all calls return, those inside and those to come."""
        self._opened.set()


class Boardings:
    """Counts who came aboard a flight of *cache* that somebody else leads."""

    def __init__(self, cache: Any) -> None:
        self.joined = 0
        flights = cache.driver.flights
        board = flights.board

        def counted(*args: Any, **options: Any) -> Any:
            aboard = board(*args, **options)
            self.joined += not aboard.leads
            return aboard

        flights.board = counted

    def wait_for(self, joined: int) -> None:
        """Wait until so many have joined."""
        wait_until(lambda: self.joined >= joined, f"{joined} aboard", timeout=LIMIT)


class Caller:
    """A thread that calls once, and keeps what it got."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self._call = call
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.value = self._call()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.value
