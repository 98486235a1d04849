"""Publishers to a stream on Redis or Valkey, one server or a cluster, for blocking code and for asyncio.

Records go in one pipeline a batch. A connection that breaks, or leads to a node that was demoted, is opened anew, and
what the server did not answer for is sent again: after a broken connection a record may be there twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from staleproof.publishers.backoff import Pauses
from staleproof.publishers.delivery import Failure, Verdict, delivery, run, run_async
from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher
from staleproof.publishers.opened import Opened, OpenedAsync
from staleproof.publishers.places import Places
from staleproof.publishers.stream_address import StreamAddress, connecting
from staleproof.publishers.stream_route import MAXLEN, StreamRoute, stale

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from staleproof.events import Message
    from staleproof.ports import Receipt

TIMEOUT = 5.0
AT_ONCE = 16
"""Pipelines, and so connections, of one event loop; more of them are slower."""


class RedisStreamsPublisher(BlockingPublisher):
    """Appends messages to a stream.

    Args:
        url: the server; it may hold `cluster=true`, and `iam=` or `secret=` as an address of a cache does.
        stream: the stream's key.
        maxlen: about how many records it keeps; 0 for all.
        timeout: seconds to wait for the server.
        pauses: how often, and after how long, what was refused for a passing reason is sent again.
        sleep: waits.

    Raises:
        ConfigurationError: the address cannot be read, or a figure is out of range.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        maxlen: int = MAXLEN,
        timeout: float = TIMEOUT,
        pauses: Pauses = Pauses(),  # noqa: B008 - immutable
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._address = StreamAddress.of(url)
        self._route = StreamRoute(stream, maxlen, self._address.where)
        self._timeout = timeout
        self._client = Opened(self._connect)
        self._pauses = pauses
        self._sleep = sleep

    def _connect(self) -> Any:
        make: Any = RedisCluster if self._address.clustered else Redis
        return connecting(make, self._address, self._timeout, Retry)

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return run(delivery(messages, self._route, self._pauses), self._append, self._sleep)

    def _append(self, records: list[Any]) -> list[Verdict] | Failure:
        try:
            client = self._client.get()
            pipeline = client.pipeline(transaction=False)
            for raw in records:
                pipeline.execute_command(*self._route.command(raw))
            replies = pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            return _met(self._route.failure(error), error, self._address)
        if stale(replies):
            self._client.close()
        return self._route.verdicts(replies)

    def close(self) -> None:
        """See `Publisher.close`."""
        self._client.close()


class AsyncRedisStreamsPublisher(AwaitingPublisher):
    """The same for asyncio.

    Args:
        url: see `RedisStreamsPublisher`, for this and the rest.
        stream: the stream's key.
        maxlen: about how many records it keeps.
        timeout: seconds to wait for the server.
        pauses: how often, and after how long.
        sleep: waits; `asyncio.sleep` by default.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        maxlen: int = MAXLEN,
        timeout: float = TIMEOUT,
        pauses: Pauses = Pauses(),  # noqa: B008
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        self._address = StreamAddress.of(url)
        self._route = StreamRoute(stream, maxlen, self._address.where)
        self._timeout = timeout
        self._client = OpenedAsync(self._connect)
        self._places = Places(AT_ONCE)
        self._pauses = pauses
        self._sleep = sleep

    def _connect(self) -> Any:
        make: Any = AsyncRedisCluster if self._address.clustered else AsyncRedis
        return connecting(make, self._address, self._timeout, AsyncRetry)

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        import asyncio  # noqa: PLC0415 - redis-py has loaded it; named here where it is used

        plan = delivery(messages, self._route, self._pauses)
        return await run_async(plan, self._append_in_turn, self._sleep or asyncio.sleep)

    async def _append_in_turn(self, records: list[Any]) -> list[Verdict] | Failure:
        async with self._places.get():
            return await self._append(records)

    async def _append(self, records: list[Any]) -> list[Verdict] | Failure:
        try:
            client = await self._client.get()
            pipeline = client.pipeline(transaction=False)
            for raw in records:
                pipeline.execute_command(*self._route.command(raw))
            replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            return _met(self._route.failure(error), error, self._address)
        if stale(replies):
            await self._client.close()
        return self._route.verdicts(replies)

    async def close(self) -> None:
        """See `Publisher.close`."""
        await self._client.close()


def _met(failure: Failure, error: Exception, address: StreamAddress) -> Failure:
    """Let changing credentials be fetched anew when they are refused: they may have been rotated."""
    if address.credentials is None or not isinstance(error, AuthenticationError):
        return failure
    address.credentials.rejected()
    return failure._replace(again=True)
