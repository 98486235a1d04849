"""What lies in a store, as records to apply again: a letter, a batch or an event that AWS gave up, a deferral. Pure.

===========================================================  =============================================
text                                                         its records
===========================================================  =============================================
a letter of `dead_letter`, of any schema up to ours          its payload, read by the source it names
`DDBStreamBatchInfo`, `KinesisBatchInfo`, `KafkaBatchInfo`   those in `payload`, which the copy in S3 has;
                                                             without it they must be read again (`batch`)
`requestContext` and `requestPayload`                        those of the event that a function failed at
an invalidation                                              itself: it was put off, and never came back
anything else                                                those of an event, or what a queue's message wraps
===========================================================  =============================================
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import MalformedEventError
from staleproof_pipeline import invocations
from staleproof_pipeline.dead_letter import DeadLetter, assemble
from staleproof_pipeline.deferral import DUE
from staleproof_pipeline.redriving.batch_place import BatchPlace
from staleproof_pipeline.sources import (
    RecordSource,
    direct,
    dynamodb_streams,
    envelope,
    eventbridge,
    kafka,
    kinesis,
    redis_stream,
    s3,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Run = tuple[RecordSource, list[Any]]
"""Neighbours of a kind, and what reads them."""

SOURCES: Mapping[str, RecordSource] = {
    each.name: each
    for each in (
        dynamodb_streams.SOURCE,
        kinesis.SOURCE,
        kafka.SOURCE,
        redis_stream.SOURCE,
        eventbridge.SOURCE,
        envelope.SOURCE,
        envelope.SNS_SOURCE,
        s3.SOURCE,
        direct.SOURCE,
        DUE,
    )
}
"""Every source by the name that letters know it by."""

UNDELIVERED = "undelivered"
"""The reason of what AWS gave up; a letter has its own."""


class Parcel(NamedTuple):
    """What is to be redriven as a whole.

    Attributes:
        id: the letter's, or a digest of the text: the same, whenever it is taken.
        reason: as in `DeadLetter`, or `undelivered`.
        source: name of the source of its records.
        runs: its records; none if they must be read again.
        letter: if it is one.
        batch: where its records are, if they are not in it.
        channel: what carried it.
        at_ms: when it was given up, in UTC milliseconds; 0 if it does not tell.
    """

    id: str
    reason: str
    source: str
    runs: tuple[Run, ...] = ()
    letter: DeadLetter | None = None
    batch: BatchPlace | None = None
    channel: str = ""
    at_ms: int = 0


def read(texts: Sequence[str]) -> Parcel:
    """Return what *texts* are, several only for the pieces of one letter.

    Raises:
        EventError: they are nothing that can be redriven.
    """
    found = _document(texts[0])
    if not isinstance(found, dict):
        return _event(texts[0], found)
    if is_letter(found):
        return _of_letter(assemble(texts))
    if (batch := BatchPlace.of(found)) is not None:
        return _of_batch(texts[0], found, batch)
    if "requestPayload" in found and isinstance(found.get("requestContext"), dict):
        return _event(texts[0], found["requestPayload"])
    if {"id", "origin", "namespace"} <= found.keys() and "detail-type" not in found:
        return Parcel(_digest(texts[0]), UNDELIVERED, DUE.name, ((DUE, [texts[0]]),))
    return _event(texts[0], found)


def is_letter(found: dict[str, Any]) -> bool:
    """Say whether a document is a letter, or a piece of one."""
    return {"schema", "id", "reason"} <= found.keys() and ("chunk" in found or "at_ms" in found)


def piece(text: str) -> tuple[str, int, int] | None:
    """Return the letter's id, the number, and how many there are, if *text* is a piece of a letter."""
    if '"chunk"' not in text[:4_096]:
        return None
    try:
        found = _document(text)
    except MalformedEventError:
        return None
    if not isinstance(found, dict) or not is_letter(found):
        return None
    told = (found.get("id"), found.get("chunk"), found.get("of"))
    name, at, of = told
    if not isinstance(name, str) or type(at) is not int or type(of) is not int or not 0 <= at < of:
        return None
    return name, at, of


def _of_letter(letter: DeadLetter) -> Parcel:
    source = SOURCES.get(letter.source)
    if source is None:
        raise MalformedEventError(
            f"dead letter: source {letter.source[:64]!r} is none of {', '.join(sorted(SOURCES))}; "
            "redrive it with the release that wrote it"
        )
    runs = ((source, [letter.payload]),)
    return Parcel(letter.id, letter.reason, letter.source, runs, letter, None, letter.channel, letter.at_ms)


def _of_batch(text: str, found: dict[str, Any], batch: BatchPlace) -> Parcel:
    payload = found.get("payload")
    runs: tuple[Run, ...] = ()
    if payload is not None:
        runs = tuple(invocations.read(_document(payload) if isinstance(payload, str) else payload))
    return Parcel(
        _digest(text), UNDELIVERED, batch.source, runs, None, None if runs else batch, batch.arn, batch.at_ms
    )


def _event(text: str, found: Any) -> Parcel:
    known = isinstance(found, dict) and (
        eventbridge.is_event(found)
        or isinstance(found.get("Records"), list)
        or isinstance(found.get("records"), dict)
    )
    if known:
        runs = tuple(invocations.read(found))
    else:
        runs = ((envelope.SOURCE, [{"messageId": _digest(text), "body": json.dumps(found)}]),)
    return Parcel(_digest(text), UNDELIVERED, runs[0][0].name if runs else direct.SOURCE.name, runs)


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError(f"it is no JSON ({error}), so neither a letter nor an event") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]
