"""Letters in an SQS queue.

What is taken is invisible to others until it is released, or `VISIBILITY` is over; then it comes again, harmlessly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.clients import translated
from staleproof_pipeline.dead_letter_queue import DeadLetterQueue
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.redriving.store import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.dead_letter import DeadLetter

TOGETHER = 10
"""Messages of a request."""

VISIBILITY = 300
"""Seconds for which what was taken is nobody else's."""

WAIT = 1
"""Seconds to wait for a message: all servers of the queue are asked, so none is overlooked."""


class QueueStore:
    """A `LetterStore`.

    Args:
        client: a boto3 client of `sqs`.
        url: the queue.
        wait: seconds to wait for a message.
    """

    def __init__(self, client: Any, url: str, *, wait: int = WAIT) -> None:
        self._client = client
        self._url = url
        self._wait = wait
        self._letters = DeadLetterQueue(lambda: client, url)

    def take(self) -> list[Held]:
        """See `LetterStore.take`."""
        with translated(f"queue {self._url}"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=TOGETHER,
                VisibilityTimeout=VISIBILITY,
                WaitTimeSeconds=self._wait,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        return [_held(each) for each in answer.get("Messages", [])]

    def remove(self, held: Sequence[Held]) -> None:
        """See `LetterStore.remove`."""
        for entries in _entries(held):
            with translated(f"queue {self._url}"):
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise DeliveryError(
                    f"queue {self._url}: {len(failed)} letters were applied and not deleted ({failed[0].get('Code')}); "
                    "they come again, which is harmless"
                )

    def replace(self, held: Held, letters: Sequence[DeadLetter]) -> None:
        """See `LetterStore.replace`."""
        for error in self._letters.store(letters):
            if error is not None:
                raise error
        self.remove([held])

    def release(self, held: Sequence[Held]) -> None:
        """See `LetterStore.release`. What is not released is by itself, after `VISIBILITY`."""
        for entries in _entries(held):
            shown = [{**each, "VisibilityTimeout": 0} for each in entries]
            with translated(f"queue {self._url}"):
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=shown)

    def close(self) -> None:
        """See `LetterStore.close`."""


def _held(message: dict[str, Any]) -> Held:
    sent = str(message.get("Attributes", {}).get("SentTimestamp", "0"))
    at_ms = int(sent) if sent.isdecimal() else 0
    return Held(message["MessageId"], (message["Body"],), (message["ReceiptHandle"],), at_ms)


def _entries(held: Sequence[Held]) -> list[list[dict[str, Any]]]:
    receipts = [receipt for each in held for receipt in each.receipts]
    numbered = [{"Id": str(at), "ReceiptHandle": receipt} for at, receipt in enumerate(receipts)]
    return [numbered[at : at + TOGETHER] for at in range(0, len(numbered), TOGETHER)]
