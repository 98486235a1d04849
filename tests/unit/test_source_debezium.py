"""Debezium: what each connector's events tell, and what they must not be taken for."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from staleproof.errors import EventError, MalformedEventError, OversizedEventError
from staleproof_pipeline.change import ChangeEvent, Operation
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import Ignored, connect_values, extended_json, kafka
from staleproof_pipeline.translation import Translated, Translator
from tests.unit.source_samples import FLIGHT, parsed, record

RULES = """
version: 1
rules:
  - name: flight
    when: {source: kafka, table: "*.flights"}
    tags: ["flight:{keys.id}", "airline:{carrier}"]
"""


def value_of(name: str) -> Any:
    """The document in the sample's value."""
    return json.loads(b64decode(record(name)["value"]))


def with_value(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {**record(name), "value": b64encode(json.dumps(value).encode()).decode(), **fields}


def change(name: str, **payload: Any) -> ChangeEvent:
    """What the sample tells, with some of its payload replaced."""
    found = kafka.parse(with_value(name, {**value_of(name), **payload}))
    assert isinstance(found, ChangeEvent)
    return found


def translated(raw: Any, rules: str = RULES) -> Translated:
    return Translator(loader.loads(rules), "eu-west-1", "shop").translate(raw, kafka.SOURCE)


@pytest.mark.parametrize(
    ("name", "operation", "rows", "images"),
    [
        ("kafka-mysql-create", "insert", (False, True), {"old", "new"}),
        ("kafka-mysql-update", "modify", (True, True), {"old", "new"}),
        ("kafka-mysql-delete", "remove", (True, False), {"old", "new"}),
        ("kafka-mysql-snapshot", "insert", (False, True), {"new"}),
        ("kafka-postgres-update", "modify", (True, True), {"old", "new"}),
        ("kafka-postgres-update-default-identity", "modify", (False, True), {"new"}),
        ("kafka-postgres-delete-default-identity", "remove", (False, False), {"new"}),
        ("kafka-mongodb-update", "modify", (True, True), {"old", "new"}),
        ("kafka-mongodb-update-partial", "modify", (False, False), set()),
        ("kafka-mongodb-delete", "remove", (True, False), {"old", "new"}),
        ("kafka-flat", "modify", (False, True), {"new"}),
        ("kafka-flat-deleted", "remove", (True, False), {"old"}),
    ],
)
def test_every_operation_says_which_rows_it_tells(
    name: str, operation: str, rows: tuple[bool, bool], images: set[str]
) -> None:
    """A rule can tell a row that is not there from one that the database leaves out."""
    found = parsed(name)

    assert isinstance(found, ChangeEvent)
    assert found.operation is Operation(operation)
    assert (found.old is not None, found.new is not None) == rows
    assert found.images == images


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("kafka-mysql-update", "inventory.flights"),
        ("kafka-postgres-update", "public.flights"),
        ("kafka-mongodb-update", "inventory.flights"),
        ("kafka-flat", "inventory.flights"),
    ],
)
def test_the_entity_is_the_tables_name_in_its_database(name: str, entity: str) -> None:
    """`schema.table` where there are schemas, else `db.table` or `db.collection`; the topic's name is configurable."""
    found = parsed(name)

    assert isinstance(found, ChangeEvent)
    assert found.entity == entity


def test_a_snapshot_s_row_is_marked() -> None:
    """A row that was there already may have changed while nobody looked, so it counts; a rule can leave it out."""
    assert change("kafka-mysql-snapshot").snapshot
    assert not change("kafka-mysql-create").snapshot


def test_the_time_is_the_databases_where_it_is_told() -> None:
    """Else it is the connector's, else the record's."""
    source = value_of("kafka-mysql-update")["source"]

    assert change("kafka-mysql-update").changed_ms == 1_360_332_012_000
    assert change("kafka-mysql-update", source={**source, "ts_ms": 0}).changed_ms == 1_360_332_012_345
    assert (
        change("kafka-mysql-update", source={**source, "ts_ms": "?"}, ts_ms=-1).changed_ms
        == 1_360_332_012_400
    )


# --- a table that was emptied -----------------------------------------------------------------------


def test_an_emptied_table_clears_what_is_derived_from_its_rows() -> None:
    """No row is told, so what is derived from rows cannot be named: the whole namespace falls, nothing stays stale."""
    found = translated(record("kafka-mysql-truncate"))

    assert (found.error, found.note) == (None, "")
    assert [(each.namespace, each.clear) for each in found.invalidations] == [("shop", True)]
    assert change("kafka-mysql-truncate").truncated


def test_an_emptied_table_spares_the_rest_where_a_tag_says_it_all() -> None:
    """A rule that names no attribute needs no row."""
    rules = RULES.replace('["flight:{keys.id}", "airline:{carrier}"]', '["flights"]')

    (found,) = translated(record("kafka-mysql-truncate"), rules).invalidations

    assert (found.clear, found.tags) == (False, ("flights",))


# --- what a database leaves out ---------------------------------------------------------------------


def test_a_row_that_the_database_leaves_out_is_noticed() -> None:
    """Postgres' default tells keys only: the airline of the old row is unknown, and an operator is told what to set."""
    found = translated(record("kafka-postgres-delete-default-identity"))

    assert [each.tags for each in found.invalidations] == [("flight:1545",)]
    assert "REPLICA IDENTITY FULL" in found.note
    assert "{carrier}" in found.note


def test_a_row_of_keys_alone_passes_for_a_row_where_it_is_whole() -> None:
    """A row with another value than its key is told; whatever the connector, MySQL's null columns are null."""
    old = {"id": 1545, "carrier": None}

    assert change("kafka-postgres-delete-default-identity", before={**old, "status": "x"}).old is not None
    assert change("kafka-mysql-delete", before=old).old == old


def test_an_unchanged_large_value_is_taken_from_the_old_row() -> None:
    """Postgres sends a placeholder for it, which must never become a tag."""
    found = change("kafka-postgres-unchanged-value")
    unknown = change("kafka-postgres-unchanged-value", before=None)

    assert found.new is not None
    assert unknown.new is not None
    assert found.new["notes"] == "a long text"
    assert "notes" not in unknown.new
    assert unknown.new["carrier"] == "AA"


def test_a_placeholder_in_the_old_row_is_left_out_too() -> None:
    """Neither row knows the value then."""
    hidden = {"id": 1545, "carrier": "UA", "notes": "__debezium_unavailable_value"}
    found = change("kafka-postgres-unchanged-value", before=hidden, after=hidden)

    assert found.old == found.new == {"id": 1545, "carrier": "UA"}


@pytest.mark.parametrize(
    "raw",
    [
        lambda: with_value(
            "kafka-flat", {**value_of("kafka-flat"), "carrier": "__debezium_unavailable_value"}
        ),
        lambda: with_value(
            "kafka-mysql-update",
            {
                "op": "u",
                "before": {"id": 1545, "carrier": "__debezium_unavailable_value"},
                "after": {"id": 1545, "carrier": "__debezium_unavailable_value"},
                "source": {"connector": "oracle", "schema": "s", "table": "flights"},
            },
        ),
        lambda: with_value(
            "kafka-mysql-update",
            {
                "op": "u",
                "before": None,
                "after": {"id": 1545, "carrier": ["__debezium_unavailable_value"]},
                "source": {"connector": "postgresql", "schema": "s", "table": "flights"},
            },
        ),
    ],
)
def test_no_placeholder_becomes_a_tag_whatever_form_and_connector_it_has(raw: Any) -> None:
    """Flat rows and Oracle have placeholders too; what they stand for is not told, and that is noticed."""
    found = translated(raw())

    assert [each.tags for each in found.invalidations] == [("flight:1545",)]
    assert "needs {carrier}" in found.note


def test_a_condition_on_a_value_behind_a_placeholder_holds() -> None:
    """Nobody knows the value, so in doubt the change is invalidated."""
    guarded = RULES.replace('"*.flights"', '"*.flights", new: {carrier: AA, notes: {prefix: x}}')
    unknown = with_value(
        "kafka-postgres-unchanged-value", {**value_of("kafka-postgres-unchanged-value"), "before": None}
    )

    assert [set(each.tags) for each in translated(unknown, guarded).invalidations] == [
        {"flight:1545", "airline:AA"}
    ]


def test_a_change_in_a_cloud_event_is_the_same() -> None:
    """The converter for CloudEvents moves the envelope's fields into attributes; it is no row of its own."""
    told = value_of("kafka-mysql-update")
    inner = told.get("payload", told)
    source = inner["source"]
    event = {
        "specversion": "1.0", "id": "name:x;y", "source": "/debezium/mysql/shop", "time": "2013-02-08T14:00:12Z",
        "type": "io.debezium.mysql.datachangeevent", "datacontenttype": "application/json",
        "iodebeziumop": inner["op"], "iodebeziumconnector": "mysql", "iodebeziumdb": source["db"],
        "iodebeziumtable": source["table"], "iodebeziumtsms": str(source["ts_ms"]),
        "data": {"before": inner["before"], "after": inner["after"]},
    }  # fmt: skip
    plain = kafka.parse(with_value("kafka-mysql-update", {**inner, "source": {**source, "version": ""}}))

    assert kafka.parse(with_value("kafka-mysql-update", event)) == plain
    with pytest.raises(MalformedEventError, match="data"):
        kafka.parse(with_value("kafka-mysql-update", {**event, "data": "AAEC"}))


def test_the_columns_of_another_index_do_not_pass_for_the_old_row() -> None:
    """With REPLICA IDENTITY USING INDEX the old row has these alone, and the key's columns are null."""
    index = {"id": None, "carrier": None, "code": "x"}
    found = change("kafka-postgres-update-default-identity", before=index)

    assert found.old is None
    assert found.images == {"new"}


def test_a_connector_that_takes_the_message_for_a_text_is_read() -> None:
    """An outbox's payload is a column of text; without expansion the record's value is that text."""
    message = json.dumps(
        {"staleproof": "change", "schema": 1, "id": "m", "entity": "flight", "operation": "other"}
    )
    for value in (message, {"schema": {"type": "string", "optional": False}, "payload": message}):
        found = kafka.parse(with_value("kafka-flat", value))
        assert isinstance(found, ChangeEvent)
        assert (found.entity, found.id) == ("flight", "m")


# --- MongoDB ----------------------------------------------------------------------------------------


def test_documents_of_mongodb_are_plain_values() -> None:
    """Rows come as Extended JSON in a text, keys as a text in JSON; both name the row by the same `_id`."""
    found = change("kafka-mongodb-update")

    assert found.keys == {"_id": "5115e2ac4f2b7c0d9a3e51b8"}
    assert found.new == {
        "_id": "5115e2ac4f2b7c0d9a3e51b8",
        "flight_id": FLIGHT,
        "carrier": "AA",
        "seats": 180,
        "departs": datetime(2013, 2, 8, 14, 0, 12, tzinfo=UTC),
        "fare": Decimal("99.90"),
    }


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"$oid": "65"}, "65"),
        ({"$numberLong": "9007199254740993"}, 2**53 + 1),
        ({"$numberInt": "-7"}, -7),
        ({"$numberDouble": "1.5"}, 1.5),
        ({"$numberDecimal": "1E+3"}, Decimal("1E+3")),
        ({"$uuid": "3b241101-e2bb-4255-8caf-4136c566a962"}, "3b241101-e2bb-4255-8caf-4136c566a962"),
        ({"$date": {"$numberLong": "0"}}, datetime(1970, 1, 1, tzinfo=UTC)),
        ({"$date": "1970-01-01T00:00:00Z"}, datetime(1970, 1, 1, tzinfo=UTC)),
        ({"$date": 10**18}, 10**18),
        ({"$binary": {"base64": "AAE=", "subType": "00"}}, b"\x00\x01"),
        ({"$binary": "AAE=", "$type": "00"}, {"$binary": "AAE=", "$type": "00"}),
        ({"a": [{"b": {"$numberLong": "1"}}]}, {"a": [{"b": 1}]}),
        # What only looks like a wrapper is somebody's own field.
        ({"$numberLong": "x"}, {"$numberLong": "x"}),
        ({"$numberLong": 7}, {"$numberLong": 7}),
        ({"$numberLong": "9" * 5_000}, {"$numberLong": "9" * 5_000}),
        ({"$date": []}, {"$date": []}),
        ({"$price": 5}, {"$price": 5}),
    ],
)
def test_extended_json_is_unwrapped(raw: Any, expected: Any) -> None:
    """Type wrappers become the values that an application has in its hands."""
    found = extended_json.plain(raw, "after")

    assert found == expected
    assert type(found) is type(expected)


def test_a_binary_uuid_is_the_same_as_its_short_form() -> None:
    """Drivers return a UUID for both, so both have its text."""
    wrapped = {"$binary": {"base64": b64encode(bytes(range(16))).decode(), "subType": "04"}}

    assert extended_json.plain(wrapped, "x") == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    wrapped["$binary"]["subType"] = "00"
    assert extended_json.plain(wrapped, "x") == bytes(range(16))


def test_a_number_that_no_comparison_survives_stays_as_it_is() -> None:
    """A signalling NaN raises wherever it is compared, and rows are compared."""
    assert extended_json.plain({"$numberDecimal": "sNaN"}, "x") == {"$numberDecimal": "sNaN"}


def test_extended_json_is_bounded() -> None:
    """A document may not nest without end."""
    deep: Any = 1
    for _ in range(200):
        deep = [deep]

    with pytest.raises(OversizedEventError, match="nested deeper"):
        extended_json.plain(deep, "after")


# --- values by their schema -------------------------------------------------------------------------


def test_values_are_read_by_the_schema_beside_them() -> None:
    """Decimals are exact, days and moments are dates, bytes are bytes; in both rows."""
    found = parsed("kafka-postgres-update")

    assert isinstance(found, ChangeEvent)
    for row in (found.old, found.new):
        assert row is not None
        assert row["fare"] == Decimal("-12.34")
        assert row["day"] == date(2013, 2, 8)
        assert row["departs"] == datetime(2013, 2, 8, 14, 0, 12, 123)  # noqa: DTZ001 - the column has no zone
        assert row["updated"] == datetime(2013, 2, 8, 14, 0, 12, 123, tzinfo=UTC)
        assert row["pass"] == b"\x00\x01"
    assert found.trace.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736")


def test_without_a_schema_values_stay_as_json_has_them() -> None:
    """A day is a number and a decimal a text then: nothing is guessed."""
    payload = value_of("kafka-postgres-update")["payload"]
    found = kafka.parse(with_value("kafka-postgres-update", payload))

    assert isinstance(found, ChangeEvent)
    assert found.new is not None
    assert (found.new["day"], found.new["fare"]) == (15_744, "+y4=")


@pytest.mark.parametrize("digits", [0, 1, -1, 10**38 - 1, -(10**38), 255, -256])
@pytest.mark.parametrize("scale", [0, 2, 38, -3])
def test_decimals_are_exact(digits: int, scale: int) -> None:
    """Every digit of a wide number survives, whatever the precision of Python's context."""
    raw = digits.to_bytes(digits.bit_length() // 8 + 1, "big", signed=True)

    found = connect_values.unscaled(raw, scale, "fare")

    assert found.as_tuple().exponent == -scale
    assert int("".join(map(str, found.as_tuple().digits))) == abs(digits)
    assert found.is_signed() == (digits < 0)


VARIABLE = {"name": "io.debezium.data.VariableScaleDecimal", "type": "struct"}
DECIMAL = {"name": "org.apache.kafka.connect.data.Decimal", "type": "bytes", "parameters": {"scale": "2"}}


@pytest.mark.parametrize(
    ("schema", "raw", "expected"),
    [
        (DECIMAL, "MDk=", Decimal("123.45")),
        (DECIMAL, 1.5, 1.5),
        (DECIMAL, None, None),
        (VARIABLE, {"scale": 1, "value": "AQ=="}, Decimal("0.1")),
        ({"name": "io.debezium.time.Date", "type": "int32"}, -1, date(1969, 12, 31)),
        ({"name": "io.debezium.time.Date", "type": "int32"}, 10**9, 10**9),
        ({"name": "io.debezium.time.Date", "type": "int32"}, "x", "x"),
        ({"name": "io.debezium.time.Timestamp", "type": "int64"}, 10**18, 10**18),
        (
            {"name": "io.debezium.time.NanoTimestamp", "type": "int64"},
            1_999,
            datetime(1970, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001 - the column has no zone
        ),
        ({"name": "io.debezium.time.NanoTimestamp", "type": "int64"}, 10**25, 10**25),
        ({"name": "io.debezium.time.ZonedTimestamp", "type": "string"}, "soon", "soon"),
        (
            {"name": "io.debezium.time.ZonedTimestamp", "type": "string"},
            "0001-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00+14:00",
        ),
        ({"name": "io.debezium.data.Json", "type": "string"}, '[{"sku": "a"}]', [{"sku": "a"}]),
        ({"name": "io.debezium.data.Json", "type": "string"}, "{", "{"),
        ({"name": "io.debezium.time.MicroTime", "type": "int64"}, 5, 5),
        ({"name": ["x"], "type": "int32"}, 5, 5),
        ({"type": "array", "items": DECIMAL}, ["AQ=="], [Decimal("0.01")]),
        (
            {"type": "struct", "fields": [{"field": "a", "type": "bytes"}]},
            {"a": "AQ==", "b": 2},
            {"a": b"\x01", "b": 2},
        ),
        ({"type": "struct", "fields": "x"}, {"a": 1}, {"a": 1}),
        ("int32", 5, 5),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_a_schema_that_says_nothing_of_a_value_leaves_it_alone(schema: Any, raw: Any, expected: Any) -> None:
    """What the schema names is converted, and what no date or number can be stays as it is."""
    assert connect_values.value(raw, schema, "after") == expected


@pytest.mark.parametrize(
    ("schema", "raw"),
    [
        (DECIMAL, "not base64!"),
        ({**DECIMAL, "parameters": {}}, "AQ=="),
        ({**DECIMAL, "parameters": {"scale": "many"}}, "AQ=="),
        ({**DECIMAL, "parameters": {"scale": "100000"}}, "AQ=="),
        (DECIMAL, b64encode(b"\x01" * 2_000).decode()),
        (VARIABLE, {"scale": None, "value": "AQ=="}),
        (VARIABLE, {"scale": float("nan"), "value": "AQ=="}),
        (VARIABLE, {}),
        ({"type": "bytes"}, 7),
    ],
)
def test_a_value_at_odds_with_its_schema_is_poison(schema: Any, raw: Any) -> None:
    """It is refused by name instead of becoming another tag."""
    with pytest.raises(EventError, match="after"):
        connect_values.value(raw, schema, "after")


# --- what is no row ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "kafka-heartbeat",
        "kafka-transaction",
        "kafka-schema-change",
        "kafka-postgres-message",
        "kafka-debezium-tombstone",
    ],
)
def test_what_is_no_row_is_ignored_with_its_reason(name: str) -> None:
    """A heartbeat or a marker is counted as ignored, and no operator is told that a rule is missing."""
    found = translated(record(name))

    assert isinstance(parsed(name), Ignored)
    assert found.ignored
    assert (found.error, found.note, found.invalidations) == (None, "", ())


@pytest.mark.parametrize(
    "row",
    [
        {"status": "BEGIN", "id": 7},
        {"status": "END", "id": 7, "event_count": 40},
        {"op": "m", "message": "see you"},
        {"ddl": "x"},
        {"op": "m"},
        {"op": "u", "source": "shop"},
        {"schema": 1, "payload": 2, "id": 3},
    ],
)
def test_a_plain_row_is_not_taken_for_a_marker(row: dict[str, Any]) -> None:
    """A table may have such columns; ignoring its changes would leave them stale."""
    assert isinstance(kafka.parse(with_value("kafka-plain", row)), ChangeEvent)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"op": "x"}, "op: 'x' is not one of c, u, d, r, t"),
        ({"op": None}, "op: None is not a string"),
        ({"before": "row"}, "before: 'row' is not an object"),
        ({"after": [1]}, "after: [1] is not an object"),
        ({"source": {"connector": "mysql"}}, "source.db is missing"),
        ({"source": {"db": "a", "table": 7}}, "source.table: 7 is not a string"),
    ],
)
def test_a_wrong_field_is_named(payload: dict[str, Any], told: str) -> None:
    """A malformed envelope is poison, by an error that names the field."""
    with pytest.raises(MalformedEventError) as caught:
        change("kafka-mysql-update", **payload)

    assert told in str(caught.value)


# --- flat rows --------------------------------------------------------------------------------------


def test_a_flat_row_has_the_columns_alone() -> None:
    """What the transformation added is no part of the row."""
    found = change("kafka-flat")

    assert found.new == {"id": 1545, "flight_id": FLIGHT, "carrier": "AA", "status": "departed"}


@pytest.mark.parametrize(
    ("added", "operation"),
    [
        ({"__op": "c"}, Operation.INSERT),
        ({"__op": "r"}, Operation.INSERT),
        ({"__deleted": "true", "__op": None}, Operation.REMOVE),
        ({"__deleted": True, "__op": "u"}, Operation.REMOVE),
        ({"__deleted": "false", "__op": None}, Operation.OTHER),
        ({"__op": "t"}, Operation.REMOVE),
    ],
)
def test_a_flat_row_tells_its_operation_as_far_as_it_was_asked_to(
    added: dict[str, Any], operation: Operation
) -> None:
    """`add.fields=op` and `delete.tombstone.handling.mode=rewrite` are what tells it."""
    assert change("kafka-flat", **added).operation is operation


def test_a_flat_row_without_its_table_is_of_its_topic() -> None:
    """Then tombstones, which know nothing but the topic, are of the same entity."""
    assert change("kafka-flat", __table=None).entity == "shop.inventory.flights"
    assert change("kafka-flat", __table=None, __source_table="flights").entity == "inventory.flights"
