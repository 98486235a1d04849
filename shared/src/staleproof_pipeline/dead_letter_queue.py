"""Dead letters in an SQS queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.queue_sending import Outgoing, QueueSender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.dead_letter import DeadLetter

ATTRIBUTE = 64
"""Bytes that a message's attribute may count for."""


class DeadLetterQueue:
    """Stores letters as messages, several a request.

    Args:
        client: makes the SQS client when the first letter comes: most deployments never need one.
        url: the queue.
    """

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._queue = QueueSender(
            client, url, what="dead-letter queue", setting="STALEPROOF_DEAD_LETTER_QUEUE_URL"
        )

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """See `DeadLetters.store`. A letter of several messages is stored when all of them are."""
        errors: list[Exception | None] = [None] * len(letters)
        messages = [
            _message(at, each.reason, body) for at, each in enumerate(letters) for body in bodies(each)
        ]
        for at, error in self._queue.send(messages):
            errors[at] = error
        return errors


def _message(at: int, reason: str, body: str) -> Outgoing:
    attributes = {"reason": {"DataType": "String", "StringValue": reason}}
    return Outgoing(at, len(body) + ATTRIBUTE, {"MessageBody": body, "MessageAttributes": attributes})
