"""DynamoDB's records of changed items: by its own streams, and by Kinesis Data Streams.

What a record tells depends on the stream's view type: with `NEW_IMAGE`, for one, nobody knows what the row was
before. `ChangeEvent.images` says what the stream would have told, so that a rule which needs more than it can get is
noticed instead of deriving too little. Sequence numbers are compared as integers: their length differs.

A global table's replica tells a write of another region as its own. Version 2017.11.29 writes `aws:rep:...` attributes
into the items, and every write a second time to do so; they are no part of the row, and a record in which nothing else
changed is ignored. Later versions leave the items alone. `ChangeEvent.writer` has what either version tells.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from staleproof.errors import OversizedEventError, UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Position, Source, shown
from staleproof_pipeline.sources import Ignored, RecordSource, attribute_values, outbox
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

if TYPE_CHECKING:
    from staleproof_pipeline.sources import Asked
    from staleproof_pipeline.sources.carried import Carrier

MAX_RECORD_BYTES = 2 * 1_048_576
"""An item has at most 400 kB, and a record two images and a key: what claims more was not written by DynamoDB."""

EVENT_SOURCE = "aws:dynamodb"
OPERATIONS = {"INSERT": Operation.INSERT, "MODIFY": Operation.MODIFY, "REMOVE": Operation.REMOVE}
BOTH = frozenset({"old", "new"})
IMAGES = {
    "KEYS_ONLY": frozenset[str](),
    "NEW_IMAGE": frozenset({"new"}),
    "OLD_IMAGE": frozenset({"old"}),
    "NEW_AND_OLD_IMAGES": BOTH,
}
TTL_PRINCIPAL = "dynamodb.amazonaws.com"
REPLICATION_PREFIX = "aws:rep:"
REPLICATION_REGION = "aws:rep:updateregion"
PER_SECOND = {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}
"""Units of a record's time in Kinesis; a stream's own records tell seconds."""

_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]*:\d*:table/([A-Za-z0-9_.-]{1,255})/stream/(.{1,64})\Z")
_SEQUENCE = re.compile(r"\d{1,40}\Z", re.ASCII)


def change(raw: Any) -> ChangeEvent | Ignored:
    """Return the change that a stream record tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: the record's version is not 1.x.
        OversizedEventError: it is larger than any that DynamoDB writes.
    """
    record = an_object(raw)
    _check_version(record)
    told = an_object(required(record, "dynamodb", dict), "dynamodb")
    table, label = _table(required(record, "eventSourceARN", str))
    sequence = _sequence(required(told, "SequenceNumber", str, path="dynamodb."))
    return _item(
        record,
        told,
        id=optional(record, "eventID", str, "") or f"{table}:{label}:{sequence}",
        entity=table,
        channel=table,
        changed_ms=milliseconds(
            "dynamodb.ApproximateCreationDateTime", told.get("ApproximateCreationDateTime") or 0
        ),
        position=Position.of(label, sequence),
        schema_version=record["eventVersion"],
    )


def parse(raw: Any) -> ChangeEvent | Asked | Ignored:
    """Return what a stream record tells: of an outbox the message, of other tables the change; raises as `change`."""
    return outbox.opened(change(raw))


SOURCE = RecordSource("dynamodb", parse, ordered=True)


def of_api(record: dict[str, Any], stream_arn: str) -> dict[str, Any]:
    """Return a record of the API's `GetRecords` as an event source mapping would deliver it: as plain JSON.

    Args:
        record: as boto3 returns it: a datetime, bytes, and no word of the stream.
        stream_arn: of the stream that it was read from.
    """
    return {**_plain(record), "eventSourceARN": stream_arn}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.timestamp() if isinstance(value, datetime) else value


def is_kinesis(document: dict[str, Any]) -> bool:
    """Say whether *document* is a change that DynamoDB wrote to a Kinesis stream."""
    return document.get("eventSource") == EVENT_SOURCE and "tableName" in document


def of_kinesis(record: dict[str, Any], carrier: Carrier) -> ChangeEvent | Ignored:
    """Return the change that DynamoDB wrote to a Kinesis stream, where it comes repeatedly and in any order.

    Its identity is DynamoDB's, the same in every copy. Raises as `change` does.
    """
    told = an_object(required(record, "dynamodb", dict), "dynamodb")
    unit = optional(told, "ApproximateCreationDateTimePrecision", str, "MILLISECOND", path="dynamodb.")
    if unit not in PER_SECOND:
        raise wrong("dynamodb.ApproximateCreationDateTimePrecision", unit, f"one of {', '.join(PER_SECOND)}")
    ticks = optional(told, "ApproximateCreationDateTime", int, 0, path="dynamodb.")
    return _item(
        record,
        {**told, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        id=optional(record, "eventID", str, "") or carrier.id,
        entity=required(record, "tableName", str),
        channel=carrier.channel,
        changed_ms=ticks * 1_000 // PER_SECOND[unit],
        position=carrier.position,
        trace=carrier.trace,
    )


def _item(record: dict[str, Any], told: dict[str, Any], **fields: Any) -> ChangeEvent | Ignored:
    _check_size(told)
    keys = attribute_values.item(required(told, "Keys", dict, path="dynamodb."), "dynamodb.Keys")
    old, new = _image(told, "OldImage"), _image(told, "NewImage")
    operation = _operation(required(record, "eventName", str))
    region = next((row[REPLICATION_REGION] for row in (new, old) if row and REPLICATION_REGION in row), "")
    before, after = _without_replication(old), _without_replication(new)
    if region and old != new and _told_without(told, "OldImage") == _told_without(told, "NewImage"):
        return Ignored("only the attributes of a global table's replication changed")
    return ChangeEvent.of(
        source=Source.DYNAMODB,
        operation=operation,
        keys=keys,
        old=before,
        new=after,
        images=_images(told, old, new) - _left_out(operation, old, new),
        region=optional(record, "awsRegion", str, ""),
        expired=_principal(record) == TTL_PRINCIPAL,
        writer=region if isinstance(region, str) and region else _principal(record),
        **fields,
    )


def _told_without(told: dict[str, Any], name: str) -> dict[str, Any] | None:
    """An image as it is written, where true is not 1."""
    return _without_replication(told.get(name))


def _without_replication(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None or not any(name.startswith(REPLICATION_PREFIX) for name in row):
        return row
    return {name: each for name, each in row.items() if not name.startswith(REPLICATION_PREFIX)}


def _check_version(record: dict[str, Any]) -> None:
    version = required(record, "eventVersion", str)
    if version.partition(".")[0] != "1":
        raise UnsupportedEventVersionError(
            f"eventVersion: {version[:40]!r} is not 1.x, which this release reads; upgrade the pipeline, then redrive"
        )


def _check_size(told: dict[str, Any]) -> None:
    size = optional(told, "SizeBytes", int, 0, path="dynamodb.")
    if size > MAX_RECORD_BYTES:
        raise OversizedEventError(
            f"dynamodb.SizeBytes: {shown(size)} exceeds {MAX_RECORD_BYTES}; keep large values in S3 and their keys in "
            "the item"
        )


def _table(arn: str) -> tuple[str, str]:
    match = _ARN.match(arn)
    if match is None:
        raise wrong(
            "eventSourceARN", arn, "the ARN of a DynamoDB stream", "map the function to a table's stream"
        )
    return match[1], match[2]


def _sequence(text: str) -> int:
    if not _SEQUENCE.match(text):
        raise wrong("dynamodb.SequenceNumber", text, "a decimal number of at most 40 digits")
    return int(text)


def _operation(name: str) -> Operation:
    if name not in OPERATIONS:
        raise wrong("eventName", name, f"one of {', '.join(OPERATIONS)}")
    return OPERATIONS[name]


def _image(told: dict[str, Any], name: str) -> dict[str, Any] | None:
    raw = told.get(name)
    return None if raw is None else attribute_values.item(raw, f"dynamodb.{name}")


def _images(told: dict[str, Any], old: object, new: object) -> frozenset[str]:
    view = optional(told, "StreamViewType", str, "", path="dynamodb.")
    if not view:
        return frozenset(name for name, image in (("old", old), ("new", new)) if image is not None)
    if view not in IMAGES:
        raise wrong("dynamodb.StreamViewType", view, f"one of {', '.join(IMAGES)}")
    return IMAGES[view]


def _left_out(operation: Operation, old: object, new: object) -> set[str]:
    """The rows that there are, and that somebody on the way took out of the record: whatever its view, nobody tells."""
    there = {Operation.INSERT: {"new"}, Operation.REMOVE: {"old"}}.get(operation, {"old", "new"})
    return there - {side for side, image in (("old", old), ("new", new)) if image is not None}


def _principal(record: dict[str, Any]) -> str:
    identity = record.get("userIdentity")
    principal = identity.get("principalId") if isinstance(identity, dict) else None
    return principal if isinstance(principal, str) else ""
