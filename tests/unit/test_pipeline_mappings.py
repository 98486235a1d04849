"""Every event source mapping's batch: which records come again, and by what name, as AWS reads it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType

from staleproof.errors import MalformedEventError, ProviderRejectedError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.batch import respond
from staleproof_pipeline.mappings import DYNAMODB, KAFKA, KINESIS, SQS, Mapping, of_queue, of_stream
from staleproof_pipeline.report import Outcome, RecordOutcome, Report
from tests.unit.change_records import World, record, world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation

RULES = """
version: 1
rules:
  - {name: product, when: {source: application, entity: product}, tags: ["product:{id}"]}
  - {name: topic, when: {source: kafka, table: products}, tags: ["product:{id}"]}
  - {name: flight, when: {table: Flights}, tags: ["flight:{keys.flight_id}"]}
"""


def message(number: int, identity: str = "") -> dict[str, Any]:
    """A published change of product *number*."""
    row = {"id": number}
    return {
        "staleproof": "change",
        "schema": 1,
        "id": identity or f"e{number}",
        "entity": "product",
        "operation": "modify",
        "keys": row,
        "old": row,
        "new": row,
    }


def queued(number: int, *, group: str = "", body: str = "", queue: str = "changes") -> dict[str, Any]:
    attributes = {"SentTimestamp": "1700000000000", "ApproximateReceiveCount": "1"}
    if group:
        attributes |= {"MessageGroupId": group, "SequenceNumber": str(18_849_496_460_467_696_128 + number)}
    return {
        "messageId": f"m{number}",
        "receiptHandle": "h",
        "body": body or json.dumps(message(number)),
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-west-1:123456789012:{queue}{'.fifo' if group else ''}",
        "awsRegion": "eu-west-1",
    }


def shipped(number: int, *, key: str = "k", body: Any = None) -> dict[str, Any]:
    data = json.dumps(message(number) if body is None else body).encode()
    return {
        "kinesis": {
            "partitionKey": key,
            "sequenceNumber": str(10**55 + number),
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": 1_700_000_000.5,
        },
        "eventSource": "aws:kinesis",
        "eventID": f"shardId-000000000000:{10**55 + number}",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/changes",
        "awsRegion": "eu-west-1",
    }


def logged(number: int, *, key: str | None = None, partition: int = 0, value: Any = None) -> dict[str, Any]:
    raw = json.dumps({"id": number} if value is None else value).encode()
    return {
        "topic": "products",
        "partition": partition,
        "offset": number,
        "timestamp": 1_700_000_000_000,
        "timestampType": "CREATE_TIME",
        "key": None if key is None else base64.b64encode(key.encode()).decode(),
        "value": base64.b64encode(raw).decode(),
        "headers": [],
    }


def kafka_event(*records: Any) -> dict[str, Any]:
    partitions: dict[str, list[Any]] = {}
    for each in records:
        partitions.setdefault(f"{each['topic']}-{each['partition']}", []).append(each)
    return {"eventSource": "aws:kafka", "records": partitions}


class Refusing(MemoryProvider):
    """A cache that refuses some tags."""

    def __init__(self, *tags: str) -> None:
        super().__init__("flights")
        self.refused = set(tags)

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        if any(self.refused & set(each.tags) for each in invalidations):
            raise ProviderRejectedError("refused")
        return super().invalidate(invalidations)


def answered(event: Any, mapping: Mapping, *refused: str) -> tuple[Any, World]:
    made = world(RULES, provider=Refusing(*refused))
    apply = lambda records: made.invalidator.apply(records, mapping.source, mapping.order)  # noqa: E731
    return respond(event, apply, mapping), made


def names(response: Any) -> list[Any]:
    assert set(response) == {"batchItemFailures"}
    assert all(set(each) == {"itemIdentifier"} for each in response["batchItemFailures"])
    return [each["itemIdentifier"] for each in response["batchItemFailures"]]


def test_a_standard_queue_gets_back_exactly_what_failed() -> None:
    """By message ID; neighbours are applied and gone, also those of the same group, which only shares load."""
    plain = [queued(n) for n in range(4)]
    for each in plain:
        each["attributes"]["MessageGroupId"] = "tenant"

    response, made = answered({"Records": plain}, SQS, "product:1")

    assert names(response) == ["m1"]
    assert sorted(each.tags[0] for each in made.journal()) == ["product:0", "product:2", "product:3"]


def test_a_fifo_group_comes_again_from_its_failure_on() -> None:
    """Everything of the same group behind a failed message fails as well; other groups do not."""
    records = [queued(n, group="ab"[n % 2]) for n in range(6)]

    response, _ = answered({"Records": records}, SQS, "product:2")

    assert names(response) == ["m2", "m4"]


def test_poison_in_a_fifo_group_holds_nobody_up() -> None:
    """It lies in the dead letter, so it is done; behind a failure it waits for the next delivery instead."""
    poisoned = [queued(0, group="a", body="{"), queued(1, group="a")]
    response, made = answered({"Records": poisoned}, SQS)
    assert (names(response), len(made.dead_letters.letters)) == ([], 1)

    waiting = [queued(1, group="a"), queued(2, group="a", body="{"), queued(3, group="b", body="{")]
    response, made = answered({"Records": waiting}, SQS, "product:1")
    assert names(response) == ["m1", "m2"]
    assert [each.payload["messageId"] for each in made.dead_letters.letters] == ["m3"]


def test_kinesis_is_told_sequence_numbers() -> None:
    """The failed record, and what of its partition key is behind it; the lowest number is where it goes on."""
    records = [shipped(n, key="ab"[n % 2]) for n in range(5)]

    response, _ = answered({"Records": records}, KINESIS, "product:1")

    assert names(response) == [str(10**55 + 1), str(10**55 + 3)]


def test_kafka_is_told_partition_and_offset_as_an_object() -> None:
    """Per key: behind a failed record those of its key in its partition fail, those of others do not."""
    event = kafka_event(
        *(logged(n, key="ab"[n % 2]) for n in range(4)),
        *(logged(n, key="a", partition=1) for n in range(10, 12)),
    )

    response, _ = answered(event, KAFKA, "product:1")

    assert names(response) == [
        {"partition": "products-0", "offset": 1},
        {"partition": "products-0", "offset": 3},
    ]


def test_dynamodb_is_told_sequence_numbers_per_item() -> None:
    """Two changes of an item, the first failed: both are named; another item's is not."""
    first, other, second = record(1), record(2), record(1)
    second["eventID"] = "event-1b"
    second["dynamodb"]["SequenceNumber"] = "1009"

    response, _ = answered({"Records": [first, other, second]}, DYNAMODB, "flight:f1")

    assert names(response) == ["1001", "1009"]


@pytest.mark.parametrize(
    ("mapping", "kind", "records"),
    [
        (DYNAMODB, EventType.DynamoDBStreams, [record(n) for n in range(3)]),
        (KINESIS, EventType.KinesisDataStreams, [shipped(n, key=f"k{n}") for n in range(3)]),
        (SQS, EventType.SQS, [queued(n) for n in range(3)]),
        (KAFKA, EventType.Kafka, [logged(n, key=f"k{n}") for n in range(3)]),
    ],
    ids=["dynamodb", "kinesis", "sqs", "kafka"],
)
def test_the_shape_is_the_one_of_powertools(mapping: Mapping, kind: EventType, records: list[Any]) -> None:
    """What AWS's own toolkit answers for the same failures is what we answer."""
    event = kafka_event(*records) if mapping is KAFKA else {"Records": records}
    failed = RecordOutcome(Outcome.FAILED, RuntimeError("away"))
    outcomes = [RecordOutcome(Outcome.APPLIED), failed, failed]
    processor = BatchProcessor(kind, raise_on_entire_batch_failure=False)
    count = iter(range(3))

    def handler(record: Any) -> None:
        if next(count):
            raise RuntimeError("away")

    with processor(records, handler):
        processor.process()

    assert respond(event, lambda given: Report(given, outcomes), mapping) == processor.response()


@pytest.mark.parametrize("mapping", [DYNAMODB, KINESIS, SQS, KAFKA], ids=lambda each: each.source.name)
def test_copies_in_a_batch_are_applied_once(mapping: Mapping) -> None:
    """The same record twice is one invalidation, or one dead letter, and both are acknowledged."""
    make: Any = {"kinesis": shipped, "sqs": queued, "kafka": logged, "dynamodb": record}[mapping.source.name]
    good, bad = make(1), make(2)
    if mapping is DYNAMODB:
        bad["eventName"] = "UPSERT"
    elif mapping is KINESIS:
        bad["kinesis"]["data"] = base64.b64encode(b"{").decode()
    else:
        bad["body" if mapping is SQS else "value"] = (
            "{" if mapping is SQS else base64.b64encode(b"{").decode()
        )
    records = [good, bad, json.loads(json.dumps(good)), json.loads(json.dumps(bad))]

    response, made = answered(kafka_event(*records) if mapping is KAFKA else {"Records": records}, mapping)

    assert names(response) == []
    assert (len(made.journal()), len(made.dead_letters.letters)) == (1, 1)


def test_one_event_in_two_messages_is_applied_once() -> None:
    """A producer that sent twice made two messages of one event: one invalidation, and if it fails, two failures."""
    twice = [queued(1, body=json.dumps(message(7))), queued(2, body=json.dumps(message(7)))]

    response, made = answered({"Records": twice}, SQS)
    assert (names(response), len(made.journal())) == ([], 1)
    response, made = answered({"Records": twice}, SQS, "product:7")
    assert (names(response), len(made.journal())) == (["m1", "m2"], 0)


@pytest.mark.parametrize(
    ("mapping", "event"),
    [
        (SQS, {"Records": [queued(1), {**queued(2), "messageId": None}]}),
        (KINESIS, {"Records": [shipped(1), {"kinesis": None}]}),
        (KAFKA, {"records": {"products-0": [logged(1), {"topic": "products"}]}}),
        (KAFKA, {"records": {"products-0": 5}}),
    ],
)
def test_a_failed_record_without_a_name_asks_for_the_whole_batch(mapping: Mapping, event: Any) -> None:
    """It cannot be asked for, and must not pass for done."""
    fail = RecordOutcome(Outcome.FAILED, RuntimeError("away"))

    response = respond(event, lambda given: Report(given, [fail] * len(given)), mapping)

    assert names(response) == [""]


@pytest.mark.parametrize("event", [None, {}, {"Records": None}, {"records": []}, 5])
@pytest.mark.parametrize("mapping", [SQS, KAFKA, KINESIS], ids=lambda each: each.source.name)
def test_an_event_of_another_kind_is_refused(mapping: Mapping, event: Any) -> None:
    """A wrong trigger is told as such."""
    with pytest.raises(MalformedEventError, match="event source mapping"):
        respond(event, lambda given: Report(given, []), mapping)


def test_streams_are_told_apart_by_their_records() -> None:
    """The same function serves both kinds; what cannot be told is taken for DynamoDB's, and becomes poison."""
    assert of_stream({"Records": [shipped(1)]}) is KINESIS
    assert of_stream({"Records": [None, shipped(1)]}) is KINESIS
    others: list[Any] = [None, {}, {"Records": []}, {"Records": [{}]}, {"Records": [record(1)]}]
    for event in others:
        assert of_stream(event) is DYNAMODB


def test_a_queue_is_known_by_its_arn() -> None:
    """What was put off comes by a queue of our own, and nothing else does."""
    assert of_queue({"Records": [queued(1, queue="deferred")]}, "deferred")
    assert not of_queue({"Records": [queued(1, queue="not-deferred")]}, "deferred")
    assert not of_queue({"Records": [queued(1, queue="deferred"), {}]}, "deferred")
    assert not of_queue({"Records": []}, "deferred")
