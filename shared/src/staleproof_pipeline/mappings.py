"""Lambda's event source mappings: how each delivers a batch, and by what name it asks for a failed record.

=============  =========================  ==============================================  =====================
mapping        records in                 a failed record's `itemIdentifier`              order is kept by
=============  =========================  ==============================================  =====================
DynamoDB       `Records`                  `dynamodb.SequenceNumber`                       the item's key
Kinesis        `Records`                  `kinesis.sequenceNumber`                        the partition key
SQS            `Records`                  `messageId`                                     nothing
SQS FIFO       `Records`                  `messageId`                                     `MessageGroupId`
Kafka          `records`, by partition    `{"partition": "TOPIC-PARTITION", "offset": n}`  the record's key
=============  =========================  ==============================================  =====================

Streams and Kafka's partitions are delivered again from the lowest failed record on; of a FIFO queue a message must be
named if one of its group before it was. Kafka's identifier as an object: AWS Lambda Developer Guide, "Using Lambda with
Apache Kafka", partial batch responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import MalformedEventError
from staleproof_pipeline.order import Order
from staleproof_pipeline.sources import dynamodb_streams, envelope, kafka, kinesis

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof_pipeline.sources import RecordSource

FIFO = ".fifo"
KAFKA_SOURCES = ("aws:kafka", "SelfManagedKafka")


class Mapping(NamedTuple):
    """One kind of event source mapping.

    Attributes:
        by: what delivers, for messages.
        records: finds the records of an event; None if it holds none.
        identifier: a record's name in a response, None if it has none that can be read.
        source: reads a record.
        order: how records hang together.
    """

    by: str
    records: Callable[[dict[str, Any]], list[Any] | None]
    identifier: Callable[[Any], Any]
    source: RecordSource
    order: Order

    def taken(self, event: Any) -> list[Any]:
        """Return the records of *event*.

        Raises:
            MalformedEventError: it holds none, so no such mapping sent it.
        """
        records = self.records(event) if isinstance(event, dict) else None
        if records is None:
            name = "records" if self is KAFKA else "Records"
            kind = "object" if self is KAFKA else "list"
            raise MalformedEventError(
                f"event: there is no {kind} {name!r}; invoke this function by {self.by} event source mapping"
            )
        return records


def _listed(event: dict[str, Any]) -> list[Any] | None:
    records = event.get("Records")
    return records if isinstance(records, list) else None


def _of_partitions(event: dict[str, Any]) -> list[Any] | None:
    """All records, those of a partition together; what is no list is one record, which is poison and loses nothing."""
    partitions = event.get("records")
    if not isinstance(partitions, dict):
        return None
    lists = (each if isinstance(each, list) else [each] for each in partitions.values())
    return [record for each in lists for record in each]


def _field(record: Any, *path: str) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record


def _text(record: Any, *path: str) -> str | None:
    found = _field(record, *path)
    return found if isinstance(found, str) and found else None


# --- streams ------------------------------------------------------------------------------------------------


def _dynamodb_number(record: Any) -> str | None:
    return _text(record, "dynamodb", "SequenceNumber")


def _item(record: Any) -> str | None:
    keys = _field(record, "dynamodb", "Keys")
    if not isinstance(keys, dict) or not all(isinstance(name, str) for name in keys):
        return None
    try:
        return repr(sorted(keys.items()))
    except (ValueError, TypeError, RecursionError):  # numbers of thousands of digits, and worse: it is poison
        return None


def _kinesis_number(record: Any) -> str | None:
    return _text(record, "kinesis", "sequenceNumber")


def _partition_key(record: Any) -> str | None:
    return _text(record, "kinesis", "partitionKey")


def _one_shard(_: Any) -> str:
    return ""  # a batch of a stream is always of one shard


DYNAMODB = Mapping(
    "a DynamoDB stream's",
    _listed,
    _dynamodb_number,
    dynamodb_streams.SOURCE,
    Order(_dynamodb_number, _item, _one_shard),
)
KINESIS = Mapping(
    "a Kinesis stream's",
    _listed,
    _kinesis_number,
    kinesis.SOURCE,
    Order(_kinesis_number, _partition_key, _one_shard),
)


def of_stream(event: Any) -> Mapping:
    """Return whose event it is: of a Kinesis stream, or else of DynamoDB."""
    records = _listed(event) if isinstance(event, dict) else None
    for record in records or ():
        if (source := _text(record, "eventSource")) is not None:
            return KINESIS if source == kinesis.EVENT_SOURCE else DYNAMODB
    return DYNAMODB


# --- queues -------------------------------------------------------------------------------------------------


def _message(record: Any) -> str | None:
    return _text(record, "messageId")


def _group(record: Any) -> str | None:
    """The message's group, if its queue is FIFO: those of standard queues, which balance load, keep no order."""
    arn = _text(record, "eventSourceARN") or ""
    fifo = arn.endswith(FIFO) or _text(record, "attributes", "SequenceNumber") is not None
    return _text(record, "attributes", "MessageGroupId") if fifo else None


SQS = Mapping("an SQS queue's", _listed, _message, envelope.SOURCE, Order(_message, _group, _group))


def of_queue(event: Any, name: str) -> bool:
    """Say whether *event* comes from the queue called *name*."""
    records = _listed(event) if isinstance(event, dict) else None
    return bool(records) and all(
        (_text(each, "eventSourceARN") or "").endswith(f":{name}") for each in records or ()
    )


# --- Kafka --------------------------------------------------------------------------------------------------


def _number(record: Any, name: str) -> int | None:
    found = _field(record, name)
    return found if type(found) is int and 0 <= found <= kafka.MAX_OFFSET else None


def _partition(record: Any) -> str | None:
    topic, number = _text(record, "topic"), _number(record, "partition")
    return f"{topic}-{number}" if topic is not None and number is not None else None


def _offset(record: Any) -> dict[str, Any] | None:
    partition, offset = _partition(record), _number(record, "offset")
    return {"partition": partition, "offset": offset} if partition and offset is not None else None


def _place(record: Any) -> tuple[str, int] | None:
    partition, offset = _partition(record), _number(record, "offset")
    return (partition, offset) if partition and offset is not None else None


def _key(record: Any) -> tuple[str, str] | None:
    partition, key = _partition(record), _text(record, "key")
    return (partition, key) if partition and key else None


KAFKA = Mapping("a Kafka topic's", _of_partitions, _offset, kafka.SOURCE, Order(_place, _key, _partition))
