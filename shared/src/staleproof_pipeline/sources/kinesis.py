"""Kinesis Data Streams, as Lambda's event source mapping delivers them: base64 around JSON.

A stream that DynamoDB writes to carries changes of rows, several times and in any order, which is harmless (P4); their
identity is DynamoDB's. Any other stream carries messages of applications. Records that the Kinesis Producer Library
packed together are refused: they are to be unpacked before, or not packed.
"""

from __future__ import annotations

import re
from typing import Any

from staleproof_pipeline.change import Position, Source
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources import Parsed, RecordSource, payload
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.documents import decoded, document
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

PACKED = b"\xf3\x89\x9a\xc2"
"""The first bytes of records that the Kinesis Producer Library packed."""

EVENT_SOURCE = "aws:kinesis"

_ARN = re.compile(r"arn:[a-z-]+:kinesis:[a-z0-9-]*:\d*:stream/([A-Za-z0-9_.-]{1,128})(?:/.*)?\Z")
_SEQUENCE = re.compile(r"\d{1,129}\Z", re.ASCII)


def parse(raw: Any) -> Parsed:
    """Return what a record's data tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedFormatError: the data was packed by the Kinesis Producer Library.
        EventError: its message can never be read.
    """
    record = an_object(raw)
    flat = "kinesis" not in record and "kinesisSchemaVersion" in record  # EventBridge Pipes writes it so
    told = record if flat else an_object(required(record, "kinesis", dict), "kinesis")
    data = decoded(required(told, "data", str, path="kinesis."), "kinesis.data")
    if data.startswith(PACKED):
        raise UnsupportedFormatError(
            "kinesis.data: the Kinesis Producer Library packed several records into one; set AggregationEnabled=false "
            "in the producer, or unpack them before this stream"
        )
    return payload.read(document(data, "kinesis.data"), _carrier(record, told))


SOURCE = RecordSource("kinesis", parse, ordered=True)


def _carrier(record: dict[str, Any], told: dict[str, Any]) -> Carrier:
    stream = _stream(required(record, "eventSourceARN", str))
    text = required(told, "sequenceNumber", str, path="kinesis.")
    if not _SEQUENCE.match(text):
        raise wrong("kinesis.sequenceNumber", text, "a decimal number of at most 129 digits")
    event_id = optional(record, "eventID", str, "")
    return Carrier(
        source=Source.APPLICATION,
        channel=stream,
        id=event_id or f"{stream}:{text}",
        position=Position.of(event_id.partition(":")[0] or stream, int(text)),
        changed_ms=milliseconds(
            "kinesis.approximateArrivalTimestamp", told.get("approximateArrivalTimestamp") or 0
        ),
        region=optional(record, "awsRegion", str, ""),
    )


def _stream(arn: str) -> str:
    match = _ARN.match(arn)
    if match is None:
        raise wrong("eventSourceARN", arn, "the ARN of a Kinesis stream", "map the function to a stream")
    return match[1]
