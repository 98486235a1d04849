"""An SQS queue, standard or FIFO, as the event source of a function, with Lambda's partial responses.

Theory of operation. A batch is received and invoked; messages that the response does not name are deleted, those that
it names are made visible again. A message stays in the queue until then, so killing this process anywhere delivers
again. A response that cannot be read is a failure of the whole batch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources.pacing import Pacing

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from local.function_host import FunctionHost, Invocation

logger = logging.getLogger(__name__)

OUTAGE_PAUSE = 0.25
BATCH = 10


class QueueMapping:
    """The mapping's thread.

    Args:
        url: the queue.
        arn: its ARN, which records carry.
        host: the function's environment.
        sqs: a boto3 client.
        visibility: seconds that a batch is hidden while the function has it.
    """

    def __init__(self, url: str, arn: str, host: FunctionHost, sqs: Any, *, visibility: int = 30) -> None:
        self._url = url
        self._arn = arn
        self._host = host
        self._sqs = sqs
        self._visibility = visibility
        self._pacing = Pacing()

    def run(self, stop: threading.Event) -> None:
        """Poll and invoke until *stop* is set. An outage of the emulator is waited out."""
        while not stop.is_set():
            try:
                wait = self.step()
            except (ClientError, BotoCoreError) as error:
                logger.warning("queue %s: %s", self._url, error)
                wait = OUTAGE_PAUSE
            if wait > 0:
                stop.wait(wait)

    def step(self) -> float:
        """Deliver a batch; return the seconds to wait before the next step."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=0,
            VisibilityTimeout=self._visibility,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if messages:
            self._deliver(messages)
        return self._pacing.after(found=bool(messages))

    def _deliver(self, messages: Sequence[dict[str, Any]]) -> None:
        invocation = self._host.invoke({"Records": [self._record(each) for each in messages]})
        failed = failures(invocation, {str(each["MessageId"]) for each in messages})
        for each in messages:
            place = {"QueueUrl": self._url, "ReceiptHandle": each["ReceiptHandle"]}
            if each["MessageId"] in failed:
                self._sqs.change_message_visibility(**place, VisibilityTimeout=0)
            else:
                self._sqs.delete_message(**place)

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {},
            "md5OfBody": message.get("MD5OfBody", ""),
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._host.function.region,
        }


def failures(invocation: Invocation, sent: set[str]) -> set[str]:
    """Return the ids of the messages to deliver again."""
    if invocation.error is not None:
        logger.warning("%s: %s", invocation.error.type, invocation.error.message)
        return sent
    if not invocation.payload:
        return set()
    named = [each.get("itemIdentifier") for each in invocation.payload.get("batchItemFailures", [])]
    return {str(each) for each in named} if all(each in sent for each in named) else sent
