"""Records of every source, made wrong in every way that is known: none breaks the pipeline, none is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import EventError
from staleproof_pipeline import bounds
from staleproof_pipeline.change import shown
from staleproof_pipeline.dead_letter import assemble, bodies
from staleproof_pipeline.errors import UnforeseenEventError
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import kafka
from staleproof_pipeline.sources.avro import Schema
from tests.property.record_mutations import batches
from tests.unit.change_records import world
from tests.unit.source_samples import NAMES, SOURCES, event, records, source_of

if TYPE_CHECKING:
    from staleproof_pipeline.sources import RecordSource

AVRO = {
    "type": "record", "name": "Flight", "namespace": "com.example",
    "fields": [
        {"name": "flight_id", "type": "string"}, {"name": "carrier", "type": "string"},
        {"name": "status", "type": ["null", "string"], "default": None},
        {"name": "fare", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    ],
}  # fmt: skip
WITH_SCHEMA = kafka.source(kafka.Reading({"flights-avro-value": Schema(json.dumps(AVRO))}))
RULES = loader.loads("""
version: 1
rules:
  - name: table
    when: {table: "*", changed: [carrier, status]}
    tags: ["flight:{keys.flight_id}", "airline:{carrier}"]
    row_version: version
    lag: 2s
  - name: event
    when: {source: eventbridge, detail_type: "*"}
    tags: ["flight:{flight_id}"]
  - name: row
    when: {source: kafka, table: "*"}
    tags: ["row:{keys.id}", "airline:{carrier}", "fare:{fare}"]
    keys: ["plan:{_id}"]
  - name: entry
    when: {source: redis-stream, entity: "*"}
    tags: ["flight:{flight_id}"]
  - name: object
    when: {source: s3, entity: "*", operation: [insert, remove]}
    keys: ["object:{bucket}:{key}"]
  - name: published
    when: {source: application, entity: "*"}
    tags: ["flight:{keys.flight_id}", "airline:{carrier}"]
""")

SEED = 20_130_208
FEW, MANY = 3_000, 100_000
BATCH = 250


def samples(prefix: str) -> list[Any]:
    return [raw for name in NAMES if name.startswith(f"{prefix}-") for raw in records(name)]


KINDS: dict[str, tuple[RecordSource, list[Any]]] = {
    prefix: (source, samples(prefix)) for prefix, source in SOURCES.items()
} | {"kafka with a schema": (WITH_SCHEMA, samples("kafka-avro"))}


def check(source: RecordSource, batch: list[Any]) -> dict[str, int]:
    """Apply *batch* and look that everything about it is in order; return the outcomes."""
    made = world(RULES)
    report = made.apply(*batch, source=source)
    counts = report.counts()

    assert len(report.outcomes) == len(batch)
    assert counts["failed"] == 0  # the server is there: what is not applied can never be
    assert counts["applied"] + counts["ignored"] + counts["dead_lettered"] == len(batch)
    assert counts["dead_lettered"] == len(made.dead_letters.letters)
    for raw, each in zip(batch, report.outcomes, strict=True):
        assert (each.error is None) == (each.outcome is not Outcome.DEAD_LETTERED)
        assert each.error is None or isinstance(each.error, EventError)
        assert not isinstance(each.error, UnforeseenEventError), (str(each.error)[:500], shown(raw, 2_000))
    for letter in made.dead_letters.letters:
        assert assemble(bodies(letter)).id == letter.id  # it can be written, and read again
    for invalidation in made.journal():
        bounds.checked(invalidation)
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_records_are_accounted_for(kind: str) -> None:
    """Applied + ignored + dead-lettered = sent, and every error is one of ours: a few of each source."""
    source, raw = KINDS[kind]
    totals = dict.fromkeys(map(str, Outcome), 0)
    for batch in batches(raw, FEW // len(KINDS), BATCH, SEED):
        for name, count in check(source, batch).items():
            totals[name] += count

    assert totals["dead_lettered"] > 0
    assert totals["applied"] + totals["ignored"] > 0


@pytest.mark.slow
@pytest.mark.timeout(400)  # half a minute, where nothing else runs
def test_a_hundred_thousand_hostile_records_are_accounted_for() -> None:
    """The same for 100,000 over all sources."""
    seen = 0
    each = -(-MANY // len(KINDS))
    for at, (source, raw) in enumerate(KINDS.values()):
        for batch in batches(raw, each, BATCH, SEED + at * MANY):
            seen += sum(check(source, batch).values())

    assert seen >= MANY


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_of_a_sample_is_accounted_for(name: str) -> None:
    """A record that lost any one of its fields, at any depth, is read or refused; nothing else happens."""
    for raw in records(name):
        cuts = list(without_one(raw))
        for start in range(0, len(cuts), BATCH):
            check(source_of(name), cuts[start : start + BATCH])


def without_one(value: Any) -> list[Any]:
    """*value* once without each of its members, at any depth."""
    if not isinstance(value, dict | list):
        return []
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found: list[Any] = []
    for at, member in pairs:
        rest = (
            {k: v for k, v in pairs if k != at}
            if isinstance(value, dict)
            else [v for k, v in pairs if k != at]
        )
        found.append(rest)
        for inner in without_one(member):
            if isinstance(value, dict):
                found.append({**value, at: inner})
            else:
                found.append([inner if k == at else v for k, v in pairs])
    return found


def test_the_good_ones_are_applied() -> None:
    """The rules here do match: without that, being ignored would prove nothing."""
    applied = sum(check(source_of(name), records(name))["applied"] for name in NAMES if event(name))

    assert applied > len(NAMES) // 2
