"""The use case: every record of a batch is applied, ignored, dead-lettered or failed, whatever breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof.tags import tag_id
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.replication.links import Shipment
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import eventbridge
from staleproof_pipeline.translation import Translator
from tests.unit.change_records import (
    HOME,
    PEER,
    RULES,
    World,
    invalidation,
    poison,
    record,
    record_of,
    sample,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.dead_letter import DeadLetter
    from staleproof_pipeline.report import Report

OTHER_RULE = """
  - name: board
    when: {table: Flights}
    tags: ["board:{keys.flight_id}"]
"""
APPLIED, IGNORED, BURIED, FAILED = Outcome.APPLIED, Outcome.IGNORED, Outcome.DEAD_LETTERED, Outcome.FAILED


class FailingProvider(MemoryProvider):
    """Refuses invalidations that name a tag in *refused*, and is away from call *away_from* on."""

    def __init__(self, refused: Sequence[str] = (), away_from: int = 1_000_000) -> None:
        super().__init__("flights")
        self.refused, self.away_from, self.calls = set(refused), away_from, 0

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        self.calls += 1
        if self.calls >= self.away_from:
            raise ProviderUnavailableError("127.0.0.1:1 cannot be reached; retry")
        if any(tag in self.refused for each in invalidations for tag in each.tags):
            raise ProviderRejectedError("127.0.0.1:1 refused a command")
        return super().invalidate(invalidations)


class FullDeadLetters:
    """Takes no letter."""

    def __init__(self) -> None:
        self.asked: list[DeadLetter] = []

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        self.asked += letters
        return [DeliveryError("the queue is away")] * len(letters)


class DeafLink:
    """Takes nothing."""

    name = "deaf"

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        return Shipment([False] * len(records), "the bus is away")


class Notes:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.notes: list[str] = []
        self.shipments: list[tuple[int, int, str]] = []
        self.lags: list[int] = []

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:
        self.reports.append(report)
        self.lags += lags_ms

    def noted(self, note: str) -> None:
        self.notes.append(note)

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None:
        self.shipments.append((delivered, failed, error))

    def followed(self, link: str, lag_ms: int) -> None: ...

    def reloaded(self, digest: str, error: str) -> None: ...

    def shadowed(self, invalidation: Any) -> None: ...

    def gap(self, link: str, namespace: str) -> None: ...


def outcomes(report: Report) -> list[Outcome]:
    return [each.outcome for each in report.outcomes]


def tags(made: World) -> list[str]:
    return [tag for each in made.journal() for tag in each.tags]


def test_an_applied_change_is_gone_journaled_and_handed_on() -> None:
    """Applied means: the version is gone, the journal has it, the link was handed it, and is noted as such."""
    made = world()
    (before,) = made.provider.snapshot([tag_id("flight:f1")], 60_000, guard=False).versions

    report = made.apply(record(1))

    assert outcomes(report) == [APPLIED]
    assert made.provider.read("k", [tag_id("flight:f1")]).versions == [None]
    assert before
    assert tags(made) == ["flight:f1", "airline:UA"]
    assert [each.id for each in made.link.records] == ["event-1"]
    assert made.provider.undelivered(made.link.name, 10).records == []


def test_an_invalidation_says_why() -> None:
    """The journal tells source, rules, place, operation and time of the change."""
    made = world()
    made.apply(record(1))
    (found,) = made.journal()

    assert (found.origin, found.cause.source, found.cause.rules) == (HOME, "dynamodb:Flights", ("flight",))
    assert (found.cause.position, found.cause.operation) == ("1001", "modify")
    assert found.cause.changed_ms > 0
    assert found.at_ms == 1_360_332_010_000


def test_an_unknown_table_is_ignored_and_told() -> None:
    """A record of a table that no rule names is counted, and the operator told what to do, once a batch."""
    notes = Notes()
    made = world(observer=notes)

    report = made.apply(record_of("dynamodb-unknown-table"), record_of("dynamodb-unknown-table"))

    assert outcomes(report) == [IGNORED, IGNORED]
    (note,) = notes.notes
    assert "no rule is about dynamodb 'Gates' (there are rules for: Flights); add one, or filter" in note


def test_a_rule_that_does_not_match_is_ignored_in_silence() -> None:
    """A known table's change that no rule means is ordinary."""
    notes = Notes()
    made = world(
        "version: 1\nrules: [{name: r, when: {table: Flights, operation: remove}, tags: [x]}]", observer=notes
    )

    assert outcomes(made.apply(record(1))) == [IGNORED]
    assert notes.notes == []


def test_what_a_stream_leaves_out_is_told() -> None:
    """A rule that may derive too little is applied, and the operator told which setting mends it."""
    notes = Notes()
    made = world(observer=notes)

    assert outcomes(made.apply(record_of("dynamodb-new-image"))) == [APPLIED]
    assert "rule 'flight' needs {carrier}" in notes.notes[0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dynamodb-malformed", "malformed"),
        ("dynamodb-unknown-version", "unsupported-version"),
        ("dynamodb-oversized", "oversized"),
    ],
)
def test_poison_is_kept_with_payload_and_reason(name: str, reason: str) -> None:
    """A record that can never be applied lies in the dead letter, whole, and its neighbours are applied."""
    made = world()

    report = made.apply(record(1), record_of(name), record(2))

    assert outcomes(report) == [APPLIED, BURIED, APPLIED]
    (letter,) = made.dead_letters.letters
    assert (letter.reason, letter.payload) == (reason, record_of(name))
    assert letter.error == str(report.outcomes[1].error)
    assert (letter.source, letter.region) == ("dynamodb", HOME)
    assert letter.position == record_of(name)["dynamodb"]["SequenceNumber"]
    assert len(letter.rules) == 16


def test_a_tag_beyond_its_bound_is_poison() -> None:
    """A derived tag that no entry could carry is oversized, and told with its size."""
    made = world()

    report = made.apply(sample("eventbridge-oversized"), source=eventbridge.SOURCE)

    assert outcomes(report) == [BURIED]
    assert made.dead_letters.letters[0].reason == "oversized"
    assert "has 1107 bytes; use 1 to 1024" in made.dead_letters.letters[0].error


@pytest.mark.parametrize("hostile", [{"S": "x" * 2_000}, {"L": []}, {"M": {}}, {"S": ""}])
def test_whoever_writes_one_value_does_not_hold_back_what_else_falls(hostile: dict[str, Any]) -> None:
    """A value that makes no tag costs that tag alone: the others fall, and the record is kept with the reason."""
    made = world(RULES.replace('"airline:{carrier}"]', '"{carrier}"]', 1) + OTHER_RULE)
    changed = record(1)
    changed["dynamodb"]["NewImage"]["carrier"] = hostile

    report = made.apply(changed)

    assert outcomes(report) == [BURIED]
    assert [set(each.tags) for each in made.journal()] == [{"flight:f1", "UA", "board:f1"}]
    assert len(made.dead_letters.letters) == 1


def test_a_fault_of_ours_is_kept_like_poison() -> None:
    """An exception that nobody foresaw neither blocks the shard nor loses the record."""

    def broken(raw: Any) -> Any:
        return raw["dynamodb"]["no such field"]

    made = world()
    report = made.apply(record(1), source=eventbridge.SOURCE._replace(parse=broken))

    assert outcomes(report) == [BURIED]
    assert "KeyError" in made.dead_letters.letters[0].error
    assert isinstance(report.outcomes[0].error.__cause__, KeyError)  # type: ignore[union-attr]


def test_poison_that_cannot_be_stored_fails() -> None:
    """A record counts as handled only once its dead letter is stored."""
    made = world(dead_letters=FullDeadLetters())

    report = made.apply(record(1), poison(2), record(3))

    assert outcomes(report) == [APPLIED, FAILED, APPLIED]
    assert isinstance(report.failure(), DeliveryError)


# --- the server is away, or refuses ----------------------------------------------------------------------------


def test_an_outage_in_mid_batch_fails_what_comes_after() -> None:
    """What was acknowledged before stays applied; from the first failed chunk on everything fails, untouched."""
    made = world(provider=FailingProvider(away_from=2), chunk=2)

    report = made.apply(*[record(n) for n in range(5)])

    assert outcomes(report) == [APPLIED, APPLIED, FAILED, FAILED, FAILED]
    assert isinstance(report.failure(), ProviderUnavailableError)
    assert made.provider.calls == 2  # type: ignore[attr-defined]
    assert [each.id for each in made.link.records] == ["event-0", "event-1"]


def test_an_outage_from_the_start_fails_all_and_loses_none() -> None:
    """Nothing is applied, nothing is buried, nothing is ignored that would have been applied."""
    made = world(provider=FailingProvider(away_from=1))

    assert outcomes(made.apply(record(1), record(2))) == [FAILED, FAILED]
    assert made.journal() == []


def test_poison_behind_a_failed_record_waits_for_the_redelivery() -> None:
    """An ordered source delivers everything from the failed record on again; poison there is not stored twice."""
    made = world(provider=FailingProvider(refused=["flight:f2"]))

    report = made.apply(poison(1), record(2), poison(3), record(4))

    assert outcomes(report) == [BURIED, FAILED, FAILED, APPLIED]
    assert [each.payload["eventID"] for each in made.dead_letters.letters] == ["event-1"]


def test_poison_of_an_unordered_source_does_not_wait() -> None:
    """Where each record is delivered by itself, each is buried by itself."""
    made = world(provider=FailingProvider(away_from=1))
    bad = {**sample("eventbridge-application"), "detail": 5}

    report = made.apply(sample("eventbridge-application"), bad, source=eventbridge.SOURCE)

    assert outcomes(report) == [FAILED, BURIED]


def test_one_refused_record_does_not_block_its_chunk() -> None:
    """A refused chunk is tried record by record: those that are refused again fail, and only those."""
    made = world(provider=FailingProvider(refused=["flight:f2"]))

    report = made.apply(*[record(n) for n in range(5)])

    assert outcomes(report) == [APPLIED, APPLIED, FAILED, APPLIED, APPLIED]
    assert isinstance(report.failure(), ProviderRejectedError)


def test_an_outage_while_trying_singly_fails_the_rest() -> None:
    """Even then nothing is counted as done that is not."""
    made = world(provider=FailingProvider(refused=["flight:f3"], away_from=4))

    report = made.apply(*[record(n) for n in range(4)])

    assert outcomes(report).count(FAILED) >= 2
    assert len(made.journal()) + outcomes(report).count(FAILED) >= 4
    assert report.outcomes[3].outcome is FAILED


def test_a_batch_can_be_delivered_again_from_any_point() -> None:
    """After an outage, the same batch again ends with everything applied."""
    provider = FailingProvider(away_from=2)
    made = world(provider=provider, chunk=1)
    batch = [record(n) for n in range(3)]
    assert outcomes(made.apply(*batch)) == [APPLIED, FAILED, FAILED]

    provider.away_from = 1_000_000

    assert outcomes(made.apply(*batch)) == [APPLIED, APPLIED, APPLIED]
    assert {f"flight:f{n}" for n in range(3)} <= set(tags(made))


# --- replication --------------------------------------------------------------------------------------------


def test_a_failed_push_fails_no_change() -> None:
    """The change is applied here; what the link did not take stays owed in the journal, and is told."""
    notes = Notes()
    made = world(link=DeafLink(), observer=notes)

    assert outcomes(made.apply(record(1))) == [APPLIED]
    assert notes.shipments == [(0, 1, "the bus is away")]
    owed = [each for _, each in made.provider.undelivered("deaf", 10).records if each]
    assert [each.id for each in owed] == ["event-1"]


def test_replicated_invalidations_are_applied_and_not_sent_on() -> None:
    """What a peer applied is applied here with its origin kept, and does not travel further."""
    made = world()

    report = made.apply(sample("eventbridge-replication"), source=eventbridge.SOURCE)

    assert outcomes(report) == [APPLIED]
    assert [each.origin for each in made.journal()] == [PEER, PEER]
    assert made.link.records == []


def test_what_came_back_is_dropped() -> None:
    """An invalidation that began here is ignored when it arrives: loops cannot form."""
    made = world()

    assert outcomes(made.apply(sample("eventbridge-own-origin"), source=eventbridge.SOURCE)) == [IGNORED]
    assert made.journal() == []


def test_an_event_with_one_bad_invalidation_is_applied_and_kept() -> None:
    """The readable ones are applied; the event goes to the dead letter for the other one's sake."""
    made = world()

    report = made.apply(sample("eventbridge-malformed"), source=eventbridge.SOURCE)

    assert outcomes(report) == [BURIED]
    assert len(made.journal()) == 1
    assert made.dead_letters.letters[0].payload == sample("eventbridge-malformed")


# --- merging ---------------------------------------------------------------------------------------------------


def test_rules_of_one_namespace_share_an_invalidation() -> None:
    """Two rules that match one change give one record, with both names and each tag once."""
    made = world(
        """
version: 1
rules:
  - {name: a, when: {table: Flights}, tags: [x, "flight:{keys.flight_id}"]}
  - {name: b, when: {table: "*"}, tags: [x, y]}
"""
    )
    made.apply(record(1))
    (found,) = made.journal()

    assert (found.tags, found.cause.rules) == (("x", "flight:f1", "y"), ("a", "b"))


def test_a_row_version_fences_its_own_rules_tags_only() -> None:
    """A rule with a row version does not fence the tags of a rule without one."""
    made = world(
        """
version: 1
rules:
  - {name: a, when: {table: Flights}, tags: ["flight:{keys.flight_id}"], row_version: version, lag: 2s}
  - {name: b, when: {table: Flights}, tags: ["airline:{carrier}"]}
"""
    )
    made.apply(record(1))

    assert [(each.tags, each.row_version, each.lag_ms) for each in made.journal()] == [
        (("flight:f1",), 2, 2_000),
        (("airline:UA",), None, 0),
    ]


def test_an_invalidation_of_many_tags_is_handed_on_part_by_part() -> None:
    """The journal splits it into parts, and every part is noted as pushed."""
    made = world()
    wide = invalidation(1, origin=PEER, tags=[f"t{n}" for n in range(150)])
    event = sample("eventbridge-replication")
    event["detail"]["invalidations"] = [
        {"id": "i", "origin": PEER, "namespace": "flights", "tags": list(wide.tags)}
    ]

    assert outcomes(made.apply(event, source=eventbridge.SOURCE)) == [APPLIED]
    assert [len(each.tags) for each in made.journal()] == [64, 64, 22]


def test_lags_are_told_from_change_to_applied() -> None:
    """The observer hears how long each change took to arrive here, in milliseconds."""
    notes = Notes()
    made = world(observer=notes)
    made.apply(record(1))

    assert notes.lags == [8_000]


# --- what other regions may ask --------------------------------------------------------------------------------


def shipped(sender: str, **fields: Any) -> dict[str, Any]:
    """An event that pretends to ship one invalidation."""
    event = sample("eventbridge-replication")
    document = {"id": "i1", "origin": sender, "namespace": "flights", "tags": ["t"], **fields}
    event["detail"] = {"schema": 1, "origin": sender, "invalidations": [document]}
    return dict(event)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            shipped(PEER, namespace="payments", clear=True),
            "namespace 'payments' is not followed here (followed: bookings, flights); set STALEPROOF_NAMESPACE",
        ),
        (
            shipped("mars-north-1"),
            "origin 'mars-north-1' is no peer of this region (peers: us-east-1); add it to",
        ),
        (
            shipped(PEER, origin="ap-south-1"),
            "detail.origin is 'us-east-1' and an invalidation's origin 'ap-south-1'",
        ),
    ],
)
def test_a_forged_replication_applies_nothing(event: dict[str, Any], told: str) -> None:
    """Only peers replicate, only what began there, and only into namespaces that this deployment follows."""
    made = world("version: 1\nrules: [{name: a, when: {table: F}, tags: [x], namespace: bookings}]")

    assert outcomes(made.apply(event, source=eventbridge.SOURCE)) == [BURIED]
    assert made.journal() == []
    (letter,) = made.dead_letters.letters
    assert letter.reason == "forbidden"
    assert told in letter.error


@pytest.mark.parametrize("namespace", ["flights", "bookings"])
def test_a_peer_replicates_into_what_is_followed(namespace: str) -> None:
    """The deployment's own namespace and those that rules name."""
    made = world("version: 1\nrules: [{name: a, when: {table: F}, tags: [x], namespace: bookings}]")

    assert outcomes(made.apply(shipped(PEER, namespace=namespace), source=eventbridge.SOURCE)) == [APPLIED]


def test_without_peers_nothing_is_replicated() -> None:
    """A single region takes invalidations of nobody."""
    asked = Translator(loader.loads(RULES), HOME, "flights").translate(shipped(PEER), eventbridge.SOURCE)

    assert asked.invalidations == ()
    assert "(peers: none)" in str(asked.error)


# --- faults that nobody foresaw ----------------------------------------------------------------------------------


class RaisingLink:
    """Breaks the port's promise never to raise."""

    name = "raising"

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        raise KeyError("Entries")


class RaisingDeadLetters:
    """Raises for records of which *refused* is a part, and keeps the others."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.letters: list[DeadLetter] = []

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        if any(self.refused in str(each.payload) for each in letters):
            raise RuntimeError("boom")
        self.letters += letters
        return [None] * len(letters)


class RaisingProvider(MemoryProvider):
    """Has a fault that shows at one tag."""

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        if any("flight:f2" in each.tags for each in invalidations):
            raise KeyError("flight:f2")
        return super().invalidate(invalidations)


def test_a_link_that_raises_fails_no_record() -> None:
    """What is applied stays applied, and the follower finds what is owed."""
    notes = Notes()
    made = world(link=RaisingLink(), observer=notes)

    assert outcomes(made.apply(record(1), poison(2), record(3))) == [APPLIED, BURIED, APPLIED]
    assert notes.shipments == [(0, 2, "the link raised KeyError; report it")]
    assert len(made.provider.undelivered("raising", 10).records) == 2


def test_a_note_that_raises_fails_no_record() -> None:
    """Neither does a journal that cannot note what was pushed."""
    made = world()

    def broken(name: str, places: Sequence[str]) -> None:
        raise KeyError(name)

    made.provider.pushed = broken  # type: ignore[method-assign]
    assert outcomes(made.apply(record(1))) == [APPLIED]


def test_dead_letters_that_raise_fail_only_the_records_concerned() -> None:
    """The others of the batch keep their outcomes."""
    made = world(dead_letters=RaisingDeadLetters("event-2"))

    assert outcomes(made.apply(record(1), poison(2), poison(3), record(4))) == [
        APPLIED,
        FAILED,
        BURIED,
        APPLIED,
    ]


def test_a_fault_in_applying_fails_only_the_records_concerned() -> None:
    """The chunk is tried one by one, as if the server had refused it."""
    made = world(provider=RaisingProvider("flights"))

    assert outcomes(made.apply(record(1), record(2), record(3))) == [APPLIED, FAILED, APPLIED]
