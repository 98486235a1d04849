"""A DynamoDB stream as the event source of a function, with Lambda's semantics of failure.

Theory of operation. One thread walks a stream's shards, parents before their children. In each shard it is in one
of two states: with no delivery under way it reads records into a window and takes a batch from it; with a delivery
under way (`retry`) it invokes the function when the pause is over and carries out the steps that follow from the
outcome. A shard in a pause does not hold the others up. The checkpoint moves only by such a step, after the
function's acknowledgement or after the dead letter has the records, so killing this process anywhere delivers
again and skips nothing.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.event_sources import batch_response, on_failure
from local.event_sources.batch_window import BatchWindow
from local.event_sources.pacing import Pacing
from local.event_sources.retry import Checkpoint, Delivery, Discard, Pause, Record, Step, Succeeded
from local.event_sources.stream_records import lambda_record

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from local.configuration import StreamMapping
    from local.event_sources.checkpoint import Checkpoints
    from local.event_sources.retry import Batch, Outcome
    from local.function_host import FunctionHost

logger = logging.getLogger(__name__)

DISCOVER_EVERY = 5.0
"""Seconds between two looks for new shards."""
LOST_ITERATOR = {"ExpiredIteratorException", "TrimmedDataAccessException"}
OUTAGE_PAUSE = 0.25


class Shard:
    """One shard's reading position and the delivery under way."""

    def __init__(self, driver: StreamDriver, name: str) -> None:
        self.name = name
        self.finished = False
        self.due = 0.0
        self._driver = driver
        settings = driver.mapping
        self._window = BatchWindow(settings.batch_size, settings.batching_window)
        self._delivery: Delivery | None = None
        self._steps: deque[Step] = deque()
        self._iterator: str | None = None
        self._began = False
        self._exhausted = False
        self._pacing = Pacing()

    def step(self) -> None:
        """Do the next thing: what the last delivery left to do, or a delivery, or a read."""
        if self._steps:
            self._carry_out()
        elif self._delivery and self._delivery.current:
            self._deliver(self._delivery)
        elif records := self._window.take(time.monotonic()):
            self._delivery = Delivery(self._driver.mapping.retry_policy(), records)
            self._deliver(self._delivery)
        elif self._exhausted and not self._window:
            self.finished = True
        else:
            self._read()

    def _deliver(self, delivery: Delivery) -> None:
        batch = delivery.current
        assert batch is not None  # noqa: S101  # the caller looked
        outcome = self._driver.invoke(batch)
        self.due = 0.0
        self._steps.extend(delivery.apply(outcome))
        self._carry_out()

    def _carry_out(self) -> None:
        # A step that fails (the dead letter cannot be reached) stays first: no checkpoint may overtake it.
        while self._steps:
            match self._steps[0]:
                case Pause(seconds):
                    self.due = time.monotonic() + seconds
                case Checkpoint(sequence):
                    self._driver.checkpoints.set(self.name, sequence)
                case Discard() as discard:
                    self._driver.discard(discard, self.name)
            self._steps.popleft()

    def _read(self) -> None:
        if self._exhausted:
            self.due = self._window.due() or 0.0
            return
        if self._iterator is None:
            self._iterator = self._driver.iterator(self.name, again=self._began)
            self._began = True
        page = self._page(self._iterator)
        if page is None:
            return
        records = [Record(r["dynamodb"]["SequenceNumber"], self._driver.shape(r)) for r in page["Records"]]
        now = time.monotonic()
        self._window.add(records, now)
        self._iterator = page.get("NextShardIterator")
        self._exhausted = self._iterator is None
        wait = now + self._pacing.after(found=bool(records))
        self.due = min(wait, self._window.due() or wait)

    def _page(self, iterator: str) -> Any:
        try:
            return self._driver.streams.get_records(ShardIterator=iterator, Limit=1000)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in LOST_ITERATOR:
                raise
            # Begin again from the checkpoint. What waits in the window is behind it and will be read again.
            self._iterator = None
            self._window = BatchWindow(self._driver.mapping.batch_size, self._driver.mapping.batching_window)
            return None


class StreamDriver:
    """The mapping's thread.

    Args:
        mapping: its settings.
        host: the function's environment.
        checkpoints: where it stands, a shard.
        client: makes a boto3 client of a service.
    """

    def __init__(
        self,
        mapping: StreamMapping,
        host: FunctionHost,
        checkpoints: Checkpoints,
        client: Callable[[str], Any],
    ) -> None:
        self.mapping = mapping
        self.checkpoints = checkpoints
        self.streams = client("dynamodbstreams")
        self._sqs = client("sqs")
        self._host = host
        self._shards: dict[str, Shard] = {}
        self._parents: dict[str, str] = {}
        self._discovered = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Drive the stream until *stop* is set. An outage of the emulator is waited out."""
        while not stop.is_set():
            try:
                wait = self.step()
            except (ClientError, BotoCoreError) as error:
                logger.warning("stream %s: %s", self.mapping.stream_arn, error)
                wait = OUTAGE_PAUSE
            if wait > 0:
                stop.wait(wait)

    def step(self) -> float:
        """Step every shard that is due; return the seconds until the next one is."""
        now = time.monotonic()
        if now - self._discovered > DISCOVER_EVERY:
            self._discover()
            self._discovered = now
        ready = [shard for shard in self._shards.values() if self._open(shard)]
        for shard in ready:
            if shard.due <= now:
                shard.step()
        return max(min((shard.due for shard in ready), default=now + DISCOVER_EVERY) - time.monotonic(), 0.0)

    def invoke(self, batch: Batch) -> Outcome:
        """Deliver *batch* to the function and judge its response."""
        invocation = self._host.invoke({"Records": [record.body for record in batch.records]})
        outcome = batch_response.judge(invocation, batch, report_failures=self.mapping.report_failures)
        if outcome != Succeeded():
            first = batch.records[0].sequence
            logger.warning("%s records from %s on: %s", len(batch.records), first, outcome)
        return outcome

    def discard(self, discard: Discard, shard: str) -> None:
        """Tell the dead letter about records that are given up; log them where there is none, as AWS drops them."""
        arn = self._host.function.arn
        envelope = on_failure.stream_envelope(
            discard, function_arn=arn, stream_arn=self.mapping.stream_arn, shard=shard, now=time.time()
        )
        logger.error("given up: %s", json.dumps(envelope))
        if self.mapping.on_failure_queue_url:
            self._sqs.send_message(
                QueueUrl=self.mapping.on_failure_queue_url, MessageBody=json.dumps(envelope)
            )

    def shape(self, record: Any) -> dict[str, Any]:
        """Return a record as the function is given it."""
        return lambda_record(record, self.mapping.stream_arn)

    def iterator(self, shard: str, *, again: bool) -> str:
        """Return an iterator after the checkpoint, or at the mapping's starting position if there is none.

        *again* says that an earlier iterator was lost: then nothing may be skipped, whatever the starting position.
        """
        place = self.checkpoints.get(shard)
        stream = {"StreamArn": self.mapping.stream_arn, "ShardId": shard}
        if place is not None:
            try:
                found = self.streams.get_shard_iterator(
                    **stream, ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=place
                )
                return str(found["ShardIterator"])
            except self.streams.exceptions.TrimmedDataAccessException:
                logger.warning("shard %s was trimmed past %s: continuing at its horizon", shard, place)
        position = "TRIM_HORIZON" if again or place is not None else self.mapping.starting_position
        return str(self.streams.get_shard_iterator(**stream, ShardIteratorType=position)["ShardIterator"])

    def _discover(self) -> None:
        arguments: dict[str, Any] = {"StreamArn": self.mapping.stream_arn}
        while True:
            description = self.streams.describe_stream(**arguments)["StreamDescription"]
            for found in description["Shards"]:
                name = str(found["ShardId"])
                if name not in self._shards:
                    self._shards[name] = Shard(self, name)
                    self._parents[name] = found.get("ParentShardId", "")
            if not (last := description.get("LastEvaluatedShardId")):
                return
            arguments["ExclusiveStartShardId"] = last

    def _open(self, shard: Shard) -> bool:
        parent = self._shards.get(self._parents.get(shard.name, ""))
        return not shard.finished and (parent is None or parent.finished)
