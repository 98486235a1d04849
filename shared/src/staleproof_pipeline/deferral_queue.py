"""Deferred invalidations in an SQS queue, which holds each back for its delay. A standard queue: FIFO ones cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from staleproof.events.invalidation import encode
from staleproof_pipeline.dead_letter_queue import MAX_MESSAGES, MAX_REQUEST, not_taken
from staleproof_pipeline.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.errors import CacheError
    from staleproof_pipeline.followups import Deferred

MAX_DELAY_SECONDS = 900
"""As long as SQS holds a message back."""

Message = tuple[int, int, str]
"""The item's number, its delay in seconds, and a body."""


class DeferralQueue:
    """A `Deferrer`. Delays are rounded up to whole seconds: never too early, at most a second late.

    Args:
        client: makes the SQS client when the first item comes: most deployments never need one.
        url: the queue.
    """

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._make_client = client
        self._client: Any = None
        self._url = url

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """See `Deferrer.defer`. An item of several messages is stored when all of them are."""
        errors: list[CacheError | None] = [None] * len(items)
        for request in _requests(
            [message for at, each in enumerate(items) for message in _messages(at, each)]
        ):
            for at, error in self._send(request):
                errors[at] = error
        return errors

    def _send(self, request: Sequence[Message]) -> list[tuple[int, DeliveryError]]:
        entries = [
            {"Id": str(place), "MessageBody": body, "DelaySeconds": delay}
            for place, (_, delay, body) in enumerate(request)
        ]
        try:
            self._client = self._client or self._make_client()
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            failure = DeliveryError(
                f"deferral queue: {error}; check STALEPROOF_DEFERRAL_QUEUE_URL and sqs:SendMessage"
            )
            return [(at, failure) for at, _, _ in request]
        return [
            (request[place][0], DeliveryError(f"deferral queue: {told}"))
            for place, told in not_taken(answer, len(request))
        ]


def _messages(at: int, item: Deferred) -> Iterator[Message]:
    delay = min(MAX_DELAY_SECONDS, math.ceil(item.delay_ms / 1_000))
    for part in item.invalidation.parts():
        yield at, delay, encode(part).decode()


def _requests(messages: Sequence[Message]) -> Iterator[list[Message]]:
    request: list[Message] = []
    size = 0
    for message in messages:
        length = len(message[2].encode())
        if request and (len(request) == MAX_MESSAGES or size + length > MAX_REQUEST):
            yield request
            request, size = [], 0
        request.append(message)
        size += length
    if request:
        yield request
