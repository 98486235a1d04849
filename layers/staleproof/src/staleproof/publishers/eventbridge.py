"""Publishers to an EventBridge bus, for blocking code and for asyncio."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from staleproof.publishers.aws_clients import connect, connect_async
from staleproof.publishers.aws_failures import failure
from staleproof.publishers.backoff import Pauses
from staleproof.publishers.delivery import Failure, Verdict, delivery, run, run_async
from staleproof.publishers.eventbridge_route import SOURCE, EventBridgeRoute
from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher
from staleproof.publishers.opened import Opened, OpenedAsync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from staleproof.events import Message
    from staleproof.ports import Receipt


class EventBridgePublisher(BlockingPublisher):
    """Puts messages on a bus: the detail is the message, the detail-type its kind.

    Args:
        bus: name or ARN of the bus.
        region: its region; by default the one that AWS's own settings name.
        source: the events' source, which rules may match.
        resources: what the events are about, which rules may match too.
        endpoint_url: where the service is, if not where AWS has it.
        client: makes the boto3 client when the first message goes; it should not retry by itself.
        pauses: how often, and after how long, what was refused is sent again.
        sleep: waits.

    Raises:
        ConfigurationError: the bus cannot be called so, or the source is not an application's.
    """

    def __init__(
        self,
        bus: str,
        *,
        region: str | None = None,
        source: str = SOURCE,
        resources: Sequence[str] = (),
        endpoint_url: str | None = None,
        client: Callable[[], Any] | None = None,
        pauses: Pauses = Pauses(),  # noqa: B008 - immutable
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._route = EventBridgeRoute(bus, source, resources)
        self._client = Opened(client or (lambda: connect("events", region, endpoint_url)))
        self._pauses = pauses
        self._sleep = sleep

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return run(delivery(messages, self._route, self._pauses), self._put, self._sleep)

    def _put(self, entries: list[Any]) -> list[Verdict] | Failure:
        client = self._client.get()
        try:
            return self._route.verdicts(client.put_events(Entries=entries))
        except Exception as error:
            met = failure(error, self._route.where)
            if met is None:
                raise
            return met

    def close(self) -> None:
        """See `Publisher.close`."""
        self._client.close()


class AsyncEventBridgePublisher(AwaitingPublisher):
    """The same for asyncio; needs the extra `aws-async`.

    Args:
        bus: see `EventBridgePublisher`, for this and the rest.
        region: its region.
        source: the events' source.
        resources: what the events are about.
        endpoint_url: where the service is.
        client: returns what gives the aiobotocore client when it is entered.
        pauses: how often, and after how long.
        sleep: waits; `asyncio.sleep` by default.
    """

    def __init__(
        self,
        bus: str,
        *,
        region: str | None = None,
        source: str = SOURCE,
        resources: Sequence[str] = (),
        endpoint_url: str | None = None,
        client: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        pauses: Pauses = Pauses(),  # noqa: B008
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        self._route = EventBridgeRoute(bus, source, resources)
        self._client = OpenedAsync(client or (lambda: connect_async("events", region, endpoint_url)))
        self._pauses = pauses
        self._sleep = sleep

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        import asyncio  # noqa: PLC0415 - blocking code does not load it

        return await run_async(
            delivery(messages, self._route, self._pauses), self._put, self._sleep or asyncio.sleep
        )

    async def _put(self, entries: list[Any]) -> list[Verdict] | Failure:
        client = await self._client.get()
        try:
            return self._route.verdicts(await client.put_events(Entries=entries))
        except Exception as error:
            met = failure(error, self._route.where)
            if met is None:
                raise
            return met

    async def close(self) -> None:
        """See `Publisher.close`."""
        await self._client.close()
