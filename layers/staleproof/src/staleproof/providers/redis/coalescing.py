"""Many tasks that read at once share one write, and one connection.

Theory of operation: a task that asks while nobody else does sends at once, on a connection of its own. One that asks
meanwhile joins a batch; it is sent when the event loop has let everybody else speak who is ready to, so after the last
of its members has asked. A batch is one exchange: its replies come together, so it is bounded, and large values of one
reader hold up the others no longer than so many do.

A reader that is cancelled leaves its batch to the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from staleproof.providers.redis.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST = 64
"""Readers that share one write at most."""


class Batch:
    """What will be sent together.

    Args:
        loop: where those who ask run.
    """

    __slots__ = ("exchanges", "loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.exchanges: list[Exchange] = []
        self.waiting: list[asyncio.Future[list[Any]]] = []

    def join(self, exchange: Exchange) -> asyncio.Future[list[Any]]:
        """Add *exchange*; its replies will be the future's."""
        future = self.loop.create_future()
        self.exchanges.append(exchange)
        self.waiting.append(future)
        return future

    def whole(self) -> Exchange:
        """Return all of it as one exchange."""
        packed = b"".join([exchange.packed for exchange in self.exchanges])
        return Exchange(packed, sum([exchange.replies for exchange in self.exchanges]))

    def hand_out(self, replies: list[Any]) -> None:
        """Give everybody their own."""
        at = 0
        for exchange, future in zip(self.exchanges, self.waiting, strict=True):
            if not future.done():
                future.set_result(replies[at : at + exchange.replies])
            at += exchange.replies

    def fail(self, error: BaseException) -> None:
        """Tell everybody; each an error of their own, for it collects the way it is raised."""
        for future in self.waiting:
            if future.done():
                continue
            if isinstance(error, Exception):
                own = type(error)(*error.args)
                own.__cause__ = error.__cause__
                future.set_exception(own)
            else:
                future.cancel()


class Coalescer:
    """Lets exchanges that are asked for at once go together.

    Args:
        exchange: sends one exchange and returns its replies.
    """

    def __init__(self, exchange: Callable[[Exchange], Awaitable[list[Any]]]) -> None:
        self._exchange = exchange
        self.shared = 0
        """How many exchanges went together with others."""
        self._begin(None)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._alone = False
        self._batch: Batch | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def exchange(self, exchange: Exchange) -> list[Any]:
        """Return the replies to *exchange*; raises what sending raises."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin(loop)  # what another loop left behind is nobody's
        if not self._alone and not self._under_way and self._batch is None:
            self._alone = True
            try:
                return await self._exchange(exchange)
            finally:
                self._alone = False
        return await self._joined(loop).join(exchange)

    def _joined(self, loop: asyncio.AbstractEventLoop) -> Batch:
        batch = self._batch
        if batch is None or len(batch.waiting) >= MOST:
            batch = self._batch = Batch(loop)
            loop.call_soon(self._send, batch)
        return batch

    def _send(self, batch: Batch) -> None:
        if self._batch is batch:
            self._batch = None
        task = batch.loop.create_task(self._carry(batch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _carry(self, batch: Batch) -> None:
        if len(batch.waiting) > 1:
            self.shared += len(batch.waiting)
        try:
            batch.hand_out(await self._exchange(batch.whole()))
        except BaseException as error:  # noqa: BLE001 - those who wait are told; nobody awaits this task
            batch.fail(error)
