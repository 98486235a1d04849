"""The raw samples in `events/`: each one's source and records, for the tests of the sources."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from staleproof_pipeline.sources import (
    Several,
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
    from staleproof_pipeline.sources import Parsed, RecordSource, Single

EVENTS = Path(__file__).resolve().parents[2] / "events"
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))
FLIGHT = "EWR-2013-02-08-14-UA1545"

SOURCES: dict[str, RecordSource] = {
    "dynamodb": dynamodb_streams.SOURCE,
    "kinesis": kinesis.SOURCE,
    "eventbridge": eventbridge.SOURCE,
    "redis-stream": redis_stream.SOURCE,
    "kafka": kafka.SOURCE,
    "s3": s3.SOURCE,
    "sqs": envelope.SOURCE,
    "sns": envelope.SNS_SOURCE,
    "direct": direct.SOURCE,
}


def source_of(name: str) -> RecordSource:
    """The source that reads the sample *name*."""
    return next(source for prefix, source in SOURCES.items() if name.startswith(f"{prefix}-"))


@cache
def _text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text()


def event(name: str) -> Any:
    """The sample as it lies there: what a function is invoked with, or an API answers."""
    return json.loads(_text(name))


def records(name: str) -> list[Any]:
    """The raw records in the sample, as a consumer takes them out."""
    found = event(name)
    if isinstance(found, dict):
        if isinstance(found.get("records"), dict):
            return [record for batch in found["records"].values() for record in batch]
        for field in ("Records", "Messages"):
            if isinstance(found.get(field), list):
                return list(found[field])
    return [found]


def record(name: str, **fields: Any) -> Any:
    """The only record of the sample; *fields* replace top-level fields."""
    (found,) = records(name)
    return {**found, **fields}


def parsed(name: str, source: RecordSource | None = None) -> Parsed:
    """What the only record of the sample tells."""
    return (source or source_of(name)).parse(record(name))


def parts(found: Parsed) -> list[Single]:
    """What a record tells, as a list."""
    return list(found.parts) if isinstance(found, Several) else [found]


def with_field(record: Any, path: str, content: Any) -> Any:
    """*record* but for the field at the dotted *path*; `...` removes it."""
    made = copy.deepcopy(record)
    *around, name = path.split(".")
    place = made
    for part in around:
        place = place[int(part) if isinstance(place, list) else part]
    if content is ...:
        del place[name]
    else:
        place[name] = content
    return made
