"""EventBridge: what applications announce, and what other regions have applied already.

An event of the source `staleproof` with the detail-type `Staleproof Invalidation` carries invalidations from another
region; everything else is an application event, whose detail is the row after the change::

    {"source": "staleproof", "detail-type": "Staleproof Invalidation",
     "detail": {"schema": 1, "origin": "eu-west-1", "invalidations": [{"id": ..., "tags": [...]}, ...]}}
"""

from __future__ import annotations

from typing import Any

from staleproof.errors import EventError, OversizedEventError, UnsupportedEventVersionError
from staleproof.events import Invalidation
from staleproof.events.invalidation import convert
from staleproof_pipeline import bounds
from staleproof_pipeline.change import ChangeEvent, Operation, Position, Source
from staleproof_pipeline.errors import FieldError
from staleproof_pipeline.sources import RecordSource, Replicated
from staleproof_pipeline.sources.fields import an_object, milliseconds, optional, required, wrong

DETAIL_TYPE = "Staleproof Invalidation"
SOURCE_NAME = "staleproof"
SCHEMA = 1
MAX_INVALIDATIONS = 1_000
"""Of one event; what ships them packs fewer."""

_VERSION = "0"


def parse(raw: Any) -> ChangeEvent | Replicated:
    """Return what an event tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedEventVersionError: the envelope or the detail has a version that this release does not read.
        OversizedEventError: it carries more than `MAX_INVALIDATIONS`.
    """
    event = an_object(raw, "event")
    _check_version(event)
    detail = an_object(required(event, "detail", dict), "detail")
    kind = required(event, "detail-type", str)
    if kind == DETAIL_TYPE and event.get("source") == SOURCE_NAME:
        return _replicated(detail)
    return _change(event, kind, detail)


SOURCE = RecordSource("eventbridge", parse, ordered=False)


def _check_version(event: dict[str, Any]) -> None:
    version = required(event, "version", str)
    if version != _VERSION:
        raise UnsupportedEventVersionError(
            f"version: {version[:40]!r} is not {_VERSION!r}, which this release reads; "
            "upgrade the pipeline, then redrive"
        )


def _change(event: dict[str, Any], kind: str, detail: dict[str, Any]) -> ChangeEvent:
    keys = detail.get("keys")
    trace = detail.get("trace")
    region = optional(event, "region", str, "")
    return ChangeEvent.of(
        id=required(event, "id", str),
        source=Source.EVENTBRIDGE,
        entity=kind,
        operation=_operation(detail.get("operation")),
        keys=keys if isinstance(keys, dict) else {},
        new=detail,
        images=frozenset({"new"}),
        changed_ms=milliseconds("time", event.get("time") or 0),
        position=Position(partition=required(event, "id", str)[:64]),
        region=region,
        trace=trace if isinstance(trace, str) else "",
        schema_version=event["version"],
    )


def _operation(told: Any) -> Operation:
    try:
        return Operation(told)
    except ValueError:
        return Operation.OTHER


def _replicated(detail: dict[str, Any]) -> Replicated:
    schema = required(detail, "schema", int, path="detail.")
    if schema != SCHEMA:
        raise UnsupportedEventVersionError(
            f"detail.schema: {schema} is not {SCHEMA}, which this release reads; upgrade this region, then redrive"
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
