"""Hot tags: few invalidations a window, and the last change is never without one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import Instant, ManualClock
from staleproof.errors import CacheError, ProviderUnavailableError
from staleproof.events.invalidation import decode
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline.aftermath import Aftermath
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.deferral import DUE, DueTranslator, MemoryDeferrer
from staleproof_pipeline.errors import DeliveryError
from staleproof_pipeline.followups import Coalesced, Deferred, FollowUps
from staleproof_pipeline.invalidation import Invalidator
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.replication.push import Pusher
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.coalescing import MemoryWindows, Verdict, Window, decide
from staleproof_pipeline.sources import dynamodb_streams
from staleproof_pipeline.translation import Translated, Translator
from tests.unit.change_records import HOME, World, invalidation, record, world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation

WIDTH = 500
HOT = """
version: 1
rules:
  - name: hot
    when: {table: Flights}
    tags: ["flight:{keys.flight_id}", "airline:{carrier}"]
    coalesce: 500ms
"""
LAGGING = """
version: 1
rules:
  - name: lagging
    when: {table: Flights}
    tags: ["flight:{keys.flight_id}"]
    delay: 2s
"""


def at(milliseconds: float, frozen: float = 0.0) -> Instant:
    """A time, *frozen* milliseconds of which the monotonic clock did not see."""
    return Instant((milliseconds - frozen) / 1_000, 1_700_000_000 + milliseconds / 1_000)


def test_the_first_change_is_applied_at_once_and_the_next_at_the_end() -> None:
    """Leading edge, trailing edge, then the window begins anew."""
    first = decide(None, at(0), WIDTH)
    second = decide(first.window, at(100), WIDTH)
    third = decide(second.window, at(200), WIDTH)
    fourth = decide(third.window, at(500), WIDTH)

    assert [each.verdict for each in (first, second, third, fourth)] == [
        Verdict.NOW, Verdict.TRAILING, Verdict.COVERED, Verdict.NOW,
    ]  # fmt: skip
    assert second.delay_ms == 400


def test_an_edge_that_is_not_stored_covers_nothing() -> None:
    """Until the trailing edge is stored, every change asks for it again."""
    window = decide(None, at(0), WIDTH).window

    assert decide(window, at(100), WIDTH).verdict is Verdict.TRAILING
    assert decide(window, at(200), WIDTH).verdict is Verdict.TRAILING


@pytest.mark.parametrize(
    "now",
    [at(60_000, frozen=59_900), Instant(60.0, 1_700_000_000.1), Instant(0.1, 1_699_999_990.0)],
    ids=["frozen", "wall clock behind", "wall clock set back"],
)
def test_a_window_is_over_when_either_clock_says_so(now: Instant) -> None:
    """A process that was frozen must not wait for an edge that came long ago."""
    assert decide(Window(at(0), WIDTH, trailing=True), now, WIDTH).verdict is Verdict.NOW


class Played(NamedTuple):
    """A change, and what the server had to do for it."""

    at_ms: int
    fails: bool


plays = st.lists(
    st.builds(Played, st.integers(0, 3_000), st.booleans()), min_size=1, max_size=30
).map(sorted)  # fmt: skip


@given(plays, st.integers(1, 1_000), st.integers(0, 700))
def test_no_change_is_the_last_word_without_an_invalidation_after_it(
    played: list[Played], width: int, late_ms: int
) -> None:
    """Whatever fails to be stored, however late edges come: every handled change has an invalidation at or after it."""
    window: Window | None = None
    applied: list[float] = []
    handled: list[int] = []
    for each in played:
        decision = decide(window, at(each.at_ms), width)
        if decision.verdict is Verdict.NOW:
            window = decision.window
            applied.append(each.at_ms)
        elif decision.verdict is Verdict.TRAILING:
            if each.fails:
                continue  # not handled: its source delivers it again
            window = decision.window
            applied.append(each.at_ms + decision.delay_ms + late_ms)
        handled.append(each.at_ms)

    assert all(any(when >= change for when in applied) for change in handled)
    for opened in applied:
        assert sum(opened <= when - late_ms < opened + width for when in applied) <= 3


def test_a_store_of_windows_is_bounded_and_forgets_the_oldest() -> None:
    """What is forgotten costs one more invalidation."""
    windows = MemoryWindows(limit=2)
    for name in ("a", "b", "a", "c"):
        windows.put(name, Window(at(0), WIDTH))

    assert windows.get("a") is not None
    assert windows.get("b") is None


class Refusing:
    """Stores nothing."""

    def defer(self, items: list[Deferred]) -> list[DeliveryError]:
        return [DeliveryError("full") for _ in items]


class Raising:
    """Breaks the port's promise."""

    def defer(self, items: list[Deferred]) -> list[None]:
        raise RuntimeError("bug")


def deferring(rules: str, deferrer: object = None) -> tuple[World, MemoryDeferrer]:
    """A region whose pipeline puts off into memory, or into *deferrer*."""
    made = world(rules)
    kept = MemoryDeferrer(clock=made.clock)
    invalidator = Invalidator(
        Translator(loader.loads(rules), HOME, "flights", clock=made.clock),
        made.providers,
        made.dead_letters,
        Pusher([made.link], made.providers, HOME),
        clock=made.clock,
        aftermath=Aftermath(kept if deferrer is None else deferrer, clock=made.clock),  # type: ignore[arg-type]
    )
    return made._replace(invalidator=invalidator), kept


def apply_due(made: World, kept: MemoryDeferrer, rules: str) -> list[Outcome]:
    """What a worker does from time to time."""
    invalidator = Invalidator(
        DueTranslator(loader.loads(rules), HOME, "flights", clock=made.clock),
        made.providers,
        made.dead_letters,
        Pusher([made.link], made.providers, HOME),
        clock=made.clock,
    )
    return [each.outcome for each in invalidator.apply(kept.due(), DUE).outcomes]


def fallen(made: World) -> list[str]:
    return [tag for each in made.journal() for tag in each.tags]


def test_hot_tags_fall_at_most_twice_a_window() -> None:
    """Ten changes in half a second: the first at once, the others together at the end, and none fails."""
    made, kept = deferring(HOT)
    for _ in range(10):
        assert made.apply(record(1)).counts()["applied"] == 1
        made.clock.advance(0.04)
    assert fallen(made) == ["flight:f1", "airline:UA"]
    assert len(kept) == 1

    made.clock.advance(1)
    assert apply_due(made, kept, HOT) == [Outcome.APPLIED]
    assert fallen(made) == ["flight:f1", "airline:UA"] * 2


def test_each_tag_has_its_own_window() -> None:
    """Of two flights of one airline, the second falls at once and the airline at the window's end."""
    made, kept = deferring(HOT)
    made.apply(record(1))
    made.apply(record(2))
    assert fallen(made) == ["flight:f1", "airline:UA", "flight:f2"]

    made.clock.advance(1)
    apply_due(made, kept, HOT)
    assert fallen(made)[3:] == ["airline:UA"]


def test_a_batch_needs_one_invalidation_a_tag() -> None:
    """Within a batch everything is applied after the last change, so one stands for all."""
    made, kept = deferring(HOT)
    report = made.apply(*(record(1) for _ in range(50)))

    assert report.counts()["applied"] == 50
    assert fallen(made) == ["flight:f1", "airline:UA"]
    assert len(kept) == 0


@pytest.mark.parametrize("deferrer", [Refusing(), Raising()], ids=["refusing", "raising"])
def test_a_record_whose_edge_is_not_stored_fails(deferrer: object) -> None:
    """What cannot be put off is not handled, and so are those that rely on it; they come again."""
    made, _ = deferring(HOT, deferrer)
    made.apply(record(1))
    report = made.apply(record(1), record(1), record(2, carrier="AA"))

    assert [each.outcome for each in report.outcomes] == [Outcome.FAILED, Outcome.FAILED, Outcome.APPLIED]
    assert all(isinstance(each.error, DeliveryError) for each in report.outcomes[:2])
    assert made.apply(record(1)).counts()["failed"] == 1


def test_without_a_deferrer_a_record_fails_by_configuration() -> None:
    """A pipeline that nobody gave a place to put off to says so, and loses nothing."""
    made = world(HOT)
    made.apply(record(1))
    report = made.apply(record(1))

    assert report.counts()["failed"] == 1
    assert "give this pipeline a deferrer" in str(report.failure())


def test_a_leading_edge_that_fails_opens_no_window() -> None:
    """If the server refused the first change, the next one is first."""
    aftermath = Aftermath(MemoryDeferrer(), clock=ManualClock())
    asked = Translated(follow_ups=FollowUps(coalesced=(Coalesced(invalidation(1), WIDTH),)))
    settled = aftermath.settle([asked, asked])
    errors = aftermath.carry_out(settled, {0: DeliveryError("away")})

    assert sorted(errors) == [0, 1]
    assert aftermath.settle([asked]).asked[0].invalidations == (invalidation(1),)


class Shaky(MemoryProvider):
    """A server, or a queue, that is away now and then; *log* has what was applied."""

    def __init__(self, log: list[tuple[str, str]], clock: ManualClock) -> None:
        super().__init__("flights", clock=clock)
        self.log = log
        self.away = False
        self.full = False
        self.kept = MemoryDeferrer(clock=clock)

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[str]:
        if self.away:
            raise ProviderUnavailableError("away; retry")
        places = super().invalidate(invalidations)
        self.log += [("applied", tag) for each in invalidations for tag in each.tags]
        return places

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        return [DeliveryError("full") for _ in items] if self.full else self.kept.defer(items)


class Step(NamedTuple):
    """A batch: which flights changed, how much later it is, and what is away meanwhile."""

    flights: list[int]
    later_ms: int
    away: bool
    full: bool


steps = st.builds(
    Step,
    st.lists(st.integers(1, 3), max_size=4),
    st.sampled_from([0, 50, 200, 400, 600]),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(steps, min_size=1, max_size=12))
def test_whatever_is_away_every_change_has_an_invalidation_after_it(played: list[Step]) -> None:
    """Servers and queues that fail, redeliveries, batches and windows: no tag keeps what its last change made stale."""
    log: list[tuple[str, str]] = []
    clock = ManualClock()
    shaky = Shaky(log, clock)
    pipeline, later = (_invalidator(kind, shaky, clock) for kind in (Translator, DueTranslator))
    waiting: list[Any] = []
    for step in [*played, Step([], 1_000, away=False, full=False), Step([], 1_000, away=False, full=False)]:
        clock.advance(step.later_ms / 1_000)
        shaky.away, shaky.full = step.away, step.full
        waiting += [record(number) for number in step.flights]
        log += [("changed", f"flight:f{number}") for number in step.flights]
        report = pipeline.apply(waiting, dynamodb_streams.SOURCE)
        waiting = [each for each, told in zip(waiting, report.outcomes, strict=True) if told.error]
        due = shaky.kept.due()
        again = later.apply(due, DUE)
        failed = [each for each, told in zip(due, again.outcomes, strict=True) if told.error]
        shaky.kept.defer([Deferred(decode(each), 0) for each in failed])

    assert waiting == []
    for tag in {tag for event, tag in log if event == "changed"}:
        last = max(at for at, each in enumerate(log) if each == ("changed", tag))
        assert ("applied", tag) in log[last:]


def _invalidator(kind: type[Translator], shaky: Shaky, clock: ManualClock) -> Invalidator:
    providers = Providers(lambda _: shaky)
    return Invalidator(
        kind(loader.loads(HOT), HOME, "flights", clock=clock),
        providers,
        MemoryDeadLetters(),
        Pusher([], providers, HOME),
        clock=clock,
        aftermath=Aftermath(shaky, clock=clock),
    )


def test_a_delayed_rule_invalidates_twice() -> None:
    """At once, and again when replicas have caught up; with the change's own id and cause."""
    made, kept = deferring(LAGGING)
    assert made.apply(record(1)).counts()["applied"] == 1
    assert fallen(made) == ["flight:f1"]
    assert kept.due() == []
    assert kept.next_due() == pytest.approx(2)

    made.clock.advance(2)
    assert apply_due(made, kept, LAGGING) == [Outcome.APPLIED]
    first, second = made.journal()
    assert (second.id, second.tags, second.cause) == (first.id, first.tags, first.cause)
    assert second.at_ms == first.at_ms + 2_000
    assert kept.next_due() is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "malformed"),
        (5, "malformed"),
        ({"body": None}, "malformed"),
        ('{"id": "1", "origin": "us-east-1", "namespace": "flights", "tags": ["a"]}', "forbidden"),
        ('{"id": "1", "origin": "eu-west-1", "namespace": "others", "tags": ["a"]}', "forbidden"),
    ],
)
def test_what_is_no_deferred_invalidation_of_ours_is_dead_lettered(body: object, reason: str) -> None:
    """A queue's message that nobody here put off is kept, and nothing falls."""
    translator = DueTranslator(loader.loads(LAGGING), HOME, "flights")
    translated = translator.translate(body, DUE)

    assert translated.invalidations == ()
    assert translated.error is not None
    assert translated.error.reason == reason


def test_shadow_rules_report_and_apply_nothing() -> None:
    """In shadow mode, of a rule or of the file, the report has everything and the journal nothing."""
    for rules in (
        HOT.replace("coalesce: 500ms", "shadow: true"),
        HOT.replace("rules:", "shadow: true\nrules:"),
    ):
        made = world(rules)
        translated = Translator(loader.loads(rules), HOME, "flights").translate(
            record(1), dynamodb_streams.SOURCE
        )

        assert made.apply(record(1)).counts()["ignored"] == 1
        assert made.journal() == []
        assert [each.tags for each in translated.follow_ups.shadowed] == [("flight:f1", "airline:UA")]
