"""A log of partitions, Kinesis shards or Kafka's, as the event source of a function.

Theory of operation. Every partition is read from its position. A batch is delivered until the function acknowledges it;
what a partial response names is where its partition goes on. Positions are written after that, to a file, so killing
this process anywhere delivers again and skips nothing. Retries have no end here: how they end on AWS is the affair of
`stream_mapping`.
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from local.event_sources.pacing import Pacing

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from local.event_sources.checkpoint import Checkpoints
    from local.function_host import FunctionHost, Invocation

logger = logging.getLogger(__name__)

OUTAGE_PAUSE = 0.25


class LogRecord(NamedTuple):
    """A record as read.

    Attributes:
        place: in its partition, to compare.
        mark: the same as its source writes it.
        name: by which a response asks for it.
        shape: in an event.
    """

    place: int
    mark: str
    name: Any
    shape: dict[str, Any]


class Log(Protocol):
    """What is read."""

    def partitions(self) -> list[str]:
        """Return the names of all partitions."""
        ...

    def read(self, partition: str, after: str | None) -> list[LogRecord]:
        """Return some records behind the mark *after*, of the beginning if that is None."""
        ...

    def event(self, partition: str, shapes: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the event of a batch."""
        ...


class LogMapping:
    """The mapping's thread.

    Args:
        log: what is read.
        host: the function's environment.
        checkpoints: how far each partition has come.
    """

    def __init__(self, log: Log, host: FunctionHost, checkpoints: Checkpoints) -> None:
        self._log = log
        self._host = host
        self._checkpoints = checkpoints
        self._pacing = Pacing()

    def run(self, stop: threading.Event) -> None:
        """Read and invoke until *stop* is set. An outage of the source is waited out."""
        while not stop.is_set():
            try:
                wait = self.step()
            except Exception as error:  # noqa: BLE001  # clients of several kinds; whatever it is, ask again
                logger.warning("log: %s", error)
                wait = OUTAGE_PAUSE
            if wait > 0:
                stop.wait(wait)

    def step(self) -> float:
        """Deliver a batch of every partition; return the seconds to wait before the next step."""
        found = False
        for partition in self._log.partitions():
            records = self._log.read(partition, self._checkpoints.get(partition))
            if records:
                found = True
                self._deliver(partition, records)
        return self._pacing.after(found=found)

    def _deliver(self, partition: str, records: list[LogRecord]) -> None:
        event = self._log.event(partition, [each.shape for each in records])
        failed = lowest(self._host.invoke(event), records)
        done = [each for each in records if failed is None or each.place < failed]
        if done:
            self._checkpoints.set(partition, max(done, key=lambda each: each.place).mark)


def lowest(invocation: Invocation, records: Iterable[LogRecord]) -> int | None:
    """Return the lowest place that failed, None if none did; a response that cannot be read fails all."""
    every = [each.place for each in records]
    if invocation.error is not None:
        logger.warning("%s: %s", invocation.error.type, invocation.error.message)
        return min(every)
    named = [each.get("itemIdentifier") for each in (invocation.payload or {}).get("batchItemFailures", [])]
    if not named:
        return None
    places = [each.place for each in records if each.name in named]
    return min(places) if len(places) == len(named) else min(every)


class KinesisLog:
    """A Kinesis stream.

    Args:
        kinesis: a boto3 client.
        name: of the stream.
        arn: its ARN.
    """

    def __init__(self, kinesis: Any, name: str, arn: str) -> None:
        self._kinesis = kinesis
        self._name = name
        self._arn = arn

    def partitions(self) -> list[str]:
        """See `Log.partitions`."""
        return [str(each["ShardId"]) for each in self._kinesis.list_shards(StreamName=self._name)["Shards"]]

    def read(self, partition: str, after: str | None) -> list[LogRecord]:
        """See `Log.read`."""
        where = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if after is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        )
        iterator = self._kinesis.get_shard_iterator(StreamName=self._name, ShardId=partition, **where)
        page = self._kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=100)
        return [self._record(partition, each) for each in page["Records"]]

    def _record(self, shard: str, found: dict[str, Any]) -> LogRecord:
        number = str(found["SequenceNumber"])
        told = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": found["PartitionKey"],
            "sequenceNumber": number,
            "data": base64.b64encode(found["Data"]).decode(),
            "approximateArrivalTimestamp": found["ApproximateArrivalTimestamp"].timestamp(),
        }
        shape = {
            "kinesis": told,
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{number}",
            "eventName": "aws:kinesis:record",
            "eventSourceARN": self._arn,
        }
        return LogRecord(int(number), number, number, shape)

    def event(self, partition: str, shapes: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002
        """See `Log.event`."""
        return {"Records": shapes}


class KafkaLog:
    """Topics of a Kafka cluster.

    Args:
        consumer: kafka-python's consumer, of no group.
        topic: what is read.
    """

    def __init__(self, consumer: Any, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    def partitions(self) -> list[str]:
        """See `Log.partitions`."""
        return [
            f"{self._topic}-{each}" for each in sorted(self._consumer.partitions_for_topic(self._topic) or ())
        ]

    def read(self, partition: str, after: str | None) -> list[LogRecord]:
        """See `Log.read`."""
        from kafka.structs import TopicPartition  # noqa: PLC0415  # an extra, for whoever has Kafka

        place = TopicPartition(self._topic, int(partition.rpartition("-")[2]))
        self._consumer.assign([place])
        self._consumer.seek(place, 0 if after is None else int(after) + 1)
        found = self._consumer.poll(timeout_ms=500, max_records=100).get(place, [])
        return [self._record(partition, each) for each in found]

    def _record(self, partition: str, found: Any) -> LogRecord:
        from staleproof_pipeline.sources import kafka  # noqa: PLC0415

        name = {"partition": partition, "offset": found.offset}
        return LogRecord(found.offset, str(found.offset), name, kafka.record(found))

    def event(self, partition: str, shapes: list[dict[str, Any]]) -> dict[str, Any]:
        """See `Log.event`."""
        return {
            "eventSource": "aws:kafka",
            "eventSourceArn": "arn:aws:kafka:local",
            "records": {partition: shapes},
        }
