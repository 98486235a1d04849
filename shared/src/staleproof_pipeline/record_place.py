"""Where a raw record lies in its source, what carried it and whose trace it is of, as far as it tells. Pure.

A dead letter is about records that cannot be read, so nothing here is sure of anything: what is not there, or is no
text or number, is "".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof_pipeline.change import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PLACE = 256
"""Characters of each."""

_POSITIONS = (
    ("dynamodb", "SequenceNumber"),
    ("kinesis", "sequenceNumber"),
    ("s3", "object", "sequencer"),
    ("Sns", "MessageId"),
    ("messageId",),
    ("MessageId",),
    ("id",),
)
"""Paths of a position, the surest first. Kafka's has three fields, see `_offset`."""

_CHANNELS = (
    ("eventSourceARN",),
    ("Sns", "TopicArn"),
    ("topic",),
    ("s3", "bucket", "name"),
    ("stream",),
    ("source",),
)

_TRACES = (
    ("attributes", "AWSTraceHeader"),
    ("detail", "trace"),
    ("trace",),
    ("traceparent",),
)


class RecordPlace(NamedTuple):
    """What a raw record tells of itself.

    Attributes:
        position: its place in its source: a sequence number, `topic-partition@offset`, a message's id.
        channel: what carried it: a stream's ARN, a topic, a queue, a bucket, a stream's key, a bus event's source.
        trace: its trace id, or header.
    """

    position: str = ""
    channel: str = ""
    trace: str = ""

    @classmethod
    def of(cls, record: Any) -> RecordPlace:
        """Return the place of *record*, whatever it holds."""
        if not isinstance(record, dict):
            return cls()
        position = _offset(record) or _first(record, _POSITIONS)
        return cls(position, _first(record, _CHANNELS), _first(record, _TRACES) or _header(record))


def _offset(record: dict[str, Any]) -> str:
    topic, partition, offset = (record.get(name) for name in ("topic", "partition", "offset"))
    if isinstance(topic, str) and type(partition) is int and type(offset) is int:
        return f"{topic}-{shown(partition, 32)}@{shown(offset, 32)}"
    return ""


def _header(record: dict[str, Any]) -> str:
    """A Kafka record's `traceparent`, whose value is a list of bytes as Lambda writes it."""
    headers = record.get("headers")
    for each in headers if isinstance(headers, list) else ():
        value = each.get("traceparent") if isinstance(each, dict) else None
        if isinstance(value, list) and all(type(byte) is int and 32 <= byte < 127 for byte in value):  # noqa: PLR2004
            return bytes(value[:MAX_PLACE]).decode()
    return ""


def _first(record: dict[str, Any], paths: Sequence[Sequence[str]]) -> str:
    return next((found for path in paths if (found := _at(record, path))), "")


def _at(found: Any, path: Sequence[str]) -> str:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return found[:MAX_PLACE]
    return shown(found, MAX_PLACE) if found else ""
