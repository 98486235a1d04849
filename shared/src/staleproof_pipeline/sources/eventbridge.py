"""EventBridge: what applications, partners and AWS announce, and what other regions have applied already.

==============================================  ================================================================
source `staleproof`, `Staleproof Invalidation`  invalidations that another region has applied
source `aws.s3`                                 the change of an object, as `sources.s3` reads it
a published message as detail                   what it says, as `sources.published` reads it
a record of a DynamoDB stream as detail (Pipes) the change of a row
a record of Kinesis, Kafka or SQS likewise      what it tells, as its own source reads it
`Scheduled Event`                               a change of nothing: its key `schedule` is the rule's name
everything else, partners' events too           the detail is the row after the change, the detail-type the entity
==============================================  ================================================================

An event does not tell the bus that it came by, so its `channel` is its `source`. What an archive replays is the same
event; it is marked. The invalidations of another region::

    {"source": "staleproof", "detail-type": "Staleproof Invalidation",
     "detail": {"schema": 1, "origin": "eu-west-1", "invalidations": [{"id": ..., "tags": [...]}, ...]}}
"""

from __future__ import annotations

from typing import Any

from staleproof.errors import EventError, OversizedEventError, UnsupportedEventVersionError
from staleproof.events import Invalidation
from staleproof.events.invalidation import convert
from staleproof_pipeline import bounds
from staleproof_pipeline.change import ChangeEvent, Position, Source, shown
from staleproof_pipeline.errors import FieldError
from staleproof_pipeline.sources import (
    Parsed,
    RecordSource,
    Replicated,
    dynamodb_streams,
    published,
    rows,
    s3,
)
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

DETAIL_TYPE = "Staleproof Invalidation"
SOURCE_NAME = "staleproof"
SCHEMA = 1
SCHEDULED = "Scheduled Event"
SCHEDULERS = ("aws.events", "aws.scheduler")
PIPED = ("aws:kinesis", "aws:kafka", "SelfManagedKafka", "aws:sqs")
"""What a pipe's records name as their source."""

MAX_INVALIDATIONS = 1_000
"""Of one event; what ships them packs fewer."""

_VERSION = "0"


def is_event(document: dict[str, Any]) -> bool:
    """Say whether *document* is an event of a bus."""
    return "detail-type" in document and "detail" in document


def parse(raw: Any) -> Parsed:
    """Return what an event tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: the envelope or the detail has a version that this release does not read.
        OversizedEventError: it carries more than `MAX_INVALIDATIONS`.
    """
    event = an_object(raw, "event")
    _check_version(event)
    kind, source = required(event, "detail-type", str), optional(event, "source", str, "")
    if kind == SCHEDULED and source in SCHEDULERS:
        return _scheduled(event, source)
    detail = an_object(required(event, "detail", dict), "detail")
    if kind == DETAIL_TYPE and source == SOURCE_NAME:
        return _replicated(detail)
    if source == s3.EVENTBRIDGE_SOURCE and isinstance(detail.get("object"), dict):
        return s3.of_bus(event, detail)
    if published.is_published(detail):
        return published.read(detail, _carrier(event, source))
    return _piped(detail, _carrier(event, source)) or _change(event, kind, source, detail)


def _piped(detail: dict[str, Any], carrier: Carrier) -> Parsed | None:
    """What a record tells that a pipe put on the bus; None if *detail* is none."""
    kind = detail.get("eventSource")
    if kind == dynamodb_streams.EVENT_SOURCE and "eventSourceARN" in detail:
        return dynamodb_streams.change(detail)
    if kind not in PIPED:
        return None
    from staleproof_pipeline.sources import envelope  # noqa: PLC0415 - it opens events, too

    return envelope.opened(detail, carrier)


SOURCE = RecordSource("eventbridge", parse, ordered=False)


def _check_version(event: dict[str, Any]) -> None:
    version = required(event, "version", str)
    if version != _VERSION:
        raise UnsupportedEventVersionError(
            f"version: {version[:40]!r} is not {_VERSION!r}, which this release reads; "
            "upgrade the pipeline, then redrive"
        )


def _carrier(event: dict[str, Any], source: str) -> Carrier:
    return Carrier(
        source=Source.EVENTBRIDGE,
        channel=source,
        id=required(event, "id", str),
        position=Position.of(required(event, "id", str)[:64]),
        changed_ms=milliseconds("time", event.get("time") or 0),
        region=optional(event, "region", str, ""),
    )


def _change(
    event: dict[str, Any], kind: str, source: str, detail: dict[str, Any], keys: dict[str, Any] | None = None
) -> ChangeEvent:
    told, trace = detail.get("keys"), detail.get("trace")
    return ChangeEvent.of(
        **_carrier(event, source)._asdict()
        | {
            "entity": kind,
            "operation": rows.operation(detail.get("operation")),
            "keys": keys or (told if isinstance(told, dict) else {}),
            "new": detail,
            "images": frozenset({"new"}),
            "replayed": "replay-name" in event,
            "trace": trace if isinstance(trace, str) else "",
            "schema_version": event["version"],
        }
    )


def _scheduled(event: dict[str, Any], source: str) -> ChangeEvent:
    """A schedule's detail is empty, and a text where EventBridge Scheduler wrote it."""
    detail, resources = event.get("detail"), event.get("resources")
    arn = resources[0] if isinstance(resources, list) and resources else ""
    schedule = arn.rpartition("/")[2] if isinstance(arn, str) else ""
    row = detail if isinstance(detail, dict) else {}
    return _change(event, SCHEDULED, source, an_object(row, "detail"), {"schedule": schedule})


def _replicated(detail: dict[str, Any]) -> Replicated:
    schema = required(detail, "schema", int, path="detail.")
    if schema != SCHEMA:
        raise UnsupportedEventVersionError(
            f"detail.schema: {shown(schema)} is not {SCHEMA}, which this release reads; upgrade this region, then "
            "redrive"
        )
    documents = required(detail, "invalidations", list, path="detail.")
    if len(documents) > MAX_INVALIDATIONS:
        raise OversizedEventError(
            f"detail.invalidations: {len(documents)} exceeds {MAX_INVALIDATIONS}; send several events"
        )
    read = [_invalidation(document, at) for at, document in enumerate(documents)]
    good = tuple(each for each in read if isinstance(each, Invalidation))
    bad = tuple(each for each in read if isinstance(each, EventError))
    return Replicated(required(detail, "origin", str, path="detail."), good, bad)


def _invalidation(document: Any, at: int) -> Invalidation | EventError:
    """Read one; an error is returned, so that it costs its neighbours nothing."""
    try:
        found = bounds.checked(convert(document))
        if not found.origin:
            return wrong(f"detail.invalidations[{at}].origin", "", "a region")
    except EventError as error:
        place = f"detail.invalidations[{at}]"
        if isinstance(error, FieldError):
            return FieldError(f"{place}: {error}", place)
        return type(error)(f"{place}: {error}")
    return found
