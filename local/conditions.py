"""Waiting for something to be true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Truth = TypeVar("Truth")


def wait_until(
    condition: Callable[[], Truth], what: str, *, timeout: float = 30.0, every: float = 0.005
) -> Truth:
    """Call *condition* every few milliseconds until it returns something true, and return that.

    Args:
        condition: asked again and again; what it raises passes through.
        what: names the condition in the error.
        timeout: seconds before giving up.
        every: seconds between two questions.

    Raises:
        TimeoutError: the condition did not come true in time.
    """
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
    return answer
