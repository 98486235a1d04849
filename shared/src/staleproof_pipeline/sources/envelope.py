"""Queues and topics: SQS and SNS messages, and whatever is wrapped in them.

A queue's body, and a topic's message, is any document that `sources.payload` reads, an SNS notification around one, or
records as some event source writes them: of S3, DynamoDB, Kinesis, Kafka, SNS, SQS. Wrappers nest at most `MAX_DEPTH`
deep. What a change is called by is the innermost name: an event's own id, else the id of the message around it.

Both shapes of a queue's message are read: Lambda's (`messageId`, `body`) and the API's (`MessageId`, `Body`), which
does not tell its queue; `record` makes one of the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from staleproof.errors import OversizedEventError
from staleproof_pipeline.change import MAX_EPOCH_MS, Position, Source
from staleproof_pipeline.sources import (
    Ignored,
    Parsed,
    RecordSource,
    dynamodb_streams,
    kafka,
    kinesis,
    payload,
    s3,
)
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.documents import document
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 8
"""Wrappers within wrappers: a queue behind a topic behind a bus has three."""

_SEQUENCE = re.compile(r"\d{1,40}\Z", re.ASCII)
_OF_KAFKA = ("aws:kafka", "SelfManagedKafka")
_CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


def record(message: dict[str, Any], queue_arn: str) -> dict[str, Any]:
    """Return a message of the API's `ReceiveMessage` as Lambda would deliver it.

    Args:
        message: as boto3 returns it.
        queue_arn: of the queue; a message does not tell it.
    """
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message.get("ReceiptHandle", ""),
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": _region(queue_arn),
    }


def sqs(raw: Any, depth: int = 0) -> Parsed:
    """Return what a queue's message tells.

    Raises:
        MalformedEventError: it is no message, or its body is no JSON.
        OversizedEventError: wrappers nest deeper than `MAX_DEPTH`.
        EventError: what it wraps can never be read.
    """
    record = an_object(raw)
    name = "messageId" if "messageId" in record else "MessageId"
    message_id = required(record, name, str)
    body = required(record, "body" if "body" in record else "Body", str)
    attributes = an_object(record.get("attributes") or record.get("Attributes") or {}, "attributes")
    queue = _last(optional(record, "eventSourceARN", str, ""))
    carrier = Carrier(
        source=Source.APPLICATION,
        channel=queue,
        id=message_id,
        position=_place(queue, attributes),
        changed_ms=_sent(attributes.get("SentTimestamp")),
        region=optional(record, "awsRegion", str, ""),
        trace=_text(attributes.get("AWSTraceHeader")),
    )
    return opened(document(body, "body"), carrier, depth + 1)


def sns(raw: Any, depth: int = 0) -> Parsed:
    """Return what a topic's message tells, as Lambda delivers it; raises as `sqs` does."""
    record = an_object(raw)
    return _notification(an_object(required(record, "Sns", dict), "Sns"), depth)


SOURCE = RecordSource("sqs", sqs, ordered=False)
SNS_SOURCE = RecordSource("sns", sns, ordered=False)


def opened(found: Any, carrier: Carrier, depth: int = 0) -> Parsed:
    """Return what *found* tells, which *carrier* carried; raises as `sqs` does."""
    if depth > MAX_DEPTH:
        raise OversizedEventError(f"message: wrapped more than {MAX_DEPTH} times; send it plain")
    if isinstance(found, str):
        return opened(document(found, "message"), carrier, depth + 1)
    if isinstance(found, list):
        return payload.each(found, lambda one, at: opened(one, _numbered(carrier, at), depth + 1))
    if not isinstance(found, dict):
        raise wrong("message", found, "an object")
    if found.get("Type") == "Notification" and "TopicArn" in found:
        return _notification(found, depth)
    if found.get("Type") in _CONFIRMATIONS and "TopicArn" in found:
        return Ignored("a confirmation of a subscription; confirm it, no rule is about it")
    return _records(found, carrier, depth)


def _records(found: dict[str, Any], carrier: Carrier, depth: int) -> Parsed:
    if isinstance(found.get("Records"), list) and not found.keys() - {"Records"}:
        return payload.each(found["Records"], lambda one, at: opened(one, _numbered(carrier, at), depth + 1))
    kind = found.get("eventSource", found.get("EventSource"))
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is not None and not dynamodb_streams.is_kinesis(found):
        return reader(found, depth)
    if is_kafka_event(found):
        return kafka_event(found)
    if {"topic", "partition", "offset", "timestampType"} <= found.keys():
        return kafka.parse(found)
    return payload.read(found, carrier)


def is_kafka_event(found: dict[str, Any]) -> bool:
    """Whether *found* is a whole event of Kafka's."""
    return found.get("eventSource") in _OF_KAFKA and isinstance(found.get("records"), dict)


def kafka_event(found: dict[str, Any], reading: kafka.Reading = kafka.PLAIN) -> Parsed:
    """Return what a whole event of Kafka's tells, which has a list a partition; raises as `sqs` does."""
    lists = (listed if isinstance(listed, list) else [listed] for listed in found["records"].values())
    return payload.each([one for listed in lists for one in listed], lambda one, _: kafka.parse(one, reading))


def _notification(told: dict[str, Any], depth: int) -> Parsed:
    topic = required(told, "TopicArn", str, path="Sns.")
    name = _last(topic)
    carrier = Carrier(
        source=Source.APPLICATION,
        channel=name,
        id=required(told, "MessageId", str, path="Sns."),
        position=_place(name, told),
        changed_ms=milliseconds("Sns.Timestamp", told.get("Timestamp") or 0),
        region=_region(topic),
    )
    return opened(document(required(told, "Message", str, path="Sns."), "Sns.Message"), carrier, depth + 1)


def _numbered(carrier: Carrier, at: int) -> Carrier:
    return carrier._replace(id=f"{carrier.id}:{at}")


def _place(channel: str, told: dict[str, Any]) -> Position:
    """A FIFO queue's or topic's message has a number within its group; others have no order."""
    number, group = told.get("SequenceNumber"), told.get("MessageGroupId")
    if not isinstance(number, str) or not _SEQUENCE.match(number):
        return Position.of(channel)
    return Position.of(f"{channel}/{group}" if isinstance(group, str) else channel, int(number))


def _sent(told: Any) -> int:
    """UTC milliseconds as text."""
    if not isinstance(told, str) or not _SEQUENCE.match(told):
        return 0
    return int(told) if int(told) <= MAX_EPOCH_MS else 0


def _text(told: Any) -> str:
    return told[:256] if isinstance(told, str) else ""


def _last(arn: str) -> str:
    return arn.rpartition(":")[2]


def _region(arn: str) -> str:
    parts = arn.split(":", 4)
    return parts[3] if len(parts) == 5 else ""  # noqa: PLR2004 - arn:partition:service:region:rest


_READERS: dict[str, Callable[[Any, int], Parsed]] = {
    "aws:sqs": sqs,
    "aws:sns": sns,
    "aws:s3": lambda found, _: s3.parse(found),
    "aws:kinesis": lambda found, _: kinesis.parse(found),
    "aws:dynamodb": lambda found, _: dynamodb_streams.change(found),
}
