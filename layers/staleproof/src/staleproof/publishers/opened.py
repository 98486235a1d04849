"""`Opened` and `OpenedAsync`: a client that is made when it is first needed, and again after it was closed."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager


class Opened:
    """One client for all threads.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = Lock()
        self._client: Any = None

    def get(self) -> Any:
        """Return the client."""
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def take(self) -> Any:
        """Return the client, if there is one, and forget it: it is the caller's to close."""
        with self._lock:
            client, self._client = self._client, None
        return client

    def close(self) -> None:
        """Close it, if there is one."""
        client = self.take()
        if client is not None:
            client.close()


class OpenedAsync:
    """One client for all tasks of an event loop.

    A client belongs to the loop in which it was made. A process that runs one loop after the other, as a function does
    with `asyncio.run`, gets a new client in each; the former one went with its loop, and is only let go of.

    Args:
        make: returns what gives the client when it is entered.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._make = make
        self._loop: AbstractEventLoop | None = None
        self._opening: Any = None
        self._context: AbstractAsyncContextManager[Any] | None = None

    async def get(self) -> Any:
        """Return the client of the running loop."""
        import asyncio  # noqa: PLC0415 - blocking code does not load it

        loop = asyncio.get_running_loop()
        if self._opening is None or self._loop is not loop:
            self._loop, self._context = loop, self._make()
            self._opening = loop.create_task(_entered(self._context))
        try:
            return await asyncio.shield(self._opening)
        except BaseException:
            if self._opening is not None and self._opening.done():
                self._opening = None
            raise

    async def close(self) -> None:
        """Close it, if it belongs to the running loop."""
        import asyncio  # noqa: PLC0415

        opening, context, loop = self._opening, self._context, self._loop
        self._opening = self._context = self._loop = None
        if opening is None or context is None or loop is not asyncio.get_running_loop():
            return
        await opening
        await context.__aexit__(None, None, None)


async def _entered(context: AbstractAsyncContextManager[Any]) -> Any:
    return await context.__aenter__()
