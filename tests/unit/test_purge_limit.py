"""Limits put off, and drop nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.events import Invalidation
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline import bootstrap
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.deferral import DUE, MemoryDeferrer
from staleproof_pipeline.errors import OverLimitError, SlowCacheError
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.purge_limit import PurgeLimit, TokenBucket
from staleproof_pipeline.report import Outcome
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from tests.unit.change_records import RULES, record


def purge(*tags: str, clear: bool = False) -> Invalidation:
    return Invalidation(id="i", origin="eu-west-1", namespace="flights", tags=tags, clear=clear)


@given(
    rate=st.floats(0.5, 1_000),
    asked=st.lists(st.tuples(st.integers(1, 500), st.floats(0, 5)), min_size=1, max_size=40),
)
def test_a_rate_holds_over_time(rate: float, asked: list[tuple[int, float]]) -> None:
    """What is admitted is never more than rate and burst allow, but for the last; whoever waits as told gets on."""
    clock = ManualClock()
    bucket = TokenBucket(rate, rate, clock=clock)
    began, admitted, last = clock.monotonic(), 0, 0
    for amount, pause in asked:
        clock.advance(pause)
        wait = bucket.take(amount)
        if wait:
            clock.advance(wait * 1.000_001)
            assert bucket.take(amount) == 0.0
        assert admitted <= max(1.0, rate) + rate * (clock.monotonic() - began) + 1e-6
        admitted, last = admitted + amount, amount
    assert last


def test_tags_and_clears_have_limits_of_their_own() -> None:
    """A clear costs one of a minute's clears, tags and keys what they are."""
    clock = ManualClock()
    limit = PurgeLimit(10, 1, clock=clock)
    assert bool(limit)
    assert not PurgeLimit()
    assert [limit.wait(purge(clear=True)), limit.wait(purge(*map(str, range(25))))] == [0.0, 0.0]
    assert limit.wait(purge("a")) > 1.4
    assert 59 < limit.wait(purge(clear=True)) <= 60.1
    clock.advance(1.6)
    assert limit.wait(purge("a")) == 0.0


def pipeline(clock: ManualClock, provider: Any, **parts: Any) -> bootstrap.Pipeline:
    settings = Settings(
        cache_url="memory://",
        namespace="flights",
        region="eu-west-1",
        rules_text=RULES,
        purge_rate=4,
        batch_budget=2.0,
    )
    return bootstrap.pipeline(
        settings,
        providers=Providers(lambda _: provider),
        dead_letters=MemoryDeadLetters(),
        links=[],
        clock=clock,
        **parts,
    )


def tags(provider: MemoryProvider) -> set[str]:
    page = provider.journal("", 100_000)
    return {tag for _, each in page.records if each is not None for tag in each.tags}


def test_what_is_above_the_limit_stays_in_its_source() -> None:
    """Without a place to keep it the record fails with its reason, and is applied when it comes again."""
    clock = ManualClock()
    provider = MemoryProvider("flights", clock=clock)
    made = pipeline(clock, provider)
    waiting = [record(number) for number in range(10)]
    for _ in range(100):
        report = made.invalidator.apply(waiting, SOURCE)
        failed = [at for at, each in enumerate(report.outcomes) if each.outcome is Outcome.FAILED]
        assert all(isinstance(report.outcomes[at].error, OverLimitError) for at in failed)
        waiting = [waiting[at] for at in failed]
        clock.advance(0.5)
        if not waiting:
            break
    assert waiting == []
    assert tags(provider) == {"airline:UA", *(f"flight:f{number}" for number in range(10))}


def test_what_is_above_the_limit_is_put_off_where_it_can_be_kept() -> None:
    """With a deferrer the record counts once that has it, and what was put off is put off again until it may fall."""
    clock = ManualClock()
    provider = MemoryProvider("flights", clock=clock)
    deferrer = MemoryDeferrer(clock=clock)
    made = pipeline(clock, provider, deferrer=deferrer)
    report = made.invalidator.apply([record(number) for number in range(10)], SOURCE)
    assert report.failure() is None
    assert len(tags(provider)) < 11
    while len(deferrer):
        clock.advance(0.25)
        assert made.due.apply(deferrer.due(), DUE).failure() is None
    assert tags(provider) == {"airline:UA", *(f"flight:f{number}" for number in range(10))}


class Slow(MemoryProvider):
    """A cache that takes its time."""

    clock: ManualClock

    def invalidate(self, invalidations: Any) -> Any:
        """Take a second and a half."""
        self.clock.advance(1.5)
        return super().invalidate(invalidations)


def test_a_slow_cache_gets_a_part_of_the_batch() -> None:
    """What is not begun within the budget stays in its source; every batch gets on, so everything is applied."""
    clock = ManualClock()
    provider = Slow("flights", clock=clock)
    provider.clock = clock
    made = pipeline(clock, provider)
    made.invalidator._aftermath._limit = None
    made.invalidator._chunk = 3
    waiting = [record(number) for number in range(20)]
    rounds = 0
    while waiting:
        report = made.invalidator.apply(waiting, SOURCE)
        failed = [at for at, each in enumerate(report.outcomes) if each.outcome is Outcome.FAILED]
        assert all(isinstance(report.outcomes[at].error, SlowCacheError) for at in failed)
        assert len(failed) < len(waiting)
        waiting, rounds = [waiting[at] for at in failed], rounds + 1
    assert (rounds, len(tags(provider))) == (4, 21)
