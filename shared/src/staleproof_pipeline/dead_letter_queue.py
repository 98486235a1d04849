"""Dead letters in an SQS queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof_pipeline.dead_letter import DeadLetter

MAX_MESSAGES = 10
MAX_REQUEST = 1_000_000
"""Bytes of all messages of one request."""

Message = tuple[int, str, str]
"""The letter's number, its reason, and a body."""


class DeadLetterQueue:
    """Stores letters as messages, several a request.

    Args:
        client: makes the SQS client when the first letter comes: most deployments never need one.
        url: the queue.
    """

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._make_client = client
        self._client: Any = None
        self._url = url

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """See `DeadLetters.store`. A letter of several messages is stored when all of them are."""
        errors: list[Exception | None] = [None] * len(letters)
        messages = [(at, each.reason, body) for at, each in enumerate(letters) for body in bodies(each)]
        for request in _requests(messages):
            for at, error in self._send(request):
                errors[at] = error
        return errors

    def _send(self, request: Sequence[Message]) -> list[tuple[int, Exception]]:
        entries = [
            {
                "Id": str(place),
                "MessageBody": body,
                "MessageAttributes": {"reason": {"DataType": "String", "StringValue": reason}},
            }
            for place, (_, reason, body) in enumerate(request)
        ]
        try:
            self._client = self._client or self._make_client()
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            failure = DeliveryError(
                f"dead-letter queue: {error}; check STALEPROOF_DEAD_LETTER_QUEUE_URL and sqs:SendMessage"
            )
            return [(at, failure) for at, _, _ in request]
        return [
            (request[place][0], DeliveryError(f"dead-letter queue: {told}"))
            for place, told in not_taken(answer, len(request))
        ]


def not_taken(answer: Any, count: int) -> Iterator[tuple[int, str]]:
    """Yield the places of those of *count* messages that a queue's *answer* does not call stored, and what it says."""
    taken = {each["Id"] for each in answer.get("Successful", [])}
    refused = {each["Id"]: each for each in answer.get("Failed", [])}
    for place in range(count):
        if str(place) not in taken:
            said = refused.get(str(place), {})
            yield place, f"{said.get('Code', 'the answer leaves it out')} {said.get('Message', '')}".rstrip()


def _requests(messages: Sequence[Message]) -> Iterator[list[Message]]:
    request: list[Message] = []
    size = 0
    for message in messages:
        length = len(message[2]) + 64  # its attribute counts too
        if request and (len(request) == MAX_MESSAGES or size + length > MAX_REQUEST):
            yield request
            request, size = [], 0
        request.append(message)
        size += length
    if request:
        yield request
