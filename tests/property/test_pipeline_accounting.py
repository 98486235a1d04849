"""Whatever is sent, every record has exactly one outcome, and nothing breaks but by our own errors."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof.errors import CacheError, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.dead_letter import MemoryDeadLetters, assemble, bodies
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.rules import loader
from staleproof_pipeline.sources import dynamodb_streams, eventbridge
from tests.unit.change_records import RULES, poison, record, record_of, sample, world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.dead_letter import DeadLetter

RULESET = loader.loads(RULES)
STREAM_SAMPLES = [
    record_of(f"dynamodb-{name}")
    for name in ("insert", "modify", "remove", "ttl", "keys-only", "new-image", "all-types", "malformed")
]
EVENT_SAMPLES = [
    sample(f"eventbridge-{name}")
    for name in (
        "application",
        "replication",
        "malformed",
        "own-origin",
        "newer-invalidation",
        "wrong-schema",
    )
]
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["\ud800", "1E999", "9" * 200, "", "{x}", "eu-west-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["S", "N", "M", "L", "NULL"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, samples: list[dict[str, Any]]) -> Any:
    """A sample with some of its fields, at any depth, replaced or removed; or anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANY_JSON)
    made = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 3))):
        _mutate(draw, made)
    return made


def _mutate(draw: st.DrawFn, place: Any) -> None:
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.booleans()):
            place[key] = draw(ANY_JSON)
        else:
            del place[key]
        return


class Unreliable(MemoryProvider):
    """Answers each call as it is told to: takes it, refuses it, or is away."""

    def __init__(self, answers: list[str]) -> None:
        super().__init__("flights")
        self.answers = answers

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        answer = self.answers.pop(0) if self.answers else "take"
        if answer == "away":
            raise ProviderUnavailableError("away")
        if answer == "refuse":
            raise ProviderRejectedError("refused")
        return super().invalidate(invalidations)


class UnreliableLetters(MemoryDeadLetters):
    """Takes every *every*-th letter."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self._asked = 0

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        results: list[Exception | None] = []
        for letter in letters:
            self._asked += 1
            if self._asked % self._every == 0:
                self.letters.append(letter)
                results.append(None)
            else:
                results.append(DeliveryError("away"))
        return results


def check(records: list[Any], source: Any, answers: list[str], every: int, chunk: int) -> None:
    letters = UnreliableLetters(every)
    made = world(RULESET, provider=Unreliable(answers), dead_letters=letters, chunk=chunk)

    report = made.apply(*records, source=source)
    counts = report.counts()

    assert sum(counts.values()) == len(records) == len(report.outcomes)
    assert counts["dead_lettered"] == len(letters.letters)
    for each in report.outcomes:
        assert (each.error is None) == (each.outcome in {Outcome.APPLIED, Outcome.IGNORED})
        assert each.error is None or isinstance(each.error, CacheError)
        # An exception that nobody foresaw is kept, but the sources are to foresee everything.
        assert "report it with this payload" not in str(each.error or "")
    for letter in letters.letters:
        assert repr(assemble(bodies(letter))) == repr(letter)  # nan is not equal to itself


CHAOS = {
    "answers": st.lists(st.sampled_from(["take", "take", "refuse", "away"]), max_size=6),
    "every": st.integers(1, 3),
    "chunk": st.integers(1, 4),
}


@settings(max_examples=300)
@given(records=st.lists(mutated(STREAM_SAMPLES), max_size=6), **CHAOS)
def test_every_stream_record_is_accounted_for(
    records: list[Any], answers: list[str], every: int, chunk: int
) -> None:
    """Applied + ignored + dead-lettered + failed = sent, for any records and any behaviour of the servers."""
    check(records, dynamodb_streams.SOURCE, answers, every, chunk)


@settings(max_examples=300)
@given(records=st.lists(mutated(EVENT_SAMPLES), max_size=4), **CHAOS)
def test_every_event_is_accounted_for(records: list[Any], answers: list[str], every: int, chunk: int) -> None:
    """The same for events of a bus."""
    check(records, eventbridge.SOURCE, answers, every, chunk)


def _of(kind: str, number: int) -> dict[str, Any]:
    if kind == "poison":
        return poison(number)
    return record(number, table="Flights" if kind == "good" else "Gates")


@given(
    kinds=st.lists(st.sampled_from(["good", "poison", "unknown"]), max_size=8),
    outages=st.lists(st.sampled_from(["take", "refuse", "away"]), max_size=8),
)
def test_redelivery_from_the_first_failure_loses_nothing(kinds: list[str], outages: list[str]) -> None:
    """Delivered again from the lowest failed record on, as Lambda does, everything ends applied or dead-lettered."""
    batch = [_of(kind, n) for n, kind in enumerate(kinds)]
    made = world(RULESET, provider=Unreliable(list(outages)), chunk=2)
    rest, deliveries = batch, 0
    while rest:
        report = made.apply(*rest)
        failed = [at for at, each in enumerate(report.outcomes) if each.outcome is Outcome.FAILED]
        rest = rest[failed[0] :] if failed else []
        deliveries += 1
        assert deliveries <= len(outages) + 1

    applied = {tag for each in made.journal() for tag in each.tags if tag.startswith("flight:")}
    buried = {letter.payload["eventID"] for letter in made.dead_letters.letters}
    assert applied == {f"flight:f{n}" for n, kind in enumerate(kinds) if kind == "good"}
    assert buried == {f"event-{n}" for n, kind in enumerate(kinds) if kind == "poison"}
