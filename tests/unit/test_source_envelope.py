"""Queues and topics: what their messages wrap, however often."""

from __future__ import annotations

import json
from typing import Any

import pytest

from staleproof.errors import EventError, MalformedEventError, OversizedEventError
from staleproof_pipeline.change import ChangeEvent, Source
from staleproof_pipeline.sources import Ignored, Several, envelope
from staleproof_pipeline.sources.payload import MAX_DOCUMENTS
from tests.unit.source_samples import FLIGHT, event, parsed, parts, record, records, source_of, with_field

ARN = "arn:aws:sqs:eu-west-1:123456789012:flight-changes"


def queued(body: Any, **fields: Any) -> dict[str, Any]:
    """A message of a queue with *body*."""
    made: dict[str, Any] = record("sqs-change", **fields)
    return {**made, "body": body if isinstance(body, str) else json.dumps(body)}


def notified(message: Any) -> dict[str, Any]:
    """An SNS notification around *message*."""
    found: dict[str, Any] = json.loads(record("sqs-sns-change")["body"])
    return {**found, "Message": message if isinstance(message, str) else json.dumps(message)}


def told(found: Any) -> list[Any]:
    return [each for each in parts(found) if isinstance(each, ChangeEvent)]


CARRIED = [
    "dynamodb-modify",
    "dynamodb-ttl",
    "eventbridge-application",
    "eventbridge-s3-created",
    "eventbridge-change",
    "kafka-mysql-update",
    "kafka-plain",
    "kinesis-dynamodb-modify",
    "kinesis-change",
    "s3-created",
    "sns-change",
    "sqs-sns-s3",
]


@pytest.mark.parametrize("wrap", ["sqs", "sns", "sqs of sns", "records", "text in a text"])
@pytest.mark.parametrize("name", CARRIED)
def test_every_record_is_read_through_every_wrapper(name: str, wrap: str) -> None:
    """What a change tells, its identity and its place too, is the record's own, however it comes."""
    raw, direct = record(name), told(source_of(name).parse(record(name)))

    if wrap == "sqs":
        found = envelope.sqs(queued(raw))
    elif wrap == "sns":
        outer = record("sns-change")
        found = envelope.sns({**outer, "Sns": {**outer["Sns"], "Message": json.dumps(raw)}})
    elif wrap == "sqs of sns":
        found = envelope.sqs(queued(notified(raw)))
    elif wrap == "records":
        found = envelope.sqs(queued({"Records": [raw]}))
    else:
        found = envelope.sqs(queued(json.dumps(json.dumps(raw))))

    assert told(found) == direct


def test_a_plain_body_is_an_application_s_row() -> None:
    """The queue, or the topic, is its entity; its identity is the message's."""
    by_queue, by_topic = told(parsed("sqs-plain"))[0], told(parsed("sns-plain"))[0]

    assert by_queue.source is by_topic.source is Source.APPLICATION
    assert by_queue.entity == by_topic.entity == "flight-changes"
    assert by_queue.id == "059f36b4-87a3-44ab-83d2-661975830a00"
    assert by_topic.id == "95df01b4-ee98-5cb9-9903-4c221d41eb00"
    assert by_queue.new["carrier"] == "UA"
    assert (by_queue.region, by_topic.region) == ("eu-west-1", "eu-west-1")


def test_several_rows_of_one_body_have_identities_of_their_own() -> None:
    """A list is each of its documents, counted from the front."""
    found = envelope.sqs(queued([{"a": 1}, {"a": 2}]))

    assert [each.id.rpartition(":")[2] for each in told(found)] == ["0", "1"]


def test_one_bad_record_costs_its_neighbours_nothing() -> None:
    """Of three objects in one notification, two are read, and the third is told."""
    found = parsed("sqs-s3")

    assert isinstance(found, Several)
    assert [each.operation.value for each in told(found)] == ["insert", "remove"]
    assert len(found.errors) == 1


def test_what_the_api_returns_is_read_as_what_lambda_delivers() -> None:
    """The adapter names the queue, which a message does not tell; without it a change is read all the same."""
    (message,) = records("sqs-received")
    bare = told(envelope.sqs(message))[0]
    named = told(envelope.sqs(json.loads(json.dumps(envelope.record(message, ARN)))))[0]

    assert named == told(parsed("sqs-change"))[0]
    assert (bare.id, bare.channel) == (named.id, "")


def test_a_fifo_queue_has_an_order_in_each_group() -> None:
    """The number is compared within the group; a standard queue has none."""
    fifo, standard = told(parsed("sqs-fifo"))[0], told(parsed("sqs-change"))[0]

    assert fifo.position.partition == f"flight-changes.fifo/{FLIGHT}"
    assert fifo.position.sequence == 18_849_496_460_467_696_128
    assert standard.position.sequence is None


def test_a_queue_s_trace_is_taken_where_the_message_has_none() -> None:
    """X-Ray's header is an attribute of the message."""
    plain = queued(
        {"a": 1}, attributes={"AWSTraceHeader": "Root=1-5115e2ac", "SentTimestamp": "1360332012345"}
    )

    assert told(envelope.sqs(plain))[0].trace == "Root=1-5115e2ac"
    assert told(parsed("sqs-fifo"))[0].trace.startswith("1-5115e2ac")


@pytest.mark.parametrize("sent", [None, "x", "-1", "9" * 30, 7, ""])
def test_a_time_that_is_none_is_unknown(sent: Any) -> None:
    """It costs no change."""
    assert told(envelope.sqs(queued({"a": 1}, attributes={"SentTimestamp": sent})))[0].changed_ms == 0


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_confirmation_is_ignored(kind: str) -> None:
    """A queue that was just subscribed gets one."""
    assert isinstance(envelope.sqs(queued({**notified("{}"), "Type": kind})), Ignored)


def test_wrappers_are_bounded() -> None:
    """Nesting without end is refused, by lists, by texts and by notifications."""
    texts: Any = {"a": 1}
    notes: Any = {"a": 1}
    for _ in range(4):
        texts = json.dumps(texts)
        notes = notified(notes)
    assert told(envelope.sqs(queued(texts)))
    assert told(envelope.sqs(queued(notes)))

    found = parsed("sqs-wrapped-too-often")
    assert isinstance(found, Several)
    assert isinstance(found.errors[0], OversizedEventError)
    with pytest.raises(OversizedEventError, match="send several"):
        envelope.sqs(queued([0] * (MAX_DOCUMENTS + 1)))


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("messageId", ..., "MessageId is missing"),
        ("body", ..., "Body is missing"),
        ("body", {}, "body: {} is not a string"),
        ("body", "hello", "body: 'hello' is not JSON"),
        ("body", "7", "message: 7 is not an object"),
        ("body", "null", "message: None is not an object"),
        ("body", '"hello"', "message: 'hello' is not JSON"),
        ("attributes", "x", "attributes: 'x' is not an object"),
        ("eventSourceARN", 7, "eventSourceARN: 7 is not a string"),
    ],
)
def test_a_wrong_message_is_named(path: str, content: Any, message: str) -> None:
    """A malformed message is poison, by an error that names the field."""
    with pytest.raises(MalformedEventError) as caught:
        envelope.sqs(with_field(record("sqs-change"), path, content))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("Sns", ..., "Sns is missing"),
        ("Sns.TopicArn", ..., "Sns.TopicArn is missing"),
        ("Sns.MessageId", 7, "Sns.MessageId: 7 is not a string"),
        ("Sns.Message", "hello", "Sns.Message: 'hello' is not JSON"),
        ("Sns.Timestamp", "noon", "Sns.Timestamp: 'noon' is not a time"),
    ],
)
def test_a_wrong_notification_is_named(path: str, content: Any, message: str) -> None:
    """So is a malformed notification."""
    with pytest.raises(MalformedEventError) as caught:
        envelope.sns(with_field(record("sns-change"), path, content))

    assert message in str(caught.value)


@pytest.mark.parametrize("raw", [None, [], "text", 7, {}, {1: 2}])
@pytest.mark.parametrize("parse", [envelope.sqs, envelope.sns])
def test_what_is_no_message_is_malformed(parse: Any, raw: Any) -> None:
    """Anything at all can be handed in."""
    with pytest.raises(EventError):
        parse(raw)


def test_a_row_with_a_column_called_records_is_a_row() -> None:
    """Only an object that holds nothing but a list of records is a wrapper."""
    row = {"Records": [1, 2], "id": 7}

    assert told(envelope.sqs(queued(row)))[0].new == row
    assert event("sqs-change")["Records"]
