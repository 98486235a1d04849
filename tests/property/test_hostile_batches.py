"""Hostile batches through every handler: copied, reordered, cut, over a cache that fails now and then; none is lost."""

from __future__ import annotations

import json
import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline import invocations
from staleproof_pipeline.batch import respond
from staleproof_pipeline.mappings import DYNAMODB, KAFKA, KINESIS, SQS, Mapping
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.report import Outcome
from tests.property.record_mutations import batches
from tests.property.test_hostile_records import BATCH, RULES, SEED, samples
from tests.unit.change_records import World, world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.report import Report

FEW = 250
MANY = int(os.environ.get("STALEPROOF_RECORDS", "5000"))
"""A handler; 100,000 take a minute each."""

KINDS = {"dynamodb": DYNAMODB, "kinesis": KINESIS, "sqs": SQS, "kafka": KAFKA}
every_kind = pytest.mark.parametrize("kind", KINDS)


class Flaky(MemoryProvider):
    """A cache that is away, or refuses, now and then."""

    def __init__(self, seed: int) -> None:
        super().__init__("flights")
        self.random = Random(seed)
        self.well = False

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        luck = 1.0 if self.well else self.random.random()
        if luck < 0.2:
            raise ProviderUnavailableError("away")
        if luck < 0.4:
            raise ProviderRejectedError("refused")
        return super().invalidate(invalidations)


class Books(NullObserver):
    """Counts what the pipeline says of every delivery."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(map(str, Outcome), 0)

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:
        for name, count in report.counts().items():
            self.counts[name] += count


def enveloped(mapping: Mapping, records: list[Any]) -> dict[str, Any]:
    return {"records": {"t-0": records}} if mapping is KAFKA else {"Records": records}


def left_of(mapping: Mapping, records: list[Any], response: Any) -> list[Any]:
    """What AWS delivers again: named messages of a queue; of a log everything from the lowest failure on."""
    named = [each["itemIdentifier"] for each in response["batchItemFailures"]]
    if not named:
        return []
    if named == [""]:
        return records
    at = [number for number, each in enumerate(records) if mapping.identifier(each) in named]
    assert at, "a response names what was delivered"
    return [records[number] for number in at] if mapping is SQS else records[at[0] :]


def shuffled(records: list[Any], random: Random) -> list[Any]:
    """With copies, as a producer or a queue makes them, and sometimes out of order."""
    made = [
        *records,
        *(json.loads(json.dumps(each)) for each in records if random.random() < 0.1 and _plain(each)),
    ]
    if random.random() < 0.5:
        random.shuffle(made)
    return made


def _plain(record: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(record)) == record)
    except (TypeError, ValueError, RecursionError):
        return False


def deliver(mapping: Mapping, records: list[Any], seed: int) -> World:
    """Deliver until nothing comes back; check the books of every delivery."""
    provider, books = Flaky(seed), Books()
    made = world(RULES, provider=provider, observer=books)
    left, deliveries, sent = records, 0, 0
    while left:
        provider.well = deliveries >= 20
        assert deliveries < 22, "what can be applied is acknowledged"
        response = respond(
            enveloped(mapping, left),
            lambda given: made.invalidator.apply(given, mapping.source, mapping.order),
            mapping,
        )
        json.dumps(response)
        sent += len(left)
        assert sum(books.counts.values()) == sent
        left, deliveries = left_of(mapping, left, response), deliveries + 1
    return made


def go(kind: str, count: int, seed: int) -> int:
    mapping, random, seen = KINDS[kind], Random(seed), 0
    for at, batch in enumerate(batches(samples(kind), count, BATCH, seed)):
        records = shuffled(list(batch), random)
        made = deliver(mapping, records, seed + at)
        calm = world(RULES)
        calm.invalidator.apply(records, mapping.source, mapping.order)
        assert {each.id for each in made.journal()} == {each.id for each in calm.journal()}
        assert len(made.dead_letters.letters) >= len(calm.dead_letters.letters)
        seen += len(records)
    return seen


@every_kind
def test_hostile_batches_are_accounted_for(kind: str) -> None:
    """However often the cache fails, in the end it has heard exactly what it would have heard without failures."""
    assert go(kind, FEW, SEED) >= FEW


@pytest.mark.slow
@pytest.mark.timeout(900)
@every_kind
def test_many_hostile_batches_are_accounted_for(kind: str) -> None:
    """The same for thousands more."""
    assert go(kind, MANY, SEED + 1) >= MANY


@pytest.mark.parametrize(
    "kind", ["eventbridge", "sns", "s3", "direct", "sqs", "kafka", "kinesis", "dynamodb"]
)
def test_hostile_invocations_are_accounted_for(kind: str) -> None:
    """Whatever is handed to the function of the bus has one outcome a record, and raises nothing of its own."""
    for batch in batches(samples(kind), FEW, 10, SEED + 2):
        event = {"Records": list(batch)} if kind not in {"eventbridge", "direct"} else batch[0]
        made = world(RULES)
        parts = invocations.read(event)
        reports = [made.invalidator.apply(records, source) for source, records in parts]
        expected = (
            len(batch) if kind not in {"eventbridge", "direct"} else sum(len(each) for _, each in parts)
        )
        assert sum(len(each.outcomes) for each in reports) == expected
        assert all(each.failure() is None for each in reports)
