"""Kafka: what records of a topic tell, in Lambda's shape and as a client returns them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from kafka.consumer.fetcher import ConsumerRecord

from staleproof.errors import EventError, MalformedEventError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import Ignored, Several, kafka
from tests.unit.source_samples import FLIGHT, parsed, record, with_field

IGNORING = kafka.source(kafka.Reading(tombstones="ignore"))


def client_record(**fields: Any) -> ConsumerRecord:
    """What kafka-python returns."""
    told = {
        "topic": "flights", "partition": 3, "leader_epoch": 0, "offset": 17, "timestamp": 1_360_332_012_345,
        "timestamp_type": 0, "key": b'{"flight_id": "UA1545"}', "value": b'{"carrier": "UA"}',
        "headers": [("traceparent", b"00-4bf9"), ("empty", None)], "checksum": None, "serialized_key_size": 23,
        "serialized_value_size": 17, "serialized_header_size": 30,
    }  # fmt: skip
    return ConsumerRecord(**{**told, **fields})


def packed(document: Any) -> str:
    return b64encode(document if isinstance(document, bytes) else json.dumps(document).encode()).decode()


def change(raw: Any, source: Any = kafka.SOURCE) -> ChangeEvent:
    found = source.parse(raw)
    assert isinstance(found, ChangeEvent)
    return found


def test_a_plain_message_is_the_row_after_the_change() -> None:
    """The topic is entity and channel, the value the new row; its own keys and the record's tell the row apart."""
    found = change(record("kafka-plain"))

    assert (found.source, found.entity, found.channel) == (Source.KAFKA, "flights", "flights")
    assert found.operation is Operation.MODIFY
    assert found.keys == {"key": FLIGHT, "flight_id": FLIGHT}
    assert found.old is None
    assert found.images == {"new"}
    assert found.new is not None
    assert found.new["carrier"] == "UA"
    assert found.changed_ms == 1_360_332_012_400


def test_the_place_is_topic_partition_and_offset() -> None:
    """Offsets compare as numbers within their partition, and the identity is the place: the same at redelivery."""
    found = change(record("kafka-plain", partition=12, offset=2**53 + 1))

    assert (found.position.partition, found.position.sequence) == ("flights-12", 2**53 + 1)
    assert found.id == str(found.position) == f"flights-12:{2**53 + 1}"


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        (b'{"id": 7}', {"id": 7}),
        (b"7", {"key": 7}),
        (b'"UA1545"', {"key": "UA1545"}),
        (b"UA1545", {"key": "UA1545"}),
        (b'{"schema": null, "payload": {"id": 7}}', {"id": 7}),
        (b'{"schema": {"type": "int32"}, "payload": 7}', {"key": 7}),
        (b"\xff\xfe", {"key": "\\xff\\xfe"}),
        (b"\x00\x00\x00\x00\x07\x02", {}),
        (b"", {}),
        (None, {}),
    ],
)
def test_a_key_is_read_as_far_as_it_can_be(key: bytes | None, keys: dict[str, Any]) -> None:
    """An object's fields are the key attributes, a lone value is called `key`; one that needs a registry is unknown."""
    raw = record("kafka-plain", value=packed({"a": 1}), key=None if key is None else packed(key))

    assert change(raw).keys == keys


def test_what_a_client_returns_is_read_as_what_lambda_delivers() -> None:
    """The worker's record is put into Lambda's shape, which JSON can keep, and tells the same."""
    raw = kafka.record(client_record())
    found = change(json.loads(json.dumps(raw)))

    assert found.id == "flights-3:17"
    assert (found.keys, found.new) == ({"flight_id": "UA1545"}, {"carrier": "UA"})
    assert found.trace == "00-4bf9"
    assert raw["timestampType"] == "CREATE_TIME"
    assert kafka.record(client_record(timestamp_type=1))["timestampType"] == "LOG_APPEND_TIME"


def test_a_client_s_tombstone_and_bytes_survive_the_adapter() -> None:
    """No value stays no value, and bytes that are no text stay those bytes."""
    gone = kafka.record(client_record(value=None, headers=None))
    odd = kafka.record(client_record(key=b"\xff\x00"))

    assert (gone["value"], gone["headers"]) == (None, [])
    assert change(gone).operation is Operation.REMOVE
    assert odd["key"] == packed(b"\xff\x00")


# --- tombstones -----------------------------------------------------------------------------------


def test_a_tombstone_removes_the_row_of_its_key() -> None:
    """In a compacted topic a record without a value is the only word of a removal; nobody tells the old row."""
    found = change(record("kafka-tombstone"))

    assert (found.operation, found.entity, found.keys) == (Operation.REMOVE, "flights", {"flight_id": FLIGHT})
    assert found.old is found.new is None
    assert found.images == {"new"}


@pytest.mark.parametrize("value", [..., None, packed(b"null"), packed({"schema": None, "payload": None})])
def test_every_form_of_no_value_is_a_tombstone(value: Any) -> None:
    """No field, null, JSON's null, and null in Connect's wrapper are the same."""
    raw = with_field({**record("kafka-tombstone"), "value": None}, "value", value)

    assert change(raw).operation is Operation.REMOVE


def test_a_tombstone_behind_debezium_s_removal_is_ignored() -> None:
    """Debezium tells a removal with its row and sends a tombstone after it: the second says nothing new."""
    assert isinstance(parsed("kafka-debezium-tombstone"), Ignored)


def test_a_tombstone_is_the_removal_where_rows_are_flattened() -> None:
    """`ExtractNewRecordState` turns a removal into its tombstone by default: no other record tells of it."""
    found = kafka.parse(record("kafka-debezium-tombstone"), kafka.Reading(tombstones="always"))

    assert isinstance(found, ChangeEvent)
    assert (found.operation, found.keys) == (Operation.REMOVE, {"id": 1545})


def test_a_deployment_may_ignore_tombstones() -> None:
    """Where keys carry no schema the deployment knows better."""
    assert isinstance(IGNORING.parse(record("kafka-tombstone")), Ignored)
    assert isinstance(IGNORING.parse(record("kafka-plain")), ChangeEvent)


def test_a_tombstone_without_a_key_is_about_nothing() -> None:
    """There is no row to remove."""
    assert isinstance(kafka.parse(with_field(record("kafka-tombstone"), "key", ...)), Ignored)


def test_a_tombstone_whose_key_needs_a_registry_is_not_taken_for_done() -> None:
    """Which row is gone stays unknown, so the record goes to the dead letter."""
    with pytest.raises(EventError, match="no registry is asked"):
        kafka.parse(record("kafka-tombstone", key=packed(b"\x00\x00\x00\x00\x07\x02")))


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("timestamp", "changed_ms"), [(-1, 0), (0, 0), (None, 0), (10**18, 0), (5, 5)])
def test_a_time_that_is_none_is_unknown(timestamp: int | None, changed_ms: int) -> None:
    """-1 is how Kafka says that the producer told no time."""
    assert change(record("kafka-plain", timestamp=timestamp)).changed_ms == changed_ms


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ([{"traceparent": [48, 49]}], "01"),
        ([{"a": [1]}, {"traceparent": [-61, -68]}], "ü"),
        ([{"traceparent": [300]}], ","),
        ([{"traceparent": [255]}], "\ufffd"),
        ([{"traceparent": [65] * 1_000}], "A" * 256),
        ([{"traceparent": "text"}], ""),
        ([{"traceparent": ["a"]}], ""),
        ([7, None, {}], ""),
        ("headers", ""),
        (None, ""),
    ],
)
def test_headers_never_cost_a_change(headers: Any, trace: str) -> None:
    """The trace is read where there is one, Java's signed bytes too; whatever headers hold, the change is told."""
    assert change(record("kafka-plain", headers=headers)).trace == trace


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("topic", ..., "topic is missing"),
        ("topic", "", "entity: '' is not known"),
        ("topic", "t" * 600, "id: String should have at most 512 characters"),
        ("partition", "0", "partition: '0' is not a whole number"),
        ("partition", -1, "partition: -1 is not a number of Kafka's"),
        ("offset", True, "offset: True is not a whole number"),
        ("offset", 2**63, "is not a number of Kafka's"),
        ("value", "not base64!", "value: 'not base64!' is not base64"),
        ("value", 7, "value: 7 is not base64"),
        ("key", "a", "key: 'a' is not base64"),
        ("value", packed(b"hello"), "value: b'hello' is not JSON"),
        ("value", packed(b""), "value: b'' is not JSON"),
        ("value", packed(7), "message: 7 is not an object"),
    ],
)
def test_a_wrong_field_is_named(path: str, content: Any, told: str) -> None:
    """A malformed record is poison, by an error that names the field and shows the value."""
    with pytest.raises(MalformedEventError) as caught:
        kafka.parse(with_field(record("kafka-plain"), path, content))

    assert told in str(caught.value)


def test_a_list_is_a_change_each() -> None:
    """Each of a record's documents has an identity of its own; one that cannot be read costs the others nothing."""
    found = kafka.parse(record("kafka-plain", value=packed([{"a": 1}, 7, {"a": 2}])))

    assert isinstance(found, Several)
    assert [each.id for each in found.parts if isinstance(each, ChangeEvent)] == [
        "flights-0:35:0",
        "flights-0:35:2",
    ]
    assert len(found.errors) == 1
