"""S3 object events: from the bucket itself (to a function, a queue or a topic) and through EventBridge.

=============  ==========================================================================================
entity         the bucket
keys           `key` as it was written (a notification's is URL-encoded, an event's is not), `version` or None
operation      created: insert, since nobody tells whether it replaced one; removed, expired or lost: remove;
               tags or access list set: modify; archived, restored, replicated: other
row            `bucket`, `key`, `version`, `size`, `etag`: `new`, or `old` if it was removed
position       the object, and its sequencer as a number
=============  ==========================================================================================

Sequencers are hex numbers of varying length which compare as texts padded with zeros *on the right* (Amazon S3 User
Guide, "Event message structure"), and only for one key.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote_plus

from staleproof.errors import UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Position, Source
from staleproof_pipeline.sources import Ignored, RecordSource
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

SEQUENCER_DIGITS = 64
"""To which sequencers are padded; those of S3 have 16 to 18."""

EVENTBRIDGE_SOURCE = "aws.s3"

_SEQUENCER = re.compile(rf"[0-9A-Fa-f]{{1,{SEQUENCER_DIGITS}}}\Z")
_OPERATIONS = {
    "ObjectCreated": Operation.INSERT,
    "ObjectRemoved": Operation.REMOVE,
    "LifecycleExpiration": Operation.REMOVE,
    "ReducedRedundancyLostObject": Operation.REMOVE,
    "ObjectTagging": Operation.MODIFY,
    "ObjectAcl": Operation.MODIFY,
}
_BUS_OPERATIONS = {
    "Object Created": Operation.INSERT,
    "Object Deleted": Operation.REMOVE,
    "Object Tags Added": Operation.MODIFY,
    "Object Tags Deleted": Operation.MODIFY,
    "Object ACL Updated": Operation.MODIFY,
}


def is_test(document: dict[str, Any]) -> bool:
    """Say whether *document* is what S3 sends when a notification is set up."""
    return document.get("Event") == "s3:TestEvent"


def parse(raw: Any) -> ChangeEvent | Ignored:
    """Return the change that a notification's record tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: the record's version is not 2.x.
    """
    record = an_object(raw)
    if is_test(record):
        return Ignored("a test event that S3 sends when notifications are set up")
    version = required(record, "eventVersion", str)
    if version.partition(".")[0] != "2":
        raise UnsupportedEventVersionError(
            f"eventVersion: {version[:40]!r} is not 2.x, which this release reads; upgrade the pipeline, then redrive"
        )
    name = required(record, "eventName", str).removeprefix("s3:")
    told = an_object(required(record, "s3", dict), "s3")
    bucket = _name(told, "s3.")
    found = an_object(told.get("object") or told.get("get_object"), "s3.object")
    key = unquote_plus(required(found, "key", str, path="s3.object."))
    version_id = optional(found, "versionId", str, "", path="s3.object.")
    sequencer = optional(found, "sequencer", str, "", path="s3.object.")
    return _event(
        id=_identity(bucket, key, version_id, sequencer, name),
        operation=_OPERATIONS.get(name.partition(":")[0], Operation.OTHER),
        bucket=bucket,
        row=_row(bucket, key, version_id, found, "eTag"),
        sequencer=sequencer,
        changed_ms=milliseconds("eventTime", record.get("eventTime") or 0),
        region=optional(record, "awsRegion", str, ""),
        expired=name.startswith("LifecycleExpiration"),
        schema_version=version,
    )


SOURCE = RecordSource("s3", parse, ordered=False)


def of_bus(event: dict[str, Any], detail: dict[str, Any]) -> ChangeEvent:
    """Return the change that an EventBridge event of S3 tells; raises as `parse` does."""
    kind = required(event, "detail-type", str)
    bucket = _name(detail, "detail.")
    found = an_object(required(detail, "object", dict, path="detail."), "detail.object")
    key = required(found, "key", str, path="detail.object.")
    version_id = optional(found, "version-id", str, "", path="detail.object.")
    return _event(
        id=required(event, "id", str),
        operation=_BUS_OPERATIONS.get(kind, Operation.OTHER),
        bucket=bucket,
        row=_row(bucket, key, version_id, found, "etag"),
        sequencer=optional(found, "sequencer", str, "", path="detail.object."),
        changed_ms=milliseconds("time", event.get("time") or 0),
        region=optional(event, "region", str, ""),
        expired=detail.get("reason") == "Lifecycle Expiration",
        replayed="replay-name" in event,
        schema_version=optional(detail, "version", str, "", path="detail."),
    )


def _event(
    *, operation: Operation, bucket: str, row: dict[str, Any], sequencer: str, **fields: Any
) -> ChangeEvent:
    side = "old" if operation is Operation.REMOVE else "new"
    return ChangeEvent.of(
        source=Source.S3,
        channel=bucket,
        entity=bucket,
        operation=operation,
        keys={"key": row["key"], "version": row["version"]},
        images=frozenset({side}),
        position=Position.of(f"{bucket}/{row['key']}", _sequence(sequencer), sequencer),
        **{side: row},
        **fields,
    )


def _name(told: dict[str, Any], path: str) -> str:
    bucket = an_object(required(told, "bucket", dict, path=path), f"{path}bucket")
    return required(bucket, "name", str, path=f"{path}bucket.")


def _row(bucket: str, key: str, version: str, found: dict[str, Any], etag: str) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "key": key,
        "version": version or None,
        "size": found.get("size"),
        "etag": found.get(etag),
    }


def _sequence(sequencer: str) -> int | None:
    if not sequencer:
        return None
    if not _SEQUENCER.match(sequencer):
        raise wrong("sequencer", sequencer, f"a hex number of at most {SEQUENCER_DIGITS} digits")
    return int(sequencer.ljust(SEQUENCER_DIGITS, "0"), 16)


def _identity(*parts: str) -> str:
    """S3 gives its events no identity; what they tell is one, the same at every redelivery."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode(errors="surrogatepass"))
    return f"s3:{digest.hexdigest()}"
