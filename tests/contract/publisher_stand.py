"""Transports of AWS that answer from memory, hold every call against botocore's own shapes, and refuse on demand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from staleproof.events.change import decode
from staleproof.publishers.backoff import Pauses
from tests.unit.aws_shapes import Recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

PROMPT = Pauses(first=0.0001, longest=0.0001)
"""Pauses that nobody notices."""


class Refusals:
    """Which messages a transport refuses, and how often."""

    def __init__(self) -> None:
        self.passing: dict[str, int] = {}
        self.lasting: set[str] = set()

    def __call__(self, ids: Sequence[str], *, once: bool) -> None:
        """See `PublisherContract`."""
        if once:
            self.passing.update(dict.fromkeys(ids, 1))
        else:
            self.lasting.update(ids)

    def of(self, name: str) -> str:
        """Return `once`, `always` or "" for a message that is sent now."""
        if self.passing.get(name, 0) > 0:
            self.passing[name] -= 1
            return "once"
        return "always" if name in self.lasting else ""


class Bus:
    """An event bus."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.details: list[bytes] = []
        self.client = Recording("events", {"put_events": self._put})

    def arrived(self) -> list[bytes]:
        """Return the details that were taken."""
        return self.details

    def _put(self, Entries: list[Any]) -> Any:  # noqa: N803 - as the API writes it
        answers = [self._answer(entry) for entry in Entries]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}

    def _answer(self, entry: Any) -> dict[str, str]:
        refused = self.refusals.of(decode(entry["Detail"]).id)
        if refused:
            code = "ThrottlingException" if refused == "once" else "MalformedDetail"
            return {"ErrorCode": code, "ErrorMessage": "no"}
        self.details.append(entry["Detail"].encode())
        return {"EventId": f"event-{len(self.details)}"}


class Table:
    """An outbox table; it refuses for a passing reason only, as the service does."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.items: dict[str, Any] = {}
        self.client = Recording("dynamodb", {"batch_write_item": self._write})

    def arrived(self) -> list[bytes]:
        """Return the messages that were taken."""
        return [item["message"]["S"].encode() for item in self.items.values()]

    def _write(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803
        ((table, puts),) = RequestItems.items()
        ids = [put["PutRequest"]["Item"]["id"]["S"] for put in puts]
        assert len(set(ids)) == len(ids) <= 25
        left = [put for name, put in zip(ids, puts, strict=True) if self.refusals.of(name)]
        for name, put in zip(ids, puts, strict=True):
            if put not in left:
                self.items[name] = put["PutRequest"]["Item"]
        return {"UnprocessedItems": {table: left} if left else {}}


def awaited(client: Recording) -> Callable[[], Any]:
    """Return what gives *client* as aiobotocore would: its methods are coroutine functions."""

    class Awaited:
        def __getattr__(self, method: str) -> Any:
            call = getattr(client, method)

            async def answer(**given: Any) -> Any:
                return call(**given)

            return answer

    @asynccontextmanager
    async def context() -> AsyncIterator[Any]:
        yield Awaited()

    return context
