"""Changes of examples: written in short, or read from a raw event as any source delivers it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from staleproof.errors import ConfigurationError, EventError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.rules.example import Given
from staleproof_pipeline.sources import (
    Asked,
    Ignored,
    Parsed,
    Replicated,
    Several,
    envelope,
    kafka,
    payload,
    redis_stream,
)
from staleproof_pipeline.sources.carried import Carrier

if TYPE_CHECKING:
    from pathlib import Path

MAX_EVENT_BYTES = 8 * 1_048_576
"""An invocation's payload has at most 6 MB."""

Part = ChangeEvent | Asked | Replicated | Ignored

_CARRIER = Carrier(Source.APPLICATION, channel="", id="event")
_NAMES = {"table", "entity", "detail_type"}
_OF_SQS = {"messageId", "body"}
_OF_SQS_API = {"MessageId", "Body"}
_OF_KAFKA = {"topic", "partition", "offset"}
_OF_REDIS = {"stream", "id", "fields"}


def parts(given: Given, folder: Path, reading: kafka.Reading = kafka.PLAIN) -> list[Part]:
    """Return the changes that *given* stands for; *folder* is where the rules file lies.

    Records of Kafka are read as *reading* says.

    Raises:
        ConfigurationError: its file cannot be read, or is no JSON.
        EventError: nothing in it can be read.
    """
    if given.file is None:
        return [change(given)]
    found = read(event(folder / given.file), reading)
    if given.record is None:
        return found
    if given.record >= len(found):
        raise ConfigurationError(
            f"{given.file} has {len(found)} records; record: {given.record} is none of them"
        )
    return [found[given.record]]


def event(path: Path) -> Any:
    """Return the JSON in the file at *path*.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_EVENT_BYTES + 1)
        if len(raw) > MAX_EVENT_BYTES:
            raise ConfigurationError(f"{path}: larger than {MAX_EVENT_BYTES} bytes; no event is")
        return json.loads(raw)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a file with an event") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}; write the event as JSON") from error


def read(raw: Any, reading: kafka.Reading = kafka.PLAIN) -> list[Part]:
    """Return what *raw* tells: an event or a record of any source, or a change in short.

    Records of Kafka are read as *reading* says.

    Raises:
        ConfigurationError: it is a change in short, and wrong.
        EventError: nothing in it can be read.
    """
    if isinstance(raw, dict) and raw.keys() & _NAMES and raw.keys() <= Given.model_fields.keys():
        return [change(_short(raw))]
    found = _parsed(raw, reading)
    if not isinstance(found, Several):
        return [found]
    if found.errors and not found.parts:
        raise found.errors[0]
    return list(found.parts)


def change(given: Given) -> ChangeEvent:
    """Return the change that *given*, which names no file, stands for.

    Raises:
        MalformedEventError: a field is out of bounds.
    """
    source = given.source or (Source.EVENTBRIDGE if given.detail_type else Source.DYNAMODB)
    return ChangeEvent.of(
        id="example",
        source=source,
        entity=given.table or given.detail_type or given.entity,
        channel=given.channel,
        operation=given.operation or _operation(given, source),
        keys=given.keys,
        old=None if given.old is None else {**given.keys, **given.old},
        new=None if given.new is None else {**given.keys, **given.new},
        images=frozenset(given.images) - ({"old"} if source is Source.EVENTBRIDGE else set()),
        changed_ms=given.changed_ms,
        region=given.region,
        expired=given.expired,
        truncated=given.truncated,
        snapshot=given.snapshot,
        replayed=given.replayed,
    )


def _operation(given: Given, source: Source) -> Operation:
    if source is Source.EVENTBRIDGE:
        return Operation.OTHER
    if given.old is not None:
        return Operation.REMOVE if given.new is None else Operation.MODIFY
    return Operation.OTHER if given.new is None else Operation.INSERT


def _short(raw: dict[str, Any]) -> Given:
    try:
        return Given.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"])) or "the change"
        raise ConfigurationError(f"{path}: {first['msg'].removeprefix('Value error, ')}") from error


def _parsed(raw: Any, reading: kafka.Reading) -> Parsed:
    if isinstance(raw, dict):
        if raw.keys() >= _OF_REDIS:
            return redis_stream.parse(raw)
        if raw.keys() >= _OF_KAFKA:
            return kafka.parse(raw, reading)
        if envelope.is_kafka_event(raw):
            return envelope.kafka_event(raw, reading)
        if raw.keys() >= _OF_SQS or raw.keys() >= _OF_SQS_API:
            return envelope.sqs(raw)
        if isinstance(raw.get("Messages"), list):
            return payload.each(raw["Messages"], lambda one, _: envelope.sqs(one))
    try:
        return envelope.opened(raw, _CARRIER)
    except RecursionError as error:
        raise ConfigurationError("the event nests deeper than any source writes") from error


__all__ = ["EventError", "Part", "change", "event", "parts", "read"]
