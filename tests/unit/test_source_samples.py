"""Every sample is read as expected, and is what AWS Powertools reads too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities import data_classes
from aws_lambda_powertools.utilities.parser import models

from staleproof.errors import (
    EventError,
    MalformedEventError,
    OversizedEventError,
    UnsupportedEventVersionError,
)
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources import Asked, Ignored, Replicated, Several
from tests.unit.source_samples import NAMES, event, parts, records, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POISON: dict[str, type[EventError]] = {
    "dynamodb-malformed": MalformedEventError,
    "dynamodb-oversized": OversizedEventError,
    "dynamodb-unknown-version": UnsupportedEventVersionError,
    "eventbridge-unknown-version": UnsupportedEventVersionError,
    "eventbridge-wrong-schema": UnsupportedEventVersionError,
    "kafka-avro-confluent": UnsupportedFormatError,
    "kafka-avro-glue": UnsupportedFormatError,
    "kafka-avro-single-object": UnsupportedFormatError,
    "kinesis-packed": UnsupportedFormatError,
    "sqs-text": MalformedEventError,
}
IGNORED = {
    "dynamodb-replica-2017-own",
    "kafka-debezium-tombstone",
    "kafka-heartbeat",
    "kafka-postgres-message",
    "kafka-schema-change",
    "kafka-transaction",
    "redis-stream-trimmed",
    "s3-test",
    "sqs-s3-test",
}
PARTLY = {"direct-list": 1, "sqs-s3": 1, "sqs-wrapped-too-often": 1}
REPLICATED = {name for name in NAMES if name.startswith("eventbridge-")} & {
    "eventbridge-malformed",
    "eventbridge-newer-invalidation",
    "eventbridge-own-origin",
    "eventbridge-replication",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_is_read_as_its_name_says(name: str) -> None:
    """A sample is a change or asks for an invalidation, unless it is listed here as something else."""
    for raw in records(name):
        if name in POISON:
            with pytest.raises(POISON[name]):
                source_of(name).parse(raw)
            continue
        found = source_of(name).parse(raw)
        expected: Any = ChangeEvent | Asked
        if name in IGNORED:
            expected = Ignored
        elif name in REPLICATED:
            expected = Replicated
        assert all(isinstance(part, expected) for part in parts(found))
        assert len(found.errors if isinstance(found, Several) else ()) == PARTLY.get(name, 0)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(POISON)))
def test_reading_again_tells_the_same(name: str) -> None:
    """A redelivered record has the same identity, place and content: sources are pure."""
    for raw in records(name):
        first, second = (parts(source_of(name).parse(raw)) for _ in range(2))

        assert repr(first) == repr(second)  # errors are equal by identity only


def _changes() -> Iterator[Any]:
    for name in sorted(set(NAMES) - set(POISON)):
        for raw in records(name):
            found = parts(source_of(name).parse(raw))
            yield from (pytest.param(each, id=name) for each in found if isinstance(each, ChangeEvent))


@pytest.mark.parametrize("found", list(_changes()))
def test_every_change_is_told_whole(found: ChangeEvent) -> None:
    """A change has an identity, an entity and a time; what it tells, its images admit; a place is never empty."""
    assert found.id
    assert found.entity
    assert found.changed_ms > 1_360_000_000_000
    assert {name for name in ("old", "new") if getattr(found, name) is not None} <= found.images
    assert found.images <= {"old", "new"}
    assert str(found.position) or found.position.partition == ""


# --- what Powertools reads -------------------------------------------------------------------------

MODELS: dict[str, Any] = {
    "dynamodb": models.DynamoDBStreamModel,
    "eventbridge": models.EventBridgeModel,
    "kinesis": models.KinesisDataStreamModel,
    "kafka": models.KafkaMskEventModel,
    "sqs": models.SqsModel,
    "sns": models.SnsModel,
    "s3": models.S3Model,
}
NOT_THEIRS = {
    # Poison on purpose, or no event of a function.
    "dynamodb-malformed": "a wrong number",
    "s3-test": "comes to queues and topics only",
    "sqs-received": "an answer of the API",
    # What their models do not know.
    "kafka-debezium-tombstone": "a record without a value",
    "kafka-tombstone": "a record without a value",
    "kafka-avro-confluent": "a value that is no UTF-8",
    "kafka-avro-container": "a value that is no UTF-8",
    "kafka-avro-glue": "a value that is no UTF-8",
    "kafka-avro-single-object": "a value that is no UTF-8",
}


def _theirs(kinds: dict[str, Any]) -> list[str]:
    return [name for name in NAMES if name.split("-")[0] in kinds and name not in NOT_THEIRS]


@pytest.mark.parametrize("name", _theirs(MODELS))
def test_powertools_models_read_the_sample(name: str) -> None:
    """What we read is what AWS sends, as far as Powertools' parser knows it."""
    model = MODELS[name.split("-", maxsplit=1)[0]]
    if name == "kafka-self-managed-invalidate":
        model = models.KafkaSelfManagedEventModel
    if name.startswith("eventbridge-s3-"):
        model = models.S3EventNotificationEventBridgeModel

    assert model.model_validate(event(name))


DATA_CLASSES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "dynamodb": lambda raw: [
        str(each.dynamodb.sequence_number)  # type: ignore[union-attr]
        for each in data_classes.DynamoDBStreamEvent(raw).records
    ],
    "kinesis": lambda raw: [
        each.kinesis.sequence_number for each in data_classes.KinesisStreamEvent(raw).records
    ],
    "kafka": lambda raw: [
        f"{each.topic}-{each.partition}:{each.offset}" for each in data_classes.KafkaEvent(raw).records
    ],
}


@pytest.mark.parametrize("name", sorted(set(_theirs(DATA_CLASSES)) - set(POISON) - IGNORED))
def test_places_are_those_that_powertools_names(name: str) -> None:
    """The place of a record is the one that a partial batch response would name."""
    theirs = DATA_CLASSES[name.split("-", maxsplit=1)[0]](event(name))
    ours = [part for raw in records(name) for part in parts(source_of(name).parse(raw))]

    assert [str(each.position) for each in ours if not isinstance(each, Ignored | Replicated)] == theirs
