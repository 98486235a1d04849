"""S3 object events, from the bucket itself and through EventBridge."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof.errors import MalformedEventError, UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import Ignored, eventbridge, s3
from tests.unit.source_samples import parsed, record, with_field

KEY = "2013/02/08/UA 1545+aé.pdf"


def change(raw: Any) -> ChangeEvent:
    found = s3.parse(raw)
    assert isinstance(found, ChangeEvent)
    return found


def with_object(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = record("s3-created")
    made["s3"]["object"] |= fields
    return made


@pytest.mark.parametrize("name", ["s3-created", "eventbridge-s3-created", "sqs-sns-s3", "sns-s3"])
def test_an_object_s_event_is_the_same_whatever_carries_it(name: str) -> None:
    """The bucket is the entity, the key is as it was written: a notification's is URL-encoded, an event's is not."""
    found = parsed(name)

    assert isinstance(found, ChangeEvent)
    assert (found.source, found.entity, found.channel) == (Source.S3, "flight-plans", "flight-plans")
    assert found.operation is Operation.INSERT
    assert found.keys["key"] == KEY
    assert found.new is not None
    assert (found.new["bucket"], found.new["key"], found.new["size"]) == ("flight-plans", KEY, 20_480)
    assert found.old is None


def test_versions_are_keys_too() -> None:
    """A bucket that keeps versions names the object by both; another says None."""
    assert change(record("s3-created")).keys["version"] == "096fKKXTRTtl3on89fVO.nfljtsv6qko"
    assert change(record("s3-removed")).keys["version"] is None


@pytest.mark.parametrize("name", ["s3-removed", "s3-expired", "eventbridge-s3-expired"])
def test_a_removed_object_is_the_old_row(name: str) -> None:
    """By whoever: a lifecycle rule's removal is marked as expired."""
    found = parsed(name)

    assert isinstance(found, ChangeEvent)
    assert found.operation is Operation.REMOVE
    assert found.new is None
    assert found.old is not None
    assert found.old["key"] == KEY
    assert found.expired is name.endswith("expired")


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("ObjectCreated:Put", "insert"),
        ("ObjectCreated:Post", "insert"),
        ("ObjectCreated:Copy", "insert"),
        ("ObjectCreated:CompleteMultipartUpload", "insert"),
        ("s3:ObjectCreated:Put", "insert"),
        ("ObjectRemoved:Delete", "remove"),
        ("ObjectRemoved:DeleteMarkerCreated", "remove"),
        ("LifecycleExpiration:Delete", "remove"),
        ("ReducedRedundancyLostObject", "remove"),
        ("ObjectTagging:Put", "modify"),
        ("ObjectTagging:Delete", "modify"),
        ("ObjectAcl:Put", "modify"),
        ("LifecycleTransition", "other"),
        ("ObjectRestore:Completed", "other"),
        ("Replication:OperationFailedReplication", "other"),
        ("SomethingNew:Of2030", "other"),
    ],
)
def test_every_kind_of_event_has_an_operation(name: str, operation: str) -> None:
    """A kind that S3 adds one day is still told, as `other`."""
    assert change(record("s3-created", eventName=name)).operation is Operation(operation)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("0055AED6DCD90281E5", "0055AED6DCD90281E50F"),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6"),
        ("0055aed6dcd90281e5", "0055AED6DCD90281E6"),
        ("00FF", "01"),
        ("0055AED6DCD9028", "0055AED6DCD90281"),
    ],
)
def test_sequencers_compare_as_padded_hex(earlier: str, later: str) -> None:
    """Their length varies: the shorter is padded with zeros on the right; as plain numbers they would not compare."""
    first, second = (change(with_object(sequencer=each)).position for each in (earlier, later))

    assert first.partition == second.partition == f"flight-plans/{KEY}"
    assert first.sequence is not None
    assert second.sequence is not None
    assert first.sequence < second.sequence


def test_padding_is_no_difference() -> None:
    """A sequencer with zeros behind it is the same place."""
    first, second = (change(with_object(sequencer=each)).position.sequence for each in ("55AE", "55AE00"))

    assert first == second


def test_an_event_has_an_identity_of_what_it_tells() -> None:
    """S3 gives none: the same event has the same at every delivery, and another one another."""
    ids = {
        change(raw).id
        for raw in (
            with_object(),
            with_object(key="other"),
            with_object(versionId="other"),
            with_object(sequencer="00"),
            record("s3-created", eventName="ObjectCreated:Copy"),
        )
    }

    assert len(ids) == 5
    assert change(with_object()).id == change(with_object()).id
    assert (
        change(with_object(key="a:b", versionId="c")).id != change(with_object(key="a", versionId="b:c")).id
    )


def test_an_object_under_its_other_name_is_read() -> None:
    """Intelligent-Tiering calls it `get_object`."""
    raw = record("s3-created")
    raw["s3"]["get_object"] = raw["s3"].pop("object")

    assert change(raw).keys["key"] == KEY


def test_a_test_event_is_ignored() -> None:
    """S3 sends it when notifications are set up, and it must not end as a dead letter."""
    assert isinstance(s3.parse(record("s3-test")), Ignored)
    assert isinstance(parsed("sqs-s3-test"), Ignored)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("eventVersion", ..., "eventVersion is missing"),
        ("eventName", 7, "eventName: 7 is not a string"),
        ("s3", ..., "s3 is missing"),
        ("s3.bucket", "b", "s3.bucket: 'b' is not an object"),
        ("s3.bucket.name", ..., "s3.bucket.name is missing"),
        ("s3.bucket.name", "", "channel"),
        ("s3.object", ..., "s3.object: None is not an object"),
        ("s3.object.key", ..., "s3.object.key is missing"),
        ("s3.object.sequencer", "xyz", "sequencer: 'xyz' is not a hex number"),
        ("s3.object.sequencer", "0" * 65, "at most 64 digits"),
        ("s3.object.versionId", 7, "s3.object.versionId: 7 is not a string"),
        ("eventTime", "yesterday", "eventTime: 'yesterday' is not a time"),
    ],
)
def test_a_wrong_field_is_named(path: str, content: Any, told: str) -> None:
    """A malformed record is poison, by an error that names the field."""
    with pytest.raises(MalformedEventError) as caught:
        s3.parse(with_field(record("s3-created"), path, content))

    assert told in str(caught.value) or (told == "channel" and "entity" in str(caught.value))


def test_another_version_is_not_guessed_at() -> None:
    """Within the major version fields are only added."""
    assert change(record("s3-created", eventVersion="2.9")).schema_version == "2.9"
    with pytest.raises(UnsupportedEventVersionError, match=r"is not 2\.x.*upgrade the pipeline"):
        s3.parse(record("s3-created", eventVersion="3.0"))


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("Object Created", "insert"),
        ("Object Deleted", "remove"),
        ("Object Tags Added", "modify"),
        ("Object Tags Deleted", "modify"),
        ("Object ACL Updated", "modify"),
        ("Object Restore Completed", "other"),
        ("Object Storage Class Changed", "other"),
    ],
)
def test_every_event_of_the_bus_has_an_operation(kind: str, operation: str) -> None:
    """The bus has other names for the same things."""
    found = eventbridge.parse(record("eventbridge-s3-created", **{"detail-type": kind}))

    assert isinstance(found, ChangeEvent)
    assert found.operation is Operation(operation)


def test_only_s3_s_own_events_are_objects() -> None:
    """An application that announces an `Object Created` announces its own; so does an event of S3 without an object."""
    theirs = eventbridge.parse(record("eventbridge-s3-created", source="com.example"))
    other = eventbridge.parse(record("eventbridge-s3-created", detail={"configuration": "x"}))

    assert [each.source for each in (theirs, other) if isinstance(each, ChangeEvent)] == [
        Source.EVENTBRIDGE
    ] * 2
