"""Asynchronous invocations: what services and people hand to a function without a mapping between, and how to read it.

A bus, a topic, a bucket and a direct invocation have no partial answer: the function raises, and AWS invokes it again
with the whole event. So whatever can be applied is applied before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline.sources import (
    RecordSource,
    direct,
    dynamodb_streams,
    envelope,
    eventbridge,
    kafka,
    kinesis,
    published,
    s3,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SOURCES = {
    "aws:s3": s3.SOURCE,
    "aws:sns": envelope.SNS_SOURCE,
    "aws:sqs": envelope.SOURCE,
    "aws:dynamodb": dynamodb_streams.SOURCE,
    "aws:kinesis": kinesis.SOURCE,
}


def read(event: Any) -> list[tuple[RecordSource, list[Any]]]:
    """Return the records of *event* with what reads them, neighbours of a kind together; nothing of it is left out."""
    if isinstance(event, list) or published.is_published(event):
        return [(direct.SOURCE, [event])]
    if isinstance(event, dict):
        if isinstance(event.get("Records"), list):
            return _runs(event["Records"])
        if isinstance(event.get("records"), dict):
            return _runs([each for part in event["records"].values() for each in _listed(part)])
        if s3.is_test(event):
            return [(s3.SOURCE, [event])]
    return [(eventbridge.SOURCE, [event])]


def _listed(part: Any) -> Sequence[Any]:
    return part if isinstance(part, list) else [part]


def _runs(records: Sequence[Any]) -> list[tuple[RecordSource, list[Any]]]:
    runs: list[tuple[RecordSource, list[Any]]] = []
    for record in records:
        source = _of(record)
        if not runs or runs[-1][0] is not source:
            runs.append((source, []))
        runs[-1][1].append(record)
    return runs


def _of(record: Any) -> RecordSource:
    if not isinstance(record, dict):
        return direct.SOURCE
    told = record.get("eventSource", record.get("EventSource"))
    if isinstance(told, str) and told in _SOURCES:
        return _SOURCES[told]
    if "topic" in record and "offset" in record:
        return kafka.SOURCE
    return eventbridge.SOURCE if eventbridge.is_event(record) else direct.SOURCE
