"""Published messages: the contract that applications write to, whatever carries it."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof.errors import (
    EventError,
    MalformedEventError,
    OversizedEventError,
    UnsupportedEventVersionError,
)
from staleproof.events.change import Change, Invalidate, decode, encode
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.errors import ForbiddenEventError
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import Asked, Several, direct, envelope, redis_stream
from staleproof_pipeline.sources.published import MAX_TARGETS
from staleproof_pipeline.translation import Translator
from tests.unit.change_records import RULES
from tests.unit.source_samples import FLIGHT, NAMES, event, parsed, parts, with_field

if TYPE_CHECKING:
    from staleproof_pipeline.translation import Translated

CHANGE, ASK = event("direct-change"), event("direct-invalidate")


def translator() -> Translator:
    return Translator(loader.loads(RULES), "eu-west-1", "flights")


def asked(message: Any) -> Translated:
    return translator().translate(message, direct.SOURCE)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.endswith("-change") and "schema" not in name]
)
def test_a_change_is_the_same_whatever_carries_it(name: str) -> None:
    """A published change tells the application's own identity, rows and time; only the place is the transport's."""
    found, plain = parsed(name), direct.parse(CHANGE)

    assert isinstance(found, ChangeEvent)
    assert isinstance(plain, ChangeEvent)
    carried = {"channel": plain.channel, "position": plain.position}
    assert found.model_copy(update=carried) == plain


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-invalidate")])
def test_a_request_is_the_same_whatever_carries_it(name: str) -> None:
    """So does a request to invalidate."""
    found, plain = parsed(name), direct.parse(ASK)

    assert isinstance(found, Asked)
    assert found._replace(channel="", position="") == plain


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("direct-change", ""),
        ("eventbridge-change", "com.example.flights"),
        ("kafka-change", "announcements"),
        ("kinesis-change", "announcements"),
        ("redis-stream-change", "flight-changes"),
        ("sqs-change", "flight-changes"),
        ("sqs-fifo", "flight-changes.fifo"),
        ("sqs-received", ""),
        ("sqs-sns-change", "flight-changes"),
        ("sns-change", "flight-changes"),
    ],
)
def test_the_channel_is_the_transports_name_of_the_place(name: str, channel: str) -> None:
    """A topic, a stream or a queue; an event of a bus does not tell the bus, so it is its source."""
    found = parsed(name)

    assert isinstance(found, ChangeEvent)
    assert (found.source, found.channel) == (Source.APPLICATION, channel)


@pytest.mark.parametrize(
    ("operation", "rows", "images"),
    [
        ("insert", {"old": None}, {"old", "new"}),
        ("insert", {"old": None, "new": None}, {"old"}),
        ("modify", {}, {"old", "new"}),
        ("modify", {"old": None}, {"new"}),
        ("modify", {"old": None, "new": None}, set()),
        ("remove", {"new": None}, {"old", "new"}),
        ("remove", {"old": None, "new": None}, {"new"}),
        ("other", {"old": None, "new": None}, set()),
    ],
)
def test_a_row_that_a_change_leaves_out_is_not_told(
    operation: str, rows: dict[str, Any], images: set[str]
) -> None:
    """A new row has no old one and a removed row no new one; any other that is null is simply not told."""
    found = direct.parse({**CHANGE, "operation": operation, **rows})

    assert isinstance(found, ChangeEvent)
    assert found.operation is Operation(operation)
    assert found.images == images


def test_fields_that_a_later_release_adds_are_let_pass() -> None:
    """Within a schema fields are only added; what may be left out is."""
    sparse = {name: CHANGE[name] for name in ("staleproof", "schema", "id", "entity", "operation")}

    found = direct.parse({**sparse, "priority": "high"})

    assert isinstance(found, ChangeEvent)
    assert (found.keys, found.old, found.new, found.changed_ms) == ({}, None, None, 0)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("schema", ..., "schema is missing"),
        ("schema", True, "schema: True is not a whole number"),
        ("schema", "1", "schema: '1' is not a whole number"),
        ("id", ..., "id is missing"),
        ("id", "", "id: String should have at least 1 character"),
        ("id", 7, "id: 7 is not a string"),
        ("entity", "", "entity: String should have at least 1 character"),
        ("entity", "x" * 300, "entity: String should have at most 256 characters"),
        ("operation", "upsert", "operation: 'upsert' is not one of insert, modify, remove, other"),
        ("operation", None, "operation: None is not a string"),
        ("keys", [], "keys: [] is not an object"),
        ("old", "row", "old: 'row' is not an object"),
        ("new", 7, "new: 7 is not an object"),
        ("changed_ms", -1, "changed_ms"),
        ("changed_ms", 1.5, "changed_ms: 1.5 is not a whole number"),
        ("changed_ms", 10**18, "changed_ms"),
        ("region", 7, "region: 7 is not a string"),
        ("trace", {}, "trace: {} is not a string"),
        ("id", "\ud800", "id:"),
    ],
)
def test_a_wrong_field_of_a_change_is_named(path: str, content: Any, told: str) -> None:
    """A malformed change is poison, by an error that names the field and shows the value."""
    with pytest.raises(MalformedEventError) as caught:
        direct.parse(with_field(CHANGE, path, content))

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("tags", "flight", "tags: 'flight' is not a list"),
        ("tags", [7], "tags[0]: 7 is not a text"),
        ("tags", [""], "tags[0]: '' is not a text"),
        ("keys", {"a": 1}, "keys: {'a': 1} is not a list"),
        ("soft", "yes", "soft: 'yes' is not true or false"),
        ("soft", None, "soft: None is not true or false"),
        ("row_version", "7", "row_version: '7' is not a whole number"),
        ("lag_ms", "2s", "lag_ms: '2s' is not a whole number"),
        ("namespace", 7, "namespace: 7 is not a string"),
        ("id", "", "id: '' is not a text of 1 to 512 characters"),
        ("id", "x" * 513, "is not a text of 1 to 512 characters"),
    ],
)
def test_a_wrong_field_of_a_request_is_named(path: str, content: Any, told: str) -> None:
    """So is a malformed request."""
    with pytest.raises(MalformedEventError) as caught:
        direct.parse(with_field(ASK, path, content))

    assert told in str(caught.value)


def test_a_request_names_something() -> None:
    """A request without a tag and a key is a producer's mistake, and is not taken for done."""
    with pytest.raises(MalformedEventError, match="names no key either"):
        direct.parse({**ASK, "tags": [], "keys": []})


def test_a_request_is_bounded() -> None:
    """One message may not hold up a consumer for ever."""
    with pytest.raises(OversizedEventError, match="send several messages"):
        direct.parse({**ASK, "tags": ["t"] * (MAX_TARGETS + 1)})


@pytest.mark.parametrize(
    "message", [{**CHANGE, "schema": 2}, {**ASK, "schema": 0}, {**ASK, "staleproof": "warm"}]
)
def test_another_schema_or_kind_is_not_guessed_at(message: dict[str, Any]) -> None:
    """What a later release says is kept for it."""
    with pytest.raises(UnsupportedEventVersionError, match="upgrade the pipeline"):
        direct.parse(message)


@pytest.mark.parametrize("raw", [None, 7, "text", {}, {"staleproof": True}, {"id": "1"}, {1: 2}])
def test_a_direct_invocation_takes_published_messages_only(raw: Any) -> None:
    """A function that is called by hand is told what it takes."""
    with pytest.raises(MalformedEventError, match="is not a published message"):
        direct.parse(raw)


def test_a_list_is_each_of_its_messages() -> None:
    """One bad message of a list costs its neighbours nothing."""
    found = direct.parse([CHANGE, 7, ASK])

    assert isinstance(found, Several)
    assert [type(each) for each in found.parts] == [ChangeEvent, Asked]
    assert [str(each).partition(":")[0] for each in found.errors] == ["[1]"]


# --- what is asked for by name ---------------------------------------------------------------------


def test_a_request_needs_no_rule() -> None:
    """What it names is invalidated as it says; it begins here, so that other regions get it from here."""
    found = asked({**ASK, "soft": True, "row_version": 7, "lag_ms": 2_000, "trace": "t"})
    (invalidation,) = found.invalidations

    assert (found.error, found.rules, found.note) == (None, (), "")
    assert (invalidation.id, invalidation.origin, invalidation.namespace) == (
        ASK["id"],
        "eu-west-1",
        "flights",
    )
    assert invalidation.tags == (f"flight:{FLIGHT}", "airline:UA")
    assert invalidation.keys == (f"seat-map:{FLIGHT}",)
    assert (invalidation.soft, invalidation.row_version, invalidation.lag_ms) == (True, 7, 2_000)
    assert (invalidation.trace, invalidation.cause.source) == ("t", "application")


def test_a_request_says_what_carried_it() -> None:
    """`explain` can tell where it came from."""
    entry = redis_stream.record("asks", "1360332012000-7", {"m": json.dumps(ASK)})

    (invalidation,) = translator().translate(entry, redis_stream.SOURCE).invalidations

    assert invalidation.cause.source == "application:asks"
    assert invalidation.cause.position == "1360332012000-7"


def test_a_request_may_not_reach_into_a_namespace_that_is_not_followed() -> None:
    """Whoever can put a message could otherwise empty any application's cache."""
    found = asked({**ASK, "namespace": "payroll"})

    assert found.invalidations == ()
    assert isinstance(found.error, ForbiddenEventError)
    assert "'payroll' is not followed here (followed: flights)" in str(found.error)


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["x" * 1_025]},
        {"keys": ["x" * 5_000]},
        {"row_version": -1},
        {"row_version": 2**63},
        {"lag_ms": 3_600_001},
        {"lag_ms": -1},
        {"trace": "x" * 257},
        {"id": "\ud800"},
        {"tags": ["\ud800"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_request_beyond_the_bounds_is_poison(change: dict[str, Any]) -> None:
    """What no server would take is refused before it is asked."""
    found = asked({**ASK, **change})

    assert found.invalidations == ()
    assert isinstance(found.error, EventError)


def test_a_record_of_several_is_accounted_once() -> None:
    """What can be applied of it is, and the record goes to the dead letter with the first error."""
    found = asked([ASK, {**ASK, "namespace": "payroll"}, {**ASK, "schema": 9}, {**ASK, "id": "2"}])

    assert [each.id for each in found.invalidations] == [ASK["id"], "2"]
    assert isinstance(found.error, ForbiddenEventError)


def test_what_is_ignored_is_told_so() -> None:
    """A record of which nothing changed anything says why; one that changed something does not."""
    test_event = event("sqs-s3-test")["Records"][0]
    both = {**test_event, "body": json.dumps([json.loads(test_event["body"]), ASK])}

    quiet, loud = (translator().translate(raw, envelope.SOURCE) for raw in (test_event, both))

    assert quiet.ignored.startswith("a test event")
    assert (quiet.error, quiet.invalidations) == (None, ())
    assert (loud.ignored, len(loud.invalidations)) == ("", 1)


def test_a_fault_in_one_part_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that nobody foresaw is kept with the record, beside what could be applied."""
    made = translator()

    def fault(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(made, "_changed", fault)
    found = made.translate([CHANGE, ASK], direct.SOURCE)

    assert len(found.invalidations) == 1
    assert "report it with this payload" in str(found.error)


def test_a_message_is_not_looked_for_within_values() -> None:
    """A text in a row that looks like a message is a text: rows hold what strangers wrote."""
    row = {"comment": json.dumps(ASK), "data": b64encode(json.dumps(ASK).encode()).decode(), "inner": ASK}
    record = {**event("sqs-plain")["Records"][0], "body": json.dumps(row)}

    (found,) = parts(envelope.sqs(record))

    assert isinstance(found, ChangeEvent)
    assert found.new == row


# --- the library's side of the contract --------------------------------------------------------------

ROWS = st.dictionaries(
    st.text("abc_", min_size=1, max_size=4),
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**30), max_value=10**30)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.lists(st.integers(), max_size=3),
    max_size=4,
)


@settings(max_examples=150)
@given(ROWS, ROWS, st.none() | ROWS, st.sampled_from(list(Operation)))
def test_what_the_library_publishes_is_what_is_read(
    keys: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None, operation: Operation
) -> None:
    """Both sides agree on every field, and numbers keep all their digits through JSON."""
    change = Change.now("flight", operation.value, keys=keys, old=old, new=new, region="eu-west-1", trace="t")
    entry = redis_stream.record("s", "1360332012000-0", {"m": encode(change)})

    found = redis_stream.parse(entry)

    assert isinstance(found, ChangeEvent)
    for field in ("id", "entity", "keys", "old", "new", "changed_ms", "region", "trace"):
        assert getattr(found, field) == getattr(change, field)
    assert found.operation is operation


def test_what_the_library_asks_for_is_what_is_read() -> None:
    """Every field of a request too."""
    ask = Invalidate.now("a", "b", keys=["k"], namespace="shop", soft=True, row_version=2**63 - 1, lag_ms=5)

    found = redis_stream.parse(redis_stream.record("s", "1360332012000-0", {"m": encode(ask)}))

    assert isinstance(found, Asked)
    for field in ("id", "namespace", "tags", "keys", "soft", "row_version", "lag_ms", "trace"):
        assert getattr(found, field) == getattr(ask, field)


def test_the_library_reads_every_sample_of_its_own_messages() -> None:
    """A sample of ours is one of theirs."""
    for name in ("direct-change", "direct-invalidate"):
        assert decode(json.dumps(event(name))).id == event(name)["id"]
