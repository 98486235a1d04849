"""Avro is read as another implementation writes it, and never beyond its bounds."""

from __future__ import annotations

import io
import json
import zlib
from base64 import b64encode
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from fastavro.schema import fingerprint as their_fingerprint
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof.errors import ConfigurationError, EventError, MalformedEventError, OversizedEventError
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources import Several, avro, avro_fingerprint, avro_schema, encodings, kafka
from staleproof_pipeline.sources.avro import Schema
from tests.unit.source_samples import FLIGHT, record

FLIGHTS: dict[str, Any] = {
    "type": "record",
    "name": "Flight",
    "namespace": "com.example",
    "fields": [
        {"name": "flight_id", "type": "string"},
        {"name": "carrier", "type": "string"},
        {"name": "status", "type": ["null", "string"], "default": None},
        {"name": "fare", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    ],
}
ROW = {"flight_id": FLIGHT, "carrier": "UA", "status": "departed", "fare": Decimal("-12.34")}
FULL: dict[str, Any] = {
    "type": "record",
    "name": "Full",
    "namespace": "com.example",
    "doc": "every type",
    "fields": [
        {"name": "nothing", "type": "null"},
        {"name": "flag", "type": "boolean"},
        {"name": "int", "type": "int"},
        {"name": "long", "type": {"type": "long"}},
        {"name": "float", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "bytes", "type": "bytes"},
        {"name": "text", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "again", "type": "Kind"},
        {"name": "fixed", "type": {"type": "fixed", "name": "other.Three", "size": 3}},
        {"name": "third", "type": "other.Three"},
        {"name": "list", "type": {"type": "array", "items": ["null", "long", "string"]}},
        {"name": "map", "type": {"type": "map", "values": {"type": "array", "items": "int"}}},
        {"name": "next", "type": ["null", "Full"], "aliases": ["x"]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "fare", "type": {"type": "fixed", "name": "Fare", "size": 8, "logicalType": "decimal",
                                  "precision": 18, "scale": 4}},
    ],
}  # fmt: skip
FULL_ROW: dict[str, Any] = {
    "nothing": None, "flag": True, "int": -(2**31), "long": 2**63 - 1, "float": 0.5, "double": 0.1,
    "bytes": b"\x00\xff", "text": "Zürich", "kind": "B", "again": "A", "fixed": b"abc", "third": b"xyz",
    "list": [None, -1, "x"],
    "map": {"a": [1, 2], "": []}, "next": None, "day": date(2013, 2, 8),
    "at": datetime(2013, 2, 8, 14, 0, 12, 123_456, tzinfo=UTC), "ms": datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
    "local": datetime(2013, 2, 8, 14), "fare": Decimal("-99.9999"),  # noqa: DTZ001 - it has no zone
}  # fmt: skip


def written(schema: dict[str, Any], row: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def container(schema: dict[str, Any], rows: list[Any], codec: str = "null", **how: Any) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema), rows, codec=codec, **how)
    return out.getvalue()


def ours(schema: Any) -> Schema:
    return Schema(json.dumps(schema))


# --- the same as another implementation ---------------------------------------------------------------


def test_every_type_is_read_as_another_implementation_writes_it() -> None:
    """Types, names within namespaces, recursion and logical types."""
    row = {**FULL_ROW, "next": FULL_ROW}

    assert ours(FULL).value(written(FULL, row)) == row


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_is_read_as_another_implementation_writes_it(codec: str) -> None:
    """Of several blocks too, in their order."""
    rows = [{**ROW, "carrier": f"c{n}"} for n in range(500)]
    raw = container(FLIGHTS, rows, codec, sync_interval=1_000)

    assert avro.container(raw) == rows


@pytest.mark.parametrize(
    "schema", [FLIGHTS, FULL, {"type": "array", "items": "long"}, "string", ["null", "int"]]
)
def test_fingerprints_are_the_specification_s(schema: Any) -> None:
    """A writer's fingerprint names the schema by the same canonical form and the same checksum."""
    canonical = to_parsing_canonical_form(schema)

    assert avro_fingerprint.canonical(schema) == canonical
    assert ours(schema).fingerprint.hex() == their_fingerprint(canonical, "CRC-64-AVRO")


VALUES = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "long": st.integers(-(2**63), 2**63 - 1),
        "double": st.floats(allow_nan=False),
        "bytes": st.binary(max_size=20),
        "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "list": st.lists(st.none() | st.integers(-(2**40), 2**40) | st.text("ab", max_size=3), max_size=5),
        "map": st.dictionaries(
            st.text("abc", max_size=3), st.lists(st.integers(-9, 9), max_size=3), max_size=3
        ),
    }
)
SOME = {**FULL, "fields": [each for each in FULL["fields"] if each["name"] in {
    "flag", "long", "double", "bytes", "text", "list", "map"}]}  # fmt: skip
SOME_SCHEMA = ours(SOME)


@settings(max_examples=200)
@given(VALUES)
def test_any_values_come_back(row: dict[str, Any]) -> None:
    """What another implementation writes is read to the last bit."""
    assert SOME_SCHEMA.value(written(SOME, row)) == row


@settings(max_examples=500)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused(raw: bytes, framed: bool) -> None:
    """Bytes that no schema wrote end in one of our errors."""
    for schema in (None, SOME_SCHEMA):
        try:
            encodings.documents(avro.MAGIC + raw if framed else raw, schema, "value")
            encodings.key(raw, schema)
        except EventError:
            pass


# --- in Kafka -----------------------------------------------------------------------------------------

READING = kafka.source(
    kafka.Reading({"flights-avro-value": ours(FLIGHTS), "flights-avro-key": ours("string")})
)


@pytest.mark.parametrize(
    "name", ["kafka-avro-container", "kafka-avro-confluent", "kafka-avro-glue", "kafka-avro-single-object"]
)
def test_every_framing_is_read_where_the_schema_is_configured(name: str) -> None:
    """No registry is asked; a container needs no schema at all."""
    raw = record(name, key=b64encode(written(FLIGHTS["fields"][0], FLIGHT)).decode())

    found = READING.parse(raw)

    assert isinstance(found, ChangeEvent)
    assert (found.entity, found.new) == ("flights-avro", ROW)
    assert found.keys == {"key": FLIGHT}


def test_bare_avro_is_read_where_the_schema_is_configured() -> None:
    """A topic whose schema everybody knows needs no framing."""
    raw = record("kafka-avro-container", key=None, value=b64encode(written(FLIGHTS, ROW)).decode())
    found = READING.parse(raw)

    assert isinstance(found, ChangeEvent)
    assert found.new == ROW


def test_compressed_glue_records_are_unpacked() -> None:
    """AWS Glue's serializer may compress, told by its second byte."""
    body = b"\x03\x05" + bytes(16) + zlib.compress(written(FLIGHTS, ROW))

    assert encodings.documents(body, ours(FLIGHTS), "value") == [ROW]


def test_json_in_a_registry_s_frame_needs_no_schema() -> None:
    """JSON Schema's serializer writes JSON behind the schema's number."""
    assert encodings.documents(b'\x00\x00\x00\x00\x07{"a": 1}', None, "value") == [{"a": 1}]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\x00\x00\x00\x00\x07\x02", "schema 7 of a registry"),
        (b"\x00\x00\x00\x00\x07{\x02", "schema 7 of a registry"),
        (b"\x00", "schema 0 of a registry"),
        (b"\x03\x00" + bytes(16), "schema version 00000000000000000000000000000000 of the Glue registry"),
        (b"\xc3\x01" + bytes(8), "the schema of fingerprint 0000000000000000"),
    ],
)
def test_what_needs_a_schema_says_which(raw: bytes, told: str) -> None:
    """The dead letter tells what to configure."""
    with pytest.raises(
        UnsupportedFormatError, match="no registry is asked; configure the topic's schema"
    ) as caught:
        encodings.documents(raw, None, "value")

    assert told in str(caught.value)


def test_a_record_of_another_schema_is_refused() -> None:
    """The fingerprint says so before a byte is misread."""
    other = b"\xc3\x01" + ours("string").fingerprint + b"\x02a"

    with pytest.raises(UnsupportedFormatError, match="is configured; configure the writer's"):
        encodings.documents(other, ours(FLIGHTS), "value")


def test_a_container_of_several_rows_is_a_change_each() -> None:
    """Each has an identity of its own, the same at every redelivery."""
    raw = container(FLIGHTS, [ROW, {**ROW, "carrier": "AA"}])

    found = kafka.parse(record("kafka-avro-container", value=b64encode(raw).decode()))

    assert isinstance(found, Several)
    changes = [each for each in found.parts if isinstance(each, ChangeEvent)]
    assert [each.id for each in changes] == ["flights-avro-0:38:0", "flights-avro-0:38:1"]


def test_an_envelope_in_avro_is_debezium_s() -> None:
    """Debezium's Avro converter names its types by `connect.name`; they are read as in JSON with a schema."""
    day = {"type": "int", "connect.version": 1, "connect.name": "io.debezium.time.Date"}
    moment = {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}
    row = {"type": "record", "name": "Value", "fields": [{"name": "id", "type": "int"},
        {"name": "day", "type": ["null", day]}, {"name": "at", "type": moment}]}  # fmt: skip
    source = {"type": "record", "name": "Source", "fields": [
        {"name": name, "type": "string"} for name in ("connector", "db", "table")]}  # fmt: skip
    envelope = {"type": "record", "name": "Envelope", "fields": [
        {"name": "before", "type": ["null", row]}, {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": source}, {"name": "op", "type": "string"}]}  # fmt: skip
    value = {
        "before": None,
        "after": {"id": 7, "day": 15_744, "at": 1_360_332_012_000_123},
        "source": {"connector": "mysql", "db": "inventory", "table": "flights"},
        "op": "c",
    }
    raw = record("kafka-avro-container", value=b64encode(container(envelope, [value])).decode())

    found = kafka.parse(raw)

    assert isinstance(found, ChangeEvent)
    assert found.entity == "inventory.flights"
    assert found.new is not None
    assert found.new["day"] == date(2013, 2, 8)
    assert found.new["at"] == datetime(2013, 2, 8, 14, 0, 12, 123)  # noqa: DTZ001 - it has no zone


# --- bounds -------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    found = b""
    while number >= 0x80:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def hostile_container(schema: Any, block: bytes, count: int = 1, codec: bytes = b"null") -> bytes:
    text = json.dumps(schema).encode()
    meta = b"".join(varint(len(each)) + each for each in (b"avro.schema", text, b"avro.codec", codec))
    sync = bytes(16)
    return avro.MAGIC + varint(2) + meta + b"\x00" + sync + varint(count) + varint(len(block)) + block + sync


NULLS = {"type": "array", "items": "null"}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
WIDE = {**EMPTY, "fields": [{"name": f"f{n}", "type": "null"} for n in range(2_000)]}
LINKED = {"type": "record", "name": "Linked", "fields": [{"name": "next", "type": ["null", "Linked"]}]}
ENDLESS = {"type": "record", "name": "Endless", "fields": [{"name": "next", "type": "Endless"}]}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(hostile_container(NULLS, varint(2**40) + b"\x00"), id="a billion of nothing"),
        pytest.param(
            hostile_container({"type": "array", "items": EMPTY}, varint(2**31) + b"\x00"), id="empty records"
        ),
        pytest.param(hostile_container(EMPTY, b"", 2**40), id="a block of a billion"),
        pytest.param(hostile_container("null", b"", -1), id="a block of less than none"),
        pytest.param(hostile_container(LINKED, b"\x02" * 500 + b"\x00"), id="a long list"),
        pytest.param(hostile_container(ENDLESS, b""), id="an endless record"),
        pytest.param(
            hostile_container("bytes", zlib.compress(bytes(50_000_000), 9)[2:-4], codec=b"deflate"),
            id="a bomb",
        ),
        pytest.param(
            hostile_container({"type": "array", "items": WIDE}, varint(400_000) + b"\x00"), id="wide rows"
        ),
    ],
)
def test_a_hostile_container_is_oversized(raw: bytes) -> None:
    """A few bytes cannot ask for gigabytes, for hours or for the stack."""
    with pytest.raises(OversizedEventError):
        avro.container(raw)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (hostile_container("bytes", varint(2**40)), "bytes are claimed"),
        (hostile_container("bytes", varint(-5)), "bytes are claimed"),
        (hostile_container("string", b"\x04\xff\xfe"), "invalid start byte"),
        (hostile_container("long", b"\xff" * 11), "a number ends"),
        (hostile_container(["null"], b"\x04"), "branch 2 of 1"),
        (hostile_container({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x01"), "symbol -1 of 1"),
        (hostile_container("null", b"x"), "has more"),
        (hostile_container("x.unknown", b""), "is no type"),
        (hostile_container({"type": "record"}, b""), "needs a name"),
        (hostile_container(7, b""), "is no type"),
        (hostile_container("null", b"", codec=b"deflate"), ""),
        (container(FLIGHTS, [ROW])[:-1], "bytes are claimed"),
        (container(FLIGHTS, [ROW])[:-1] + b"x", "marker"),
        (avro.MAGIC, "a number ends"),
        (avro.MAGIC + b"\x00" + bytes(16), "no JSON"),
    ],
)
def test_a_broken_container_is_malformed(raw: bytes, told: str) -> None:
    """What is cut off or wrong is refused with its reason."""
    if not told:
        assert avro.container(raw) == [None]
        return
    with pytest.raises(MalformedEventError) as caught:
        avro.container(raw)

    assert told in str(caught.value)


def test_another_compression_is_named() -> None:
    """The producer is told what is read."""
    with pytest.raises(UnsupportedFormatError, match="b'snappy'; write the container with deflate"):
        avro.container(hostile_container("null", b"", codec=b"snappy"))


def test_bytes_that_are_left_over_are_no_value() -> None:
    """A shorter schema than the writer's would misread in silence."""
    with pytest.raises(MalformedEventError, match="left over"):
        ours("long").value(b"\x02\x02")


def deep(levels: int) -> Any:
    schema: Any = "null"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("7", "'7' is no type"),
        ('{"type": "record", "name": "R"}', "needs a list of named fields"),
        ('{"type": "record", "name": "R", "fields": [{"type": "null"}]}', "needs a list of named fields"),
        ('{"type": "record", "name": "R", "fields": [{"name": "a"}]}', "'None' is no type"),
        ('{"type": "enum", "name": "E"}', "needs symbols"),
        ('{"type": "fixed", "name": "F", "size": -1}', "needs a size"),
        ('{"type": "fixed", "name": "F", "size": true}', "needs a size"),
        (
            '["null", {"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}]',
            "twice",
        ),
        ('{"type": "bytes", "logicalType": "decimal", "scale": "2"}', "scale"),
        ('{"type": "array"}', "'None' is no type"),
        (json.dumps(deep(100)), "nested deeper"),
        (" " * (avro_schema.MAX_TEXT + 1), "exceed"),
    ],
)
def test_a_wrong_schema_of_the_deployment_is_its_own_fault(text: str, told: str) -> None:
    """It is found when it is configured, not at the first record, and by its name."""
    with pytest.raises(ConfigurationError, match="schema 'flights-value':") as caught:
        Schema.configured(text, "flights-value")

    assert told in str(caught.value)
