"""`Publisher`: a transport for what applications announce, said without naming one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.errors import CacheError
    from staleproof.events import Message


class Receipt(NamedTuple):
    """What became of one message.

    Attributes:
        id: the message's id.
        place: the transport's own name for it, such as an event id or `topic-partition:offset`; "" if it has none.
        error: None if the transport has taken it. Else why not: after a `ProviderUnavailableError` it may be sent again
            as it is; of the others something has to be mended first.
    """

    id: str
    place: str = ""
    error: CacheError | None = None

    @property
    def taken(self) -> bool:
        """Whether the transport has it, for good."""
        return self.error is None


class Publisher(Protocol):
    """A transport for messages; used by several threads at once.

    What it has taken it delivers at least once: a message may arrive twice, and in another order, harmlessly.
    """

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """Hand over *messages*, and return a receipt each, in their order.

        What a message meets stands in its receipt, and is never raised: others may have been taken. Messages that were
        refused for a passing reason are sent again a few times; those that were taken are not.

        Raises:
            ConfigurationError: nothing can be sent at all: a client library is missing, or the address is wrong.
        """
        ...

    def publish(self, *messages: Message) -> list[Receipt]:
        """Do as `send`, and raise if a message was not taken.

        Raises:
            UnpublishedError: some were not; it has the receipts.
        """
        ...

    def close(self) -> None:
        """Let connections go; it opens again when it is used again."""
        ...


class AsyncPublisher(Protocol):
    """`Publisher`, as coroutines."""

    async def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`."""
        ...

    async def publish(self, *messages: Message) -> list[Receipt]:
        """See `Publisher.publish`."""
        ...

    async def close(self) -> None:
        """See `Publisher.close`."""
        ...
