"""Events of a bus become changes or replicated invalidations, or errors that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof.errors import MalformedEventError, OversizedEventError, UnsupportedEventVersionError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import Replicated
from staleproof_pipeline.sources.eventbridge import MAX_INVALIDATIONS, parse
from tests.unit.change_records import sample


def test_an_application_event_is_a_change_of_its_detail() -> None:
    """The detail-type is the entity, the detail the new row; the operation is the detail's own."""
    found = parse(sample("eventbridge-application"))

    assert isinstance(found, ChangeEvent)
    assert (found.source, found.entity) == (Source.EVENTBRIDGE, "Flight Rebooked")
    assert found.operation is Operation.MODIFY
    assert found.new is not None
    assert found.new["carrier"] == "UA"
    assert found.old is None
    assert found.changed_ms == 1_360_332_012_000


@pytest.mark.parametrize("operation", [None, "upsert", 5, ["modify"], {}])
def test_an_unknown_operation_is_other(operation: Any) -> None:
    """A detail need not tell an operation, and may tell anything."""
    event = sample("eventbridge-application")
    event["detail"]["operation"] = operation

    found = parse(event)

    assert isinstance(found, ChangeEvent)
    assert found.operation is Operation.OTHER


def test_a_replayed_event_is_the_same_change() -> None:
    """An archive's replay is read as the event itself: applying it again is harmless."""
    found = parse(sample("eventbridge-replayed"))

    assert isinstance(found, ChangeEvent)
    assert found.entity == "Flight Rebooked"


def test_replicated_invalidations_keep_id_and_origin() -> None:
    """What another region applied arrives as it was."""
    found = parse(sample("eventbridge-replication"))

    assert isinstance(found, Replicated)
    assert found.errors == ()
    assert [each.origin for each in found.invalidations] == ["us-east-1", "us-east-1"]
    assert found.invalidations[0].id == "e4da3b7fbbce2345d7772b0674a318d5"
    assert found.invalidations[0].cause.rules == ("flight-changed",)


def test_only_our_own_source_replicates() -> None:
    """An application that uses our detail-type announces a change, and cannot pass for a region."""
    event = {**sample("eventbridge-replication"), "source": "com.example"}

    assert isinstance(parse(event), ChangeEvent)


@pytest.mark.parametrize("name", ["eventbridge-malformed", "eventbridge-newer-invalidation"])
def test_one_bad_invalidation_costs_its_neighbours_nothing(name: str) -> None:
    """Those that can be read are; the others are told one by one."""
    found = parse(sample(name))

    assert isinstance(found, Replicated)
    assert len(found.invalidations) + len(found.errors) == len(sample(name)["detail"]["invalidations"])
    assert len(found.errors) == 1
    assert "detail.invalidations[" in str(found.errors[0])


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["x" * 1_025]},
        {"tags": ["ü" * 600]},
        {"keys": ["x" * 5_000]},
        {"namespace": "not a namespace"},
        {"row_version": -1},
        {"row_version": 2**63},
        {"lag_ms": 10**12},
        {"origin": ""},
        {"origin": "o" * 65},
        {"id": "i" * 513},
        {"trace": "t" * 257},
        {"at_ms": -5},
        {"lag_ms": 3_600_001},
        {"cause": {"source": "s" * 301}},
        {"cause": {"rules": ["r" * 65]}},
        {"cause": {"rules": ["r"] * 501}},
        {"cause": {"position": "p" * 2_049}},
        {"cause": {"entity": "e" * 257}},
        {"cause": {"operation": "o" * 65}},
        {"cause": {"changed_ms": -1}},
        {"id": "\ud800"},
        {"tags": ["\ud800"]},
        {"\ud800": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_no_server_would_take_is_refused_before_it_is_asked(change: dict[str, Any]) -> None:
    """An invalidation beyond the bounds would fail at every retry, so it is poison at once."""
    event = sample("eventbridge-replication")
    event["detail"]["invalidations"][0].update(change)

    found = parse(event)

    assert isinstance(found, Replicated)
    assert (len(found.invalidations), len(found.errors)) == (1, 1)


def test_a_newer_schema_asks_for_an_upgrade() -> None:
    """A detail of another schema is not guessed at."""
    with pytest.raises(
        UnsupportedEventVersionError, match=r"detail\.schema: 2 is not 1.*upgrade this region"
    ):
        parse(sample("eventbridge-wrong-schema"))


def test_a_newer_envelope_asks_for_an_upgrade() -> None:
    """Neither is another envelope."""
    with pytest.raises(UnsupportedEventVersionError, match="version: '1' is not '0'"):
        parse(sample("eventbridge-unknown-version"))


def test_an_event_of_too_many_invalidations_is_refused() -> None:
    """One event may not hold up an invocation for ever."""
    event = sample("eventbridge-replication")
    event["detail"]["invalidations"] *= MAX_INVALIDATIONS

    with pytest.raises(OversizedEventError, match="send several events"):
        parse(event)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"detail": None}, "detail: None is not an object"),
        ({"detail": "text"}, "detail: 'text' is not an object"),
        ({"detail-type": 5}, "detail-type: 5 is not a string"),
        ({"version": 0}, "version: 0 is not a string"),
        ({"time": [0] * 10}, "time: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] is not a time"),
        ({"time": True}, "time: True is not a time"),
        ({"time": "yesterday"}, "time: 'yesterday' is not a time"),
        ({"id": ""}, "id: String should have at least 1 character"),
    ],
)
def test_a_wrong_field_of_an_event_is_named(change: dict[str, Any], told: str) -> None:
    """A malformed event is poison, by an error that names the field and the value."""
    with pytest.raises(MalformedEventError) as caught:
        parse({**sample("eventbridge-application"), **change})

    assert told in str(caught.value)


@pytest.mark.parametrize("raw", [None, [], "text", {}])
def test_what_is_no_event_is_malformed(raw: Any) -> None:
    """Anything at all can be handed in."""
    with pytest.raises(MalformedEventError):
        parse(raw)
