"""Events of a bus, in this region or in another, as asynchronous invocations of a function here.

Theory of operation. The emulator delivers a rule's events within a region, to a queue, and drops what goes to another
region. So a rule puts them into a queue of the bus's own region, and this bridge, which belongs to the region
where they are wanted, fetches them. A message is deleted only after the function succeeded, or after
the dead letter has the event: until then it lives in the queue, whatever dies. A failing event goes back into the
queue for a while, so it does not hold up those behind it. Attempts are counted here, as invocations that failed: a
bridge that was killed begins to count again, which retries more and never gives up early.
Events arrive at least once and in no particular order, as on AWS.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources import on_failure
from local.event_sources.pacing import Pacing
from local.function_host import FunctionError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from local.configuration import BusSubscription
    from local.function_host import FunctionHost
    from local.partition import Partition

logger = logging.getLogger(__name__)

CUT_PAUSE = 0.02
OUTAGE_PAUSE = 0.25
RECEIVE = 10
"""Messages that one request may take."""


class BusBridge:
    """The subscription's thread.

    Args:
        subscription: its settings.
        host: the function's environment.
        partition: says when the way from the bus's region is cut.
        client: makes a boto3 client of a service in a region.
    """

    def __init__(
        self,
        subscription: BusSubscription,
        host: FunctionHost,
        partition: Partition,
        client: Callable[[str, str], Any],
    ) -> None:
        self._subscription = subscription
        self._host = host
        self._partition = partition
        self._region = host.function.region
        self._queue = client("sqs", subscription.origin)
        self._dead_letters = client("sqs", self._region)
        self._pacing = Pacing()
        self._attempts: Counter[str] = Counter()
        # Long enough for one invocation: when this process dies, the event comes back that much later.
        self._visibility = math.ceil(host.function.timeout) + 1

    def run(self, stop: threading.Event) -> None:
        """Fetch and invoke until *stop* is set. An outage of the emulator is waited out."""
        while not stop.is_set():
            try:
                wait = self.step()
            except (ClientError, BotoCoreError) as error:
                logger.warning("queue %s: %s", self._subscription.queue_url, error)
                wait = OUTAGE_PAUSE
            if wait > 0:
                stop.wait(wait)

    def step(self) -> float:
        """Take what is there and deliver it; return the seconds to wait before the next step."""
        if self._cut():
            return CUT_PAUSE
        answer = self._queue.receive_message(
            QueueUrl=self._subscription.queue_url,
            MaxNumberOfMessages=RECEIVE,
            WaitTimeSeconds=0,  # the emulator's long poll looks every 100 ms; asking often is faster
            VisibilityTimeout=self._visibility,
        )
        messages = answer.get("Messages", [])
        done: list[dict[str, Any]] = []
        try:
            for message in messages:
                if self._deliver(message):
                    done.append(message)  # noqa: PERF401  # what is done before an error must be deleted
        finally:
            self._delete(done)
        return self._pacing.after(found=bool(messages))

    def _cut(self) -> bool:
        return self._partition.is_cut(self._subscription.origin, self._region)

    def _deliver(self, message: dict[str, Any]) -> bool:
        """Invoke the function on one message; say whether the message is dealt with."""
        if self._cut():
            self._return(message, 0)
            return False
        identity = str(message["MessageId"])
        try:
            event = json.loads(message["Body"])
        except ValueError as malformed:
            self._give_up(message["Body"], FunctionError("MalformedEvent", str(malformed)), identity)
            return True
        error = self._host.invoke(event, identity).error
        dealt_with = error is None or self._failed(message, event, error)
        if dealt_with:
            self._attempts.pop(identity, None)
        return dealt_with

    def _failed(self, message: dict[str, Any], event: Any, error: FunctionError) -> bool:
        identity = str(message["MessageId"])
        self._attempts[identity] += 1
        attempts = self._attempts[identity]
        logger.warning("attempt %s on event %s: %s: %s", attempts, identity, error.type, error.message)
        if attempts > self._subscription.maximum_retry_attempts:
            self._give_up(event, error, identity)
            return True
        delays = self._subscription.retry_delays
        self._return(message, delays[min(attempts, len(delays)) - 1])
        return False

    def _give_up(self, event: Any, error: FunctionError, identity: str) -> None:
        logger.error("given up: event %s: %s: %s", identity, error.type, error.message)
        self._dead_letters.send_message(
            QueueUrl=self._subscription.dead_letter_queue_url,
            **on_failure.event_message(event, error, identity),
        )

    def _return(self, message: dict[str, Any], seconds: int) -> None:
        self._queue.change_message_visibility(
            QueueUrl=self._subscription.queue_url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=seconds,
        )

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        if messages:
            self._queue.delete_message_batch(
                QueueUrl=self._subscription.queue_url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                    for place, message in enumerate(messages)
                ],
            )
