"""What holds whatever fails: processes over one server that loses replies, keys, stores and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof.testing import Faults
from staleproof.testing.blocking import Portal
from tests.contract.chaos_world import ROWS, Process, Scenario, World

if TYPE_CHECKING:
    from collections.abc import Iterator


def scenario_of(**chosen: Any) -> Scenario:
    return Scenario(**chosen)


def faults_of(**shares: float) -> Faults:
    return Faults(**shares)


rates = st.sampled_from([0.0, 0.02, 0.1, 0.25])
lives = st.sampled_from(
    [
        {"ttl": "10m"},
        {"ttl": "20s"},
        {"ttl": None},
        {"ttl": "20s", "refresh_ahead": 0.5},
        {"ttl": "20s", "xfetch": 2.0},
    ]
)
others = st.fixed_dictionaries(
    {
        "staleness": st.sampled_from([None, 0, 5]),
        "fallback": st.sampled_from(["load", "stale", "error"]),
        "stale_while_revalidate": st.sampled_from([0, 20]),
        "stale_if_error": st.sampled_from([0, 60]),
        "idle": st.sampled_from([None, 15]),
        "jitter": st.sampled_from([0.0, 0.3]),
    }
)
policies = st.builds(lambda life, other: {**life, **other}, lives, others)
common: dict[str, Any] = {
    "seed": st.integers(0, 2**32),
    "steps": st.integers(1, 80),
    "policy": policies,
    "meddling": rates,
    "failing": rates,
    "revealing": st.booleans(),
    "tier": st.sampled_from([None, 0, 5]),
}
calm = st.builds(scenario_of, **common)
chaotic = st.builds(
    scenario_of,
    faults=st.builds(faults_of, before=rates, after=rates, rejected=rates, lost=rates, delay=rates),
    partitions=st.sampled_from([0.0, 0.02]),
    evictions=rates,
    unreachable=st.sampled_from(["raise", "defer"]),
    **common,
)


def judge(scenario: Scenario, portal: Portal | None = None) -> None:
    """Run a scenario, whose reads are judged on the way, and judge what is left."""
    world = World(scenario, portal)
    world.run()
    assert world.under_way() == 0
    if scenario.is_calm:
        assert world.leases() == 0
    for process in world.processes:
        adds_up(process)
    with world.healed():
        assert world.leases() == 0
        converges(world)
    for process in world.processes:
        adds_up(process)


def adds_up(process: Process) -> None:
    """Every read is counted once, and so is what became of every value that was loaded or put."""
    counted = process.face.statistics
    assert process.reads == counted.reads
    assert counted.loaded + counted.puts == counted.stored + sum(counted.unstored.values())
    assert counted.stale == sum(counted.stale_served.values())
    assert counted.refresh_failures <= counted.load_failures


def converges(world: World) -> None:
    """Once nothing fails, everybody reads what the source says, and what one loads the others find."""
    first, *others = world.processes
    first.cache.clear()
    world.clock.advance(60)  # whoever may lag has caught up
    for process in world.processes:
        for name in ROWS:
            assert world.row(process, name) == world.source[name]
        assert world.page(process) == world.source["a"]
    before = [process.face.statistics.loads for process in others]
    for process in others:
        world.row(process, "a")
    assert [process.face.statistics.loads for process in others] == before


@given(calm)
@settings(max_examples=100)
def test_between_any_two_steps_others_may_do_anything(scenario: Scenario) -> None:
    """No read after an acknowledged invalidation returns what was before; no lease is left; all is counted once."""
    judge(scenario)


@given(chaotic)
@settings(max_examples=150)
def test_whatever_fails_no_read_is_older_than_it_may_be(scenario: Scenario) -> None:
    """The same under faults, for every fallback; no reader sees a fault but the loader's, unless he asked to."""
    judge(scenario)


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.shut()


@given(scenario=chaotic)
@settings(max_examples=40)
def test_the_same_holds_for_coroutines(portal: Portal, scenario: Scenario) -> None:
    """An asyncio cache keeps the same laws under the same faults."""
    judge(scenario, portal)


@pytest.mark.slow
@given(st.one_of(calm, chaotic))
@settings(max_examples=500)
def test_the_same_holds_for_long(scenario: Scenario) -> None:
    """Rare interleavings need many tries."""
    judge(scenario)
