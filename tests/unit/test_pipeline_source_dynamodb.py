"""DynamoDB Streams records become changes, or errors that say what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from staleproof.errors import (
    EventError,
    MalformedEventError,
    OversizedEventError,
    UnsupportedEventVersionError,
)
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import dynamodb_streams
from staleproof_pipeline.sources.attribute_values import MAX_DEPTH, value
from tests.unit.change_records import record, record_of

FLIGHT = "EWR-2013-02-08-14-UA1545"


def change(raw: Any) -> ChangeEvent:
    """The change that a record tells; none here is an outbox's."""
    found = dynamodb_streams.change(raw)
    assert isinstance(found, ChangeEvent)
    return found


def with_field(path: str, content: Any) -> dict[str, Any]:
    """A good record but for the field at the dotted *path*; `...` removes it."""
    raw = record(1)
    *around, name = path.split(".")
    place: Any = raw
    for part in around:
        place = place[part]
    if content is ...:
        del place[name]
    else:
        place[name] = content
    return raw


def test_a_modification_tells_both_rows() -> None:
    """A MODIFY with both images gives the row before and after, its table, its place and its time."""
    found = change(record_of("dynamodb-modify"))

    assert (found.source, found.entity, found.operation) == (Source.DYNAMODB, "Flights", Operation.MODIFY)
    assert found.keys == {"board": "EWR-2013-02-08-14", "flight_id": FLIGHT}
    assert found.old is not None
    assert found.new is not None
    assert (found.old["carrier"], found.new["carrier"]) == ("UA", "AA")
    assert (found.old["version"], found.new["version"]) == (1, 2)
    assert found.changed_ms == 1_360_332_002_000
    assert found.position.sequence == 4421584500000000017450439092
    assert found.region == "eu-west-1"
    assert not found.expired


@pytest.mark.parametrize(
    ("name", "operation", "images", "rows"),
    [
        ("dynamodb-insert", Operation.INSERT, {"old", "new"}, (False, True)),
        ("dynamodb-remove", Operation.REMOVE, {"old", "new"}, (True, False)),
        ("dynamodb-ttl", Operation.REMOVE, {"old", "new"}, (True, False)),
        ("dynamodb-keys-only", Operation.MODIFY, set(), (False, False)),
        ("dynamodb-new-image", Operation.MODIFY, {"new"}, (False, True)),
        ("dynamodb-old-image", Operation.MODIFY, {"old"}, (True, False)),
    ],
)
def test_every_view_type_is_read(
    name: str, operation: Operation, images: set[str], rows: tuple[bool, bool]
) -> None:
    """Whatever the view type, the change says which rows it has and which the stream would tell."""
    found = change(record_of(name))

    assert (found.operation, set(found.images)) == (operation, images)
    assert (found.old is not None, found.new is not None) == rows


def test_expiry_by_time_to_live_is_told_apart() -> None:
    """A row that DynamoDB removed by itself is a removal, marked as expired."""
    assert change(record_of("dynamodb-ttl")).expired
    assert not change(record_of("dynamodb-remove")).expired


def test_every_attribute_type_becomes_a_plain_value() -> None:
    """All ten attribute types decode, numbers to int where they are whole."""
    row = change(record_of("dynamodb-all-types")).new

    assert row is not None
    assert (row["whole"], row["negative"], row["large"]) == (42, -7, 10**20)
    assert row["fraction"] == Decimal("3.14")
    assert (row["b"], row["yes"], row["nothing"]) == (b"\x00\x01\x02", True, None)
    assert row["ss"] == {"a", "b"}
    assert row["ns"] == {1, Decimal("2.5")}
    assert row["bs"] == {b"\x01"}
    assert row["l"] == ["a", 1]
    assert row["m"] == {"inner": {"deep": "x"}}


def test_a_record_without_an_id_gets_one_from_its_place() -> None:
    """The id is the same at every redelivery even where the source gives none."""
    raw = with_field("eventID", ...)

    assert change(raw).id == change(raw).id == "Flights:2013-02-08T00:00:00.000:1001"


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("eventVersion", ..., "eventVersion is missing"),
        ("eventName", "UPSERT", "eventName: 'UPSERT' is not one of INSERT, MODIFY, REMOVE"),
        ("eventSourceARN", "arn:aws:kinesis:eu-west-1:1:stream/x", "is not the ARN of a DynamoDB stream"),
        ("dynamodb", ..., "dynamodb is missing"),
        ("dynamodb", [], "dynamodb: [] is not an object"),
        ("dynamodb.Keys", ..., "dynamodb.Keys is missing"),
        ("dynamodb.SequenceNumber", "12a", "dynamodb.SequenceNumber: '12a' is not a decimal number"),
        ("dynamodb.SequenceNumber", "9" * 41, "at most 40 digits"),
        ("dynamodb.SequenceNumber", 12, "dynamodb.SequenceNumber: 12 is not a string"),
        ("dynamodb.NewImage.version", {"N": "two"}, "dynamodb.NewImage.version: 'two' is not a number"),
        ("dynamodb.NewImage.version", {"N": "1E999"}, "10^126"),
        ("dynamodb.NewImage.version", {"N": "1" * 5_000}, "is not a number as text"),
        ("dynamodb.NewImage.version", {"X": "1"}, "is not an attribute type"),
        ("dynamodb.NewImage.version", {"S": "1", "N": "1"}, "is not one typed attribute value"),
        ("dynamodb.NewImage.b", {"B": "not base64!"}, "dynamodb.NewImage.b: 'not base64!' is not base64"),
        ("dynamodb.NewImage.l", {"L": [{"S": 1}]}, "dynamodb.NewImage.l[0]: 1 is not a string"),
        ("dynamodb.NewImage.f", {"BOOL": "yes"}, "is not true or false"),
        ("dynamodb.NewImage.n", {"NULL": False}, "False is not true, which NULL always has"),
        ("dynamodb.StreamViewType", "EVERYTHING", "is not one of KEYS_ONLY"),
        ("dynamodb.ApproximateCreationDateTime", "yesterday", "is not a time"),
        ("dynamodb.ApproximateCreationDateTime", -5.0, "changed_ms"),
        ("dynamodb.SizeBytes", "259", "dynamodb.SizeBytes: '259' is not a whole number"),
        ("eventID", "x" * 600, "id: String should have at most 512 characters"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(path: str, content: Any, told: str) -> None:
    """A malformed record is poison, by an error that names the field, shows the value and says what is right."""
    with pytest.raises(MalformedEventError) as caught:
        change(with_field(path, content))

    assert told in str(caught.value)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("raw", [None, [], "text", 7, {}, {1: 2}, {"eventVersion": None}])
def test_what_is_no_record_is_malformed(raw: Any) -> None:
    """Anything at all can be handed in; it never breaks the reader."""
    with pytest.raises(MalformedEventError):
        change(raw)


def test_an_unknown_version_asks_for_an_upgrade() -> None:
    """Another major version is not guessed at: the consumer must be upgraded."""
    with pytest.raises(UnsupportedEventVersionError, match=r"'2\.0' is not 1\.x.*upgrade the pipeline"):
        change(record_of("dynamodb-unknown-version"))


def test_a_newer_minor_version_is_read() -> None:
    """Within the major version fields are only added."""
    assert change(record(1, eventVersion="1.9")).schema_version == "1.9"


def test_an_oversized_record_says_where_large_values_belong() -> None:
    """What is larger than DynamoDB's own bound was not written by it, and is not decoded."""
    with pytest.raises(OversizedEventError, match=r"SizeBytes: 3000000 exceeds .* keep large values in S3"):
        change(record_of("dynamodb-oversized"))


def test_nesting_is_bounded() -> None:
    """Values nested deeper than DynamoDB allows end in an error, not in a stack overflow."""
    deep: Any = {"S": "x"}
    for _ in range(MAX_DEPTH):
        deep = {"L": [deep]}
    assert value(deep, "a")

    with pytest.raises(OversizedEventError):
        value({"M": {"a": deep}}, "a")


def test_every_error_is_poison() -> None:
    """Whatever a source raises sends the record to the dead letter."""
    for error in (MalformedEventError, UnsupportedEventVersionError, OversizedEventError):
        assert issubclass(error, EventError)


@pytest.mark.parametrize(
    ("name", "without", "images"),
    [
        ("MODIFY", ["OldImage"], {"new"}),
        ("MODIFY", ["OldImage", "NewImage"], set()),
        ("REMOVE", ["OldImage", "NewImage"], {"new"}),
        ("REMOVE", ["NewImage"], {"old", "new"}),
        ("INSERT", ["OldImage"], {"old", "new"}),
    ],
)
def test_a_row_that_somebody_took_out_is_not_told(name: str, without: list[str], images: set[str]) -> None:
    """A pipe's template may drop an image, whatever the record says of its view: then nobody knows the row."""
    raw = record(1, eventName=name)
    for image in without:
        del raw["dynamodb"][image]

    assert change(raw).images == images
