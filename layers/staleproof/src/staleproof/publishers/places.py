"""`Places`: how many tasks of an event loop may do something at once; the others wait for a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Semaphore


class Places:
    """A semaphore for whichever loop runs: one belongs to its loop, and a process may run several in turn.

    Args:
        most: how many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: tuple[AbstractEventLoop, Semaphore] | None = None

    def get(self) -> Semaphore:
        """Return the semaphore of the running loop."""
        import asyncio  # noqa: PLC0415 - blocking code does not load it

        loop = asyncio.get_running_loop()
        if self._held is None or self._held[0] is not loop:
            self._held = loop, asyncio.Semaphore(self._most)
        return self._held[1]
