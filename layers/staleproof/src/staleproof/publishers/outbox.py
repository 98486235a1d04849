"""Publishers into an outbox table in DynamoDB, for blocking code and for asyncio.

They are for messages that belong to no transaction. Where a row changes in DynamoDB too, put `outbox_item` into the
same `TransactWriteItems`: then there is no change without its message, and none the other way round.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from staleproof.publishers.aws_clients import connect, connect_async
from staleproof.publishers.aws_failures import failure
from staleproof.publishers.backoff import Pauses
from staleproof.publishers.delivery import Failure, Verdict, delivery, run, run_async
from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher
from staleproof.publishers.opened import Opened, OpenedAsync
from staleproof.publishers.outbox_route import WEEK, OutboxRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from staleproof.events import Message
    from staleproof.ports import Receipt


class OutboxPublisher(BlockingPublisher):
    """Puts messages into an outbox table; its stream carries them.

    Args:
        table: name or ARN of the table; see `outbox_table`.
        region: its region; by default the one that AWS's own settings name.
        ttl: seconds after which DynamoDB may remove an item.
        endpoint_url: where the service is, if not where AWS has it.
        client: makes the boto3 client when the first message goes; it should not retry by itself.
        pauses: how often, and after how long, what was not processed is sent again.
        sleep: waits.

    Raises:
        ConfigurationError: no table can be called so.
    """

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        ttl: float = WEEK,
        endpoint_url: str | None = None,
        client: Callable[[], Any] | None = None,
        pauses: Pauses = Pauses(),  # noqa: B008 - immutable
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._route = OutboxRoute(table, ttl)
        self._client = Opened(client or (lambda: connect("dynamodb", region, endpoint_url)))
        self._pauses = pauses
        self._sleep = sleep

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return run(delivery(messages, self._route, self._pauses), self._put, self._sleep)

    def _put(self, puts: list[Any]) -> list[Verdict] | Failure:
        client = self._client.get()
        try:
            return self._route.verdicts(puts, client.batch_write_item(RequestItems=self._route.request(puts)))
        except Exception as error:
            met = failure(error, self._route.where)
            if met is None:
                raise
            return met

    def close(self) -> None:
        """See `Publisher.close`."""
        self._client.close()


class AsyncOutboxPublisher(AwaitingPublisher):
    """The same for asyncio; needs the extra `aws-async`.

    Args:
        table: see `OutboxPublisher`, for this and the rest.
        region: its region.
        ttl: seconds after which DynamoDB may remove an item.
        endpoint_url: where the service is.
        client: returns what gives the aiobotocore client when it is entered.
        pauses: how often, and after how long.
        sleep: waits; `asyncio.sleep` by default.
    """

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        ttl: float = WEEK,
        endpoint_url: str | None = None,
        client: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        pauses: Pauses = Pauses(),  # noqa: B008
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        self._route = OutboxRoute(table, ttl)
        self._client = OpenedAsync(client or (lambda: connect_async("dynamodb", region, endpoint_url)))
        self._pauses = pauses
        self._sleep = sleep

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        import asyncio  # noqa: PLC0415 - blocking code does not load it

        return await run_async(
            delivery(messages, self._route, self._pauses), self._put, self._sleep or asyncio.sleep
        )

    async def _put(self, puts: list[Any]) -> list[Verdict] | Failure:
        client = await self._client.get()
        try:
            answer = await client.batch_write_item(RequestItems=self._route.request(puts))
            return self._route.verdicts(puts, answer)
        except Exception as error:
            met = failure(error, self._route.where)
            if met is None:
                raise
            return met

    async def close(self) -> None:
        """See `Publisher.close`."""
        await self._client.close()
