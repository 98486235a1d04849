"""A dead letter tells where its record lay, what carried it and whose trace it is of, of every source."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof.errors import MalformedEventError
from staleproof_pipeline.dead_letter import DeadLetter
from staleproof_pipeline.record_place import RecordPlace
from tests.unit.change_records import EVENTS, record, sample

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SQS = {
    "messageId": "m1",
    "eventSourceARN": "arn:q",
    "attributes": {"AWSTraceHeader": "Root=1-2"},
    "body": "{}",
}
KAFKA = {"topic": "t", "partition": 3, "offset": 42, "headers": [{"traceparent": list(TRACE.encode())}]}
KINESIS = {"eventSourceARN": "arn:k", "kinesis": {"sequenceNumber": "495", "partitionKey": "p"}}


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (SQS, ("m1", "arn:q", "Root=1-2")),
        (KAFKA, ("t-3@42", "t", TRACE)),
        (KINESIS, ("495", "arn:k", "")),
        ({"stream": "changes", "id": "1-0", "fields": {}}, ("1-0", "changes", "")),
        ({"Sns": {"MessageId": "n1", "TopicArn": "arn:t"}}, ("n1", "arn:t", "")),
        ({"s3": {"object": {"sequencer": "0A"}, "bucket": {"name": "b"}}}, ("0A", "b", "")),
        ({"id": "e1", "source": "shop", "detail": {"trace": "t1"}}, ("e1", "shop", "t1")),
        ({"id": {"a": 1}, "topic": 7}, ("{'a': 1}", "7", "")),
        ({**KAFKA, "offset": True, "headers": [{"traceparent": [0, 255]}]}, ("", "t", "")),
        ("text", ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_each_source_has_its_place(raw: Any, place: tuple[str, str, str]) -> None:
    """As far as the record tells; what it does not is empty, and nothing in it is trusted."""
    assert RecordPlace.of(raw) == place


def test_a_letter_has_the_place_of_its_record() -> None:
    """It begins with its first attempt, and keeps its identity through the next."""
    error = MalformedEventError("eventName: wrong")
    made = DeadLetter.about(record(7), error, source="dynamodb", rules="a", region="eu-west-1", at_ms=1)
    assert (made.position, made.attempts) == ("1007", 1)
    assert made.channel == record(7)["eventSourceARN"]
    again = made.again(MalformedEventError("still wrong"), rules="b", at_ms=2)
    assert again == made._replace(error="still wrong", rules="b", at_ms=2, attempts=2)


def test_every_sample_of_kafka_can_be_placed() -> None:
    """The raw samples of Kafka tell partition and offset."""
    for path in sorted(EVENTS.glob("kafka-*.json")):
        for each in (one for part in sample(path.stem)["records"].values() for one in part):
            assert RecordPlace.of(each).position == f"{each['topic']}-{each['partition']}@{each['offset']}"
