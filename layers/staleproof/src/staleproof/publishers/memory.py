"""Publishers without a transport: one that keeps what it is given, for tests and demos, and one that drops it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from staleproof.errors import EventError
from staleproof.events.change import Message, decode, encode
from staleproof.ports import Receipt
from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryPublisher(BlockingPublisher):
    """Keeps every message, as its wire form reads back.

    Attributes:
        messages: what was taken, in order.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._lock = Lock()

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        with self._lock:
            return [self._keep(message) for message in messages]

    def _keep(self, message: Message) -> Receipt:
        try:
            self.messages.append(decode(encode(message)))
        except EventError as error:
            return Receipt(message.id, error=error)
        return Receipt(message.id, str(len(self.messages) - 1))


class NullPublisher(BlockingPublisher):
    """Takes every message, and forgets it: where nothing listens, or nothing should."""

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return [_dropped(message) for message in messages]


class AsyncMemoryPublisher(AwaitingPublisher):
    """`MemoryPublisher` for asyncio.

    Attributes:
        behind: the one that keeps them.
    """

    def __init__(self) -> None:
        self.behind = MemoryPublisher()

    @property
    def messages(self) -> list[Message]:
        """What was taken, in order."""
        return self.behind.messages

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return self.behind.send(messages)


class AsyncNullPublisher(AwaitingPublisher):
    """`NullPublisher` for asyncio."""

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        return [_dropped(message) for message in messages]


def _dropped(message: Message) -> Receipt:
    """Refuse what no transport would take, so that what works here works elsewhere."""
    try:
        encode(message)
    except EventError as error:
        return Receipt(message.id, error=error)
    return Receipt(message.id)
