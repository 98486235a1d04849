"""`BlockingPublisher` and `AwaitingPublisher`: what every publisher does alike, given `send`; inherit one for your own.

Example:
    >>> from staleproof.events import Change
    >>> from staleproof.ports import Receipt
    >>> from staleproof.publishers import BlockingPublisher
    >>> class Printed(BlockingPublisher):
    ...     def send(self, messages):
    ...         return [Receipt(message.id) for message in messages if print(message.entity) is None]
    >>> with Printed() as publisher:
    ...     _ = publisher.publish(Change.now("product", "modify", keys={"id": 42}))
    product
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from staleproof.errors import UnpublishedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from staleproof.events import Message
    from staleproof.ports import Receipt


class BlockingPublisher(ABC):
    """A publisher for blocking code, but for `send`. A context manager that closes."""

    @abstractmethod
    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""

    def publish(self, *messages: Message) -> list[Receipt]:
        """Send *messages*, and return their receipts if all were taken.

        Raises:
            UnpublishedError: some were not; it has the receipts.
        """
        return whole(self.send(messages))

    def close(self) -> None:  # noqa: B027 - many have nothing to close
        """See `Publisher.close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AwaitingPublisher(ABC):
    """The same for asyncio."""

    @abstractmethod
    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""

    async def publish(self, *messages: Message) -> list[Receipt]:
        """See `BlockingPublisher.publish`."""
        return whole(await self.send(messages))

    async def close(self) -> None:  # noqa: B027
        """See `Publisher.close`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def whole(receipts: list[Receipt]) -> list[Receipt]:
    """Return *receipts*, or raise `UnpublishedError` if one of them is none of a message that was taken."""
    if all(receipt.taken for receipt in receipts):
        return receipts
    raise UnpublishedError(receipts)
