"""What fell softly falls hard later, spread over time, and for sure."""

from __future__ import annotations

import pytest

from staleproof import Cache, Policy
from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError
from staleproof.providers.memory import MemoryProvider
from staleproof_pipeline import bootstrap
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.deferral import DUE, MemoryDeferrer
from staleproof_pipeline.providers import Providers
from staleproof_pipeline.rules import loader
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from staleproof_pipeline.translation import Translator
from tests.unit.change_records import record

RULES = """
version: 1
rules:
  - {name: soft, when: {table: Flights}, tags: ["flight:{keys.flight_id}"], soft: true, harden: 4m}
"""


def delays(count: int) -> list[int]:
    translator = Translator(loader.loads(RULES), "eu-west-1", "flights")
    found = [translator.translate(record(number), SOURCE) for number in range(count)]
    assert all(each.invalidations[0].soft for each in found)
    later = [item for each in found for item in each.follow_ups.deferred]
    assert not any(item.invalidation.soft for item in later)
    return [item.delay_ms for item in later]


def test_hard_edges_are_spread_and_always_the_same() -> None:
    """Each change's is at its own time, never too early, at most a quarter later; a repeated delivery changes none."""
    found = delays(400)
    assert found == delays(400)
    assert 240_000 <= min(found) < 250_000
    assert 290_000 < max(found) <= 300_000
    counted = [sum(at <= each < at + 6_000 for each in found) for at in range(240_000, 300_000, 6_000)]
    assert max(counted) < 80  # 40 in each tenth, were they even


def test_nothing_stale_is_served_after_the_hard_edge() -> None:
    """A reader who comes for the first time after it loads; one who came before was served, and refilled."""
    clock = ManualClock(wall=1_700_000_000.0)
    provider = MemoryProvider("flights", clock=clock)
    deferrer = MemoryDeferrer(clock=clock)
    settings = Settings(cache_url="memory://", namespace="flights", region="eu-west-1", rules_text=RULES)
    pipeline = bootstrap.pipeline(
        settings,
        providers=Providers(lambda _: provider),
        dead_letters=MemoryDeadLetters(),
        links=[],
        deferrer=deferrer,
        clock=clock,
    )
    policy = Policy(ttl="1h", stale_while_revalidate="1h")
    with Cache(provider, policy=policy, region="eu-west-1", clock=clock) as cache:
        rows = iter(["old", "new"])

        def read() -> str:
            return cache.get_or_load("f1", lambda: next(rows), tags=["flight:f1"])

        assert read() == "old"
        assert pipeline.invalidator.apply([record(1)], SOURCE).failure() is None
        clock.advance(300.1)
        assert pipeline.due.apply(deferrer.due(), DUE).failure() is None
        assert (read(), len(deferrer)) == ("new", 0)


@pytest.mark.parametrize(
    ("effects", "told"),
    [("harden: 4m", "add soft: true"), ("soft: true, coalesce: 2s, harden: 4m", "give one of both")],
)
def test_effects_at_odds_are_told(effects: str, told: str) -> None:
    """`harden` is for what falls softly, once a change."""
    with pytest.raises(ConfigurationError, match=told):
        loader.loads(RULES.replace("soft: true, harden: 4m", effects))


def test_a_rule_that_hardens_needs_somebody_to_keep_it() -> None:
    """Without a place for what is put off, the rules are refused at the start."""
    assert loader.loads(RULES).needs_deferral == ["soft"]
    settings = Settings(
        cache_url="memory://",
        namespace="flights",
        region="eu-west-1",
        rules_text=RULES,
        dead_letter_queue_url="https://queue",
    )
    with pytest.raises(ConfigurationError, match="STALEPROOF_DEFERRAL_SET"):
        bootstrap.pipeline(settings)
