"""Messages to an SQS queue, several a request; for each, whether the queue has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from staleproof_pipeline.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_MESSAGES = 10
MAX_REQUEST = 1_000_000
"""Bytes of all messages of one request."""


class Outgoing(NamedTuple):
    """A message.

    Attributes:
        item: the number of what it belongs to, which may have several.
        size: bytes that count towards the request's bound.
        entry: of `SendMessageBatch`, without its `Id`.
    """

    item: int
    size: int
    entry: dict[str, Any]


class QueueSender:
    """Sends to one queue.

    Args:
        client: makes the SQS client when the first message goes: most deployments never need one.
        url: the queue.
        what: the queue's name in messages.
        setting: the setting that holds its URL.
    """

    def __init__(self, client: Callable[[], Any], url: str, *, what: str, setting: str) -> None:
        self._make_client = client
        self._client: Any = None
        self._url = url
        self._what = what
        self._setting = setting

    def send(self, messages: Sequence[Outgoing]) -> Iterator[tuple[int, DeliveryError]]:
        """Send *messages*; yield the items of those that the queue has not, and why."""
        for request in _requests(messages):
            yield from self._request(request)

    def _request(self, request: Sequence[Outgoing]) -> Iterator[tuple[int, DeliveryError]]:
        entries = [{"Id": str(place), **each.entry} for place, each in enumerate(request)]
        try:
            self._client = self._client or self._make_client()
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            failure = DeliveryError(f"{self._what}: {error}; check {self._setting} and sqs:SendMessage")
            yield from ((each.item, failure) for each in request)
            return
        for place, told in _not_taken(answer, len(request)):
            yield request[place].item, DeliveryError(f"{self._what}: {told}")


def _not_taken(answer: Any, count: int) -> Iterator[tuple[int, str]]:
    """Yield the places of those of *count* messages that a queue's *answer* does not call stored, and what it says."""
    taken = {each["Id"] for each in answer.get("Successful", [])}
    refused = {each["Id"]: each for each in answer.get("Failed", [])}
    for place in range(count):
        if str(place) not in taken:
            said = refused.get(str(place), {})
            yield place, f"{said.get('Code', 'the answer leaves it out')} {said.get('Message', '')}".rstrip()


def _requests(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    request: list[Outgoing] = []
    size = 0
    for message in messages:
        if request and (len(request) == MAX_MESSAGES or size + message.size > MAX_REQUEST):
            yield request
            request, size = [], 0
        request.append(message)
        size += message.size
    if request:
        yield request
