"""DynamoDB Streams, as Lambda's event source mapping delivers them.

What a record tells depends on the stream's view type: with `NEW_IMAGE`, for one, nobody knows what the row was
before. `ChangeEvent.images` says what the stream would have told, so that a rule which needs more than it can get is
noticed instead of deriving too little. Sequence numbers are compared as integers: their length differs.
"""

from __future__ import annotations

import re
from typing import Any

from staleproof.errors import OversizedEventError, UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Position, Source
from staleproof_pipeline.sources import RecordSource, attribute_values
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

MAX_RECORD_BYTES = 2 * 1_048_576
"""An item has at most 400 kB, and a record two images and a key: what claims more was not written by DynamoDB."""

OPERATIONS = {"INSERT": Operation.INSERT, "MODIFY": Operation.MODIFY, "REMOVE": Operation.REMOVE}
IMAGES = {
    "KEYS_ONLY": frozenset[str](),
    "NEW_IMAGE": frozenset({"new"}),
    "OLD_IMAGE": frozenset({"old"}),
    "NEW_AND_OLD_IMAGES": frozenset({"old", "new"}),
}
TTL_PRINCIPAL = "dynamodb.amazonaws.com"

_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]*:\d*:table/([A-Za-z0-9_.-]{1,255})/stream/(.{1,64})\Z")
_SEQUENCE = re.compile(r"\d{1,40}\Z", re.ASCII)


def change(raw: Any) -> ChangeEvent:
    """Return the change that a stream record tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: the record's version is not 1.x.
        OversizedEventError: it is larger than any that DynamoDB writes.
    """
    record = an_object(raw)
    _check_version(record)
    told = an_object(required(record, "dynamodb", dict), "dynamodb")
    _check_size(told)
    table, label = _table(required(record, "eventSourceARN", str))
    sequence = _sequence(required(told, "SequenceNumber", str, path="dynamodb."))
    keys = attribute_values.item(required(told, "Keys", dict, path="dynamodb."), "dynamodb.Keys")
    old, new = _image(told, "OldImage"), _image(told, "NewImage")
    return ChangeEvent.of(
        id=optional(record, "eventID", str, "") or f"{table}:{label}:{sequence}",
        source=Source.DYNAMODB,
        entity=table,
        operation=_operation(required(record, "eventName", str)),
        keys=keys,
        old=old,
        new=new,
        images=_images(told, old, new),
        changed_ms=milliseconds(
            "dynamodb.ApproximateCreationDateTime", told.get("ApproximateCreationDateTime") or 0
        ),
        position=Position(partition=label, sequence=sequence),
        region=optional(record, "awsRegion", str, ""),
        expired=_expired(record),
        schema_version=record["eventVersion"],
    )


SOURCE = RecordSource("dynamodb", change, ordered=True)


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
            f"dynamodb.SizeBytes: {size} exceeds {MAX_RECORD_BYTES}; keep large values in S3 and their keys in the item"
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


def _expired(record: dict[str, Any]) -> bool:
    identity = record.get("userIdentity")
    return isinstance(identity, dict) and identity.get("principalId") == TTL_PRINCIPAL
