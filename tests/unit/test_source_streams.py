"""Streams: entries of Redis and Valkey, records of Kinesis, and what is new of DynamoDB and of buses."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from staleproof.errors import EventError, MalformedEventError, OversizedEventError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.errors import ForbiddenEventError, UnsupportedFormatError
from staleproof_pipeline.sources import (
    Ignored,
    Parsed,
    RecordSource,
    dynamodb_streams,
    eventbridge,
    kafka,
    kinesis,
    redis_stream,
)
from staleproof_pipeline.sources.documents import MAX_BYTES, document
from tests.unit.source_samples import FLIGHT, event, parsed, record, records, with_field


def a_change(found: Parsed) -> ChangeEvent:
    assert isinstance(found, ChangeEvent)
    return found


def entry(fields: Any, entry_id: str | bytes = "1360332012000-0", stream: str | bytes = "flights") -> Any:
    return redis_stream.record(stream, entry_id, fields)


# --- Redis streams ------------------------------------------------------------------------------------


def test_plain_fields_are_the_new_row() -> None:
    """Every value is a text, the stream's key the entity, and the time that of the entry's ID."""
    found = a_change(
        redis_stream.parse(entry({b"flight_id": b"UA1545", b"operation": b"remove", b"gate": b""}))
    )

    assert (found.source, found.entity, found.channel) == (Source.REDIS_STREAM, "flights", "flights")
    assert found.operation is Operation.REMOVE
    assert found.new == {"flight_id": "UA1545", "operation": "remove", "gate": ""}
    assert found.changed_ms == 1_360_332_012_000
    assert found.id == "flights:1360332012000-0"
    assert str(found.position) == "1360332012000-0"


def test_the_entity_of_plain_rows_is_configurable() -> None:
    """One deployment's stream may be called as it likes; what messages say of themselves stays."""
    source = redis_stream.source(entity="flight")

    assert a_change(source.parse(entry({"a": "1"}))).entity == "flight"
    assert a_change(source.parse(record("redis-stream-debezium"))).entity == "inventory.flights"
    assert a_change(source.parse(record("redis-stream-change"))).entity == "flight"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("9-0", "10-0"),
        ("1360332012000-9", "1360332012000-10"),
        ("1-18446744073709551615", "2-0"),
        ("18446744073709551615-0", "18446744073709551615-1"),
        ("0-1", "0-2"),
    ],
)
def test_entry_ids_compare_as_on_the_server(earlier: str, later: str) -> None:
    """Two 64-bit numbers, the first first; exact to the last bit."""
    first, second = (
        a_change(redis_stream.parse(entry({"a": "1"}, each))).position for each in (earlier, later)
    )

    assert first.sequence is not None
    assert second.sequence is not None
    assert first.sequence < second.sequence
    assert f"{first.sequence >> 64}-{first.sequence & (2**64 - 1)}" == earlier


@pytest.mark.parametrize(
    ("entry_id", "changed_ms"), [("7-0", 0), ("18446744073709551615-0", 0), ("999999999999-5", 0)]
)
def test_an_id_that_its_producer_counted_tells_no_time(entry_id: str, changed_ms: int) -> None:
    """An ID may be any number; only a time of this age is taken for one."""
    assert a_change(redis_stream.parse(entry({"a": "1"}, entry_id))).changed_ms == changed_ms


def test_a_raw_record_is_json_and_loses_nothing() -> None:
    """A dead letter keeps it, and it is read again as it was: bytes that are no text too."""
    raw = redis_stream.record(
        b"fl\xff", b"1360332012000-0", {b"pass": b"\xff\x00", b"name": "Zürich".encode()}
    )
    again = json.loads(json.dumps(raw))

    found = a_change(redis_stream.parse(again))

    assert found == redis_stream.parse(raw)
    assert found.new == {"pass": b"\xff\x00", "name": "Zürich"}
    assert found.channel == "fl\\xff"


def test_a_trimmed_entry_is_ignored() -> None:
    """An entry that was trimmed while it was pending comes without its fields; there is nothing to be done for it."""
    assert isinstance(redis_stream.parse(entry(None)), Ignored)


def test_the_message_field_carries_any_document() -> None:
    """What lies in `m` is read as on any other transport, and beside it other fields do not matter."""
    event_in = entry({"m": json.dumps(event("eventbridge-application")), "trace": "t"})

    assert a_change(redis_stream.parse(event_in)).source is Source.EVENTBRIDGE
    assert a_change(redis_stream.parse(entry({"m": '{"a": 1}'}))).new == {"a": 1}


@pytest.mark.parametrize("name", ["redis-stream-debezium", "redis-stream-debezium-compact"])
def test_debezium_s_server_is_read_in_both_of_its_forms(name: str) -> None:
    """Key and value are two fields, or one field's name and value."""
    found = a_change(parsed(name))

    assert (found.source, found.entity, found.keys) == (
        Source.REDIS_STREAM,
        "inventory.flights",
        {"id": 1545},
    )
    assert found.id.startswith("flight-changes:1360332012000-")


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "a", "value": "b"},
        {"key": "{", "value": "{}"},
        {"key": "{}", "value": '{"a": 1}'},
        {"{}": "[]"},
        {"only": "{}"},
        {"key": "7", "value": '{"op": "u", "source": {}}'},
    ],
)
def test_fields_that_are_not_debezium_s_are_a_row(fields: dict[str, str]) -> None:
    """A table may have columns called `key` and `value`."""
    try:
        found = a_change(redis_stream.parse(entry(fields)))
    except MalformedEventError:
        assert fields["key"] == "{"
    else:
        assert found.new == fields


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({}, "stream is missing"),
        ({"stream": "s"}, "id is missing"),
        ({"stream": "s", "id": "1-1", "fields": []}, "fields: [] is not an object"),
        ({"stream": "s", "id": "1", "fields": {}}, "id: '1' is not an entry's ID"),
        ({"stream": "s", "id": "1-x", "fields": {}}, "id: '1-x' is not an entry's ID"),
        ({"stream": "s", "id": "\u0661-1", "fields": {}}, "is not an entry's ID"),
        ({"stream": "s", "id": "18446744073709551616-0", "fields": {}}, "is not an entry's ID"),
        ({"stream": "s", "id": "1-1", "fields": {"a": 7}}, "fields.a: 7 is not a text"),
        ({"stream": "s", "id": "1-1", "fields": {"a": {"base64": "?"}}}, "fields.a: '?' is not base64"),
        ({"stream": "s", "id": "1-1", "fields": {"m": "{"}}, "fields.m: '{' is not JSON"),
        ({"stream": "", "id": "1-1", "fields": {"a": "1"}}, "nothing says what the row is of"),
        (None, "entry: None is not an object"),
    ],
)
def test_a_wrong_entry_is_named(raw: Any, told: str) -> None:
    """A malformed entry is poison, by an error that names the field."""
    with pytest.raises(MalformedEventError) as caught:
        redis_stream.parse(raw)

    assert told in str(caught.value)


# --- Kinesis ------------------------------------------------------------------------------------------


def kinesis_record(data: Any, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = record("kinesis-plain", **fields)
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    made["kinesis"]["data"] = b64encode(raw).decode()
    return made


def told_by_dynamodb(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b64decode(record("kinesis-dynamodb-modify")["kinesis"]["data"]))
    return {**found, **fields}


def test_a_table_s_change_by_kinesis_is_the_same_as_by_its_stream() -> None:
    """Source, entity, operation and rows are DynamoDB's; place and channel are those of Kinesis."""
    by_kinesis, by_stream = a_change(parsed("kinesis-dynamodb-modify")), a_change(parsed("dynamodb-modify"))

    for field in ("source", "entity", "operation", "keys", "old", "new", "images", "region"):
        assert getattr(by_kinesis, field) == getattr(by_stream, field)
    assert by_kinesis.channel == "flight-changes"
    assert by_kinesis.position.partition == "shardId-000000000006"
    assert by_kinesis.position.sequence == 49590338271490256608559692538361571095921575989136588898


def test_a_copy_has_the_identity_of_the_original() -> None:
    """DynamoDB writes a change to Kinesis several times and in any order: its own name for it stays."""
    later, first, again = (a_change(kinesis.parse(raw)) for raw in records("kinesis-dynamodb-repeated"))

    assert later.id == again.id != first.id
    assert later.position != again.position


@pytest.mark.parametrize(
    ("precision", "ticks", "changed_ms"),
    [
        ("MICROSECOND", 1_360_332_012_000_999, 1_360_332_012_000),
        ("MILLISECOND", 1_360_332_012_000, 1_360_332_012_000),
        (None, 1_360_332_012_000, 1_360_332_012_000),
        (None, None, 0),
    ],
)
def test_the_time_has_the_unit_that_the_record_names(
    precision: str | None, ticks: Any, changed_ms: int
) -> None:
    """Microseconds where they are asked for, else milliseconds; never the stream's seconds."""
    told = told_by_dynamodb()
    told["dynamodb"] |= {
        "ApproximateCreationDateTime": ticks,
        "ApproximateCreationDateTimePrecision": precision,
    }

    assert a_change(kinesis.parse(kinesis_record(told))).changed_ms == changed_ms


def test_expiry_is_told_apart_by_kinesis_too() -> None:
    """A row that DynamoDB removed by itself is marked."""
    assert a_change(parsed("kinesis-dynamodb-ttl")).expired
    assert not a_change(parsed("kinesis-dynamodb-modify")).expired


def test_a_plain_message_is_an_application_s() -> None:
    """The stream is its entity and channel."""
    found = a_change(parsed("kinesis-plain"))

    assert (found.source, found.entity, found.channel) == (
        Source.APPLICATION,
        "announcements",
        "announcements",
    )
    assert found.keys == {"flight_id": FLIGHT}
    assert found.changed_ms == 1_360_332_012_500


def test_a_record_that_a_pipe_flattened_is_the_same() -> None:
    """EventBridge Pipes hand over a record's fields without the object around its data."""
    nested = record("kinesis-plain")
    flat = {**nested, **nested["kinesis"]}
    del flat["kinesis"]

    assert kinesis.parse(flat) == kinesis.parse(nested)


def test_packed_records_are_refused_with_the_remedy() -> None:
    """What the producer library packed is several records; reading it as one would lose the others."""
    with pytest.raises(UnsupportedFormatError, match="AggregationEnabled=false"):
        parsed("kinesis-packed")


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("eventSourceARN", ..., "eventSourceARN is missing"),
        ("eventSourceARN", "arn:aws:dynamodb:eu-west-1:1:table/x", "is not the ARN of a Kinesis stream"),
        ("kinesis", ..., "kinesis is missing"),
        ("kinesis.sequenceNumber", "12a", "kinesis.sequenceNumber: '12a' is not a decimal number"),
        ("kinesis.sequenceNumber", "9" * 130, "at most 129 digits"),
        ("kinesis.data", "?", "kinesis.data: '?' is not base64"),
        ("kinesis.data", b64encode(b"hello").decode(), "kinesis.data: b'hello' is not JSON"),
        ("kinesis.approximateArrivalTimestamp", "noon", "is not a time"),
    ],
)
def test_a_wrong_record_is_named(path: str, content: Any, told: str) -> None:
    """A malformed record is poison, by an error that names the field."""
    with pytest.raises(MalformedEventError) as caught:
        kinesis.parse(with_field(record("kinesis-plain"), path, content))

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"tableName": 7}, "tableName: 7 is not a string"),
        ({"eventName": "UPSERT"}, "eventName: 'UPSERT' is not one of"),
        (
            {"dynamodb": {"ApproximateCreationDateTimePrecision": "SECOND", "Keys": {}}},
            "is not one of MILLISECOND",
        ),
        ({"dynamodb": {"ApproximateCreationDateTime": 1.5, "Keys": {}}}, "is not a whole number"),
        ({"dynamodb": {}}, "dynamodb.Keys is missing"),
    ],
)
def test_a_wrong_change_of_a_table_is_named(fields: dict[str, Any], told: str) -> None:
    """So is what DynamoDB would never have written."""
    with pytest.raises(MalformedEventError) as caught:
        kinesis.parse(kinesis_record(told_by_dynamodb(**fields)))

    assert told in str(caught.value)


# --- DynamoDB -----------------------------------------------------------------------------------------


def test_the_attributes_of_replication_are_no_part_of_the_row() -> None:
    """Version 2017.11.29 of global tables writes them into items; who wrote is told beside."""
    found = a_change(parsed("dynamodb-replica-2017"))

    for row in (found.old, found.new):
        assert row is not None
        assert not any(name.startswith("aws:rep:") for name in row)
    assert found.writer == "us-east-1"


def test_a_record_that_only_replication_caused_is_ignored() -> None:
    """Every own write comes a second time there, with nothing new in it."""
    assert isinstance(parsed("dynamodb-replica-2017-own"), Ignored)
    changed = with_field(record("dynamodb-replica-2017-own"), "dynamodb.NewImage.status", {"S": "boarding"})
    assert isinstance(dynamodb_streams.change(changed), ChangeEvent)


def test_a_replica_s_change_from_true_to_one_is_a_change() -> None:
    """Python takes true for 1; whoever reads the row does not."""
    told = with_field(record("dynamodb-replica-2017-own"), "dynamodb.NewImage.open", {"N": "1"})
    told = with_field(told, "dynamodb.OldImage.open", {"BOOL": True})

    assert isinstance(dynamodb_streams.change(told), ChangeEvent)


def test_a_later_version_s_replica_is_an_ordinary_record() -> None:
    """Version 2019.11.21 leaves items alone; a principal that the record names is told, and is no expiry."""
    by_replication = record(
        "dynamodb-replica-2019", userIdentity={"type": "Service", "principalId": "replication"}
    )

    assert a_change(parsed("dynamodb-replica-2019")).writer == ""
    assert a_change(dynamodb_streams.change(by_replication)).writer == "replication"
    assert not a_change(dynamodb_streams.change(by_replication)).expired


@pytest.mark.parametrize(
    "identity", [None, "x", {}, {"principalId": 7}, {"principalId": ["dynamodb.amazonaws.com"]}]
)
def test_an_identity_of_another_shape_is_no_expiry(identity: Any) -> None:
    """Only DynamoDB's own principal removes rows by their time to live."""
    assert not a_change(dynamodb_streams.change(record("dynamodb-ttl", userIdentity=identity))).expired


def test_numbers_keep_all_their_digits() -> None:
    """38 digits and magnitudes from 10^-130 to 10^126, whole ones as int; no float comes near them."""
    row = a_change(parsed("dynamodb-numbers")).new

    assert row is not None
    assert row["digits"] == Decimal("1.2345678901234567890123456789012345678")
    assert str(row["digits"]) == "1.2345678901234567890123456789012345678"
    assert row["integer"] == 12345678901234567890123456789012345678
    assert row["tiny"] == Decimal("1E-130")
    assert row["large"] == 99999999999999999999999999999999999999 * 10**88
    assert (row["zero"], row["padded"]) == (0, 5)
    assert all(type(row[name]) is int for name in ("integer", "large", "zero", "padded"))


def test_empty_values_are_values() -> None:
    """An empty text, list, map or binary is there; it is not a missing attribute."""
    row = a_change(parsed("dynamodb-empty")).new

    assert row is not None
    assert (row["text"], row["bytes"], row["list"], row["map"]) == ("", b"", [], {})
    assert row["nested"] == {"list": [{"text": ""}]}


def test_forty_digits_compare_as_a_number() -> None:
    """The longest sequence number is greater than a shorter one that begins with a greater digit."""
    long = a_change(parsed("dynamodb-long-sequence")).position.sequence
    short = a_change(parsed("dynamodb-modify")).position.sequence

    assert long == 1234567890123456789012345678901234567890
    assert short is not None
    assert long > short


def test_what_the_api_returns_is_read_as_what_lambda_delivers() -> None:
    """The worker reads the stream itself: datetimes and bytes become JSON, and the stream's name is put beside."""
    told = record("dynamodb-all-types")
    arn = told.pop("eventSourceARN")
    api = {**told, "dynamodb": {**told["dynamodb"]}}
    api["dynamodb"]["ApproximateCreationDateTime"] = datetime(2013, 2, 8, 14, 0, 12, tzinfo=UTC)
    api["dynamodb"]["NewImage"] = {
        **told["dynamodb"]["NewImage"],
        "b": {"B": b"\x00\x01\x02"},
        "bs": {"BS": [b"\x01"]},
    }

    raw = dynamodb_streams.of_api(api, arn)
    found = a_change(dynamodb_streams.change(json.loads(json.dumps(raw))))

    expected = a_change(parsed("dynamodb-all-types"))
    assert found.model_copy(update={"changed_ms": 0}) == expected.model_copy(update={"changed_ms": 0})
    assert found.changed_ms == 1_360_332_012_000


# --- buses --------------------------------------------------------------------------------------------


def test_a_partner_s_event_is_an_application_s() -> None:
    """Its detail-type is the entity; its source, by which the bus knows it, is the channel."""
    found = a_change(parsed("eventbridge-partner"))

    assert (found.entity, found.channel) == (
        "order.updated",
        "aws.partner/example.com/123456789012/orders",
    )
    assert found.keys == {"order_id": "o-77"}


@pytest.mark.parametrize("name", ["eventbridge-scheduled", "eventbridge-scheduler"])
def test_a_schedule_is_named_by_its_rule(name: str) -> None:
    """Rules can invalidate by the clock; EventBridge Scheduler's empty detail is a text."""
    found = a_change(parsed(name))

    assert (found.entity, found.operation) == ("Scheduled Event", Operation.OTHER)
    assert found.keys == {"schedule": "nightly-fares"}
    assert found.new == {}


@pytest.mark.parametrize("resources", [None, [], [7], "x", [""]])
def test_a_schedule_without_its_rule_s_name_is_told_all_the_same(resources: Any) -> None:
    """What is not there stays unknown."""
    assert a_change(eventbridge.parse(record("eventbridge-scheduled", resources=resources))).keys == {
        "schedule": ""
    }


def test_a_replay_is_marked() -> None:
    """It is the same event, with the same identity, maybe long after."""
    again, once = a_change(parsed("eventbridge-replayed")), a_change(parsed("eventbridge-application"))

    assert again.replayed
    assert not once.replayed
    assert again.new == once.new


def test_a_pipe_s_record_of_a_table_is_the_table_s() -> None:
    """EventBridge Pipes put a stream's record into the detail."""
    assert a_change(parsed("eventbridge-pipe-dynamodb")) == a_change(parsed("dynamodb-modify"))


# --- texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": NaN}', None),
        ('{"a": "\\ud800"}', {"a": "\ud800"}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a": 1.5}', {"a": 1.5}),
        ('\ufeff{"a": 1}', ...),
        ('{"a": 1} x', ...),
        (b'{"a": "\xff"}', ...),
        ("9" * 5_000, ...),
        ("", ...),
    ],
)
def test_json_is_read_leniently_where_producers_are(text: str | bytes, value: Any) -> None:
    """`NaN` and halves of surrogate pairs lie mostly where no rule looks; what is no JSON at all is refused."""
    if value is ...:
        with pytest.raises(MalformedEventError, match="is not JSON"):
            document(text, "body")
    elif value is None:
        assert list(document(text, "body")) == ["a"]
    else:
        assert document(text, "body") == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, " " * (MAX_BYTES + 1)])
def test_json_is_bounded(text: str) -> None:
    """Neither depth nor length takes the process down."""
    with pytest.raises(OversizedEventError):
        document(text, "body")


ALL: list[RecordSource] = [kinesis.SOURCE, redis_stream.SOURCE, dynamodb_streams.SOURCE, eventbridge.SOURCE]


@pytest.mark.parametrize("raw", [None, [], "text", 7, {}, {1: 2}, float("nan")])
@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_what_is_no_record_is_malformed(source: RecordSource, raw: Any) -> None:
    """Anything at all can be handed in."""
    with pytest.raises(EventError):
        source.parse(raw)


def test_a_record_that_a_pipe_puts_on_a_bus_is_its_own_source_s() -> None:
    """Kinesis, Kafka and SQS alike: an event around a record must not pass for a row with the record's fields."""
    nested, queued = record("kinesis-plain"), record("sqs-change")
    streamed = {key: each for key, each in {**nested, **nested["kinesis"]}.items() if key != "kinesis"}
    piped = with_field(event("eventbridge-application"), "detail", streamed)

    assert eventbridge.parse(piped) == kinesis.parse(nested)
    assert eventbridge.parse({**piped, "detail": queued}) == parsed("sqs-change")


def test_whoever_writes_a_stream_or_a_topic_is_no_region() -> None:
    """A forged event of another region could clear a namespace, which a published message never can."""
    forged = json.dumps(event("eventbridge-replication"))

    with pytest.raises(ForbiddenEventError, match="by the bus of this region"):
        redis_stream.parse(entry({"m": forged}))
    with pytest.raises(ForbiddenEventError, match="by kafka 'flights'"):
        kafka.parse({**record("kafka-plain", topic="flights"), "value": b64encode(forged.encode()).decode()})
