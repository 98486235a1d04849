"""Laws of stale values: while one reader loads, when the loader fails, after soft invalidation; and of loads ahead."""

from __future__ import annotations

import logging
from math import exp, log
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import ConfigurationError, Policy
from staleproof.policies.expiration import is_due
from tests.unit.flight_stand import Caller, Gate
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["portal", "stand"]

TICK = 0.001
FAILURE = LookupError("from the application")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures in the background are logged; here they are expected."""
    logger = logging.getLogger("staleproof")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


def outdated(it: Stand, *, soft: bool, after: float = 0.0) -> None:
    """Store 1, and make it stale *after* so many seconds: by time, or by a soft invalidation."""
    it.read()
    it.source.value = 2
    if soft:
        it.cache.invalidate("t", soft=True)
    else:
        it.clock.advance(it.core.policy.ttl)
    it.clock.advance(after)


SOFT = pytest.mark.parametrize("soft", [False, True], ids=["over", "invalidated softly"])

# --- stale_while_revalidate -------------------------------------------------------------------------


@SOFT
def test_a_stale_value_is_served_at_once_while_one_load_goes_on(
    stand: Callable[..., Stand], soft: bool
) -> None:
    """Nobody waits: every reader has the old value until the new one is there, and it is loaded once."""
    it = stand(ttl=10, stale_while_revalidate=5)
    outdated(it, soft=soft, after=1)
    gate = Gate(lambda _: 2)
    assert [it.read(gate) for _ in range(5)] == [1] * 5
    gate.wait_entered()
    assert it.read(gate) == 1
    gate.open()
    it.settle()
    assert it.read(gate) == 2
    assert gate.calls == 1
    assert it.statistics.refreshes == 1
    assert dict(it.statistics.stale_served) == {"revalidating": 6}


@SOFT
def test_past_its_window_a_value_is_not_served(stand: Callable[..., Stand], soft: bool) -> None:
    """Readers wait for the new one then."""
    it = stand(ttl=10, stale_while_revalidate=5)
    outdated(it, soft=soft, after=5 + TICK)
    assert it.read() == 2
    assert it.statistics.stale == 0


def test_without_a_window_nothing_stale_is_served(stand: Callable[..., Stand]) -> None:
    """Not for a millisecond; another window is no window for this."""
    for fields in ({}, {"stale_if_error": 60}):
        it = stand(ttl=10, **fields)
        outdated(it, soft=False)
        assert it.read() == 2
        it.cache.invalidate("t", soft=True)
        it.source.value = 3
        assert it.read() == 3
        assert it.statistics.stale == 0


@pytest.mark.parametrize("how", ["tag", "key", "clear", "soft, then hard"])
def test_nothing_is_served_after_a_hard_invalidation(stand: Callable[..., Stand], how: str) -> None:
    """Whatever the windows: what is wrong is not served for a moment."""
    it = stand(ttl=10, stale_while_revalidate=60, stale_if_error=60)
    it.read()
    it.source.value = 2
    if how == "soft, then hard":
        it.cache.invalidate("t", soft=True)
    if how == "key":
        it.cache.evict("k")
    elif how == "clear":
        it.cache.clear()
    else:
        it.cache.invalidate("t")
    assert it.read() == 2
    assert it.statistics.stale == 0


@SOFT
def test_no_load_is_built_on_a_stale_value(stand: Callable[..., Stand], soft: bool) -> None:
    """A cached function inside a loader gets the fresh value, for what the outer one keeps lives on."""
    it = stand(ttl=10, stale_while_revalidate=60, stale_if_error=60)
    outdated(it, soft=soft)
    assert it.read(lambda: it.read() + 10, key="outer") == 12
    assert it.read() == 2


def test_another_process_loads_it_then(stand: Callable[..., Stand]) -> None:
    """Whose lease is taken serves the stale value, and loads nothing."""
    it = stand(ttl=10, stale_while_revalidate=5)
    outdated(it, soft=False)
    it.take_lease()
    assert it.read() == 1
    it.settle()
    assert it.read() == 1
    it.settle()
    assert it.source.calls == 1


@SOFT
def test_a_load_that_fails_in_the_background_is_left_alone_for_a_while(
    stand: Callable[..., Stand], soft: bool
) -> None:
    """For `retry_after` the stale value is served and nothing is loaded; then one reader tries again."""
    it = stand(ttl=10, stale_while_revalidate=60, retry_after=5)
    outdated(it, soft=soft)
    it.source.failure = FAILURE
    for _ in range(5):
        assert it.read() == 1
        it.settle()
    assert it.source.calls == 2
    it.clock.advance(5)
    assert it.read() == 1
    it.settle()
    assert it.source.calls == 3
    it.source.failure = None
    it.clock.advance(5)
    assert it.read() == 1
    it.settle()
    assert it.read() == 2
    assert it.statistics.refresh_failures == 2


def test_without_a_background_one_reader_loads_it_himself(
    stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a Lambda function nothing runs after the return: one reader waits, the others have the stale value."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "handler")
    it = stand(ttl=10, stale_while_revalidate=5)
    outdated(it, soft=False, after=1)
    gate = Gate(lambda _: 2)
    first = Caller(lambda: it.read(gate))
    gate.wait_entered()
    assert it.read(gate) == 1
    gate.open()
    assert first.result() == 2
    assert it.read(gate) == 2
    assert gate.calls == 1


def test_without_a_background_a_failure_serves_the_stale_value(
    stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader who loads has a value to fall back on, and the loader rests."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "handler")
    it = stand(ttl=10, stale_while_revalidate=60, retry_after=5)
    outdated(it, soft=False)
    it.source.failure = FAILURE
    assert [it.read() for _ in range(3)] == [1] * 3
    assert it.source.calls == 2
    assert dict(it.statistics.stale_served) == {"revalidating": 1, "resting": 2}


# --- stale_if_error ---------------------------------------------------------------------------------


@SOFT
def test_a_stale_value_stands_in_for_a_loader_that_fails(stand: Callable[..., Stand], soft: bool) -> None:
    """Within the window the old value is served instead; and a loader that works is never passed over."""
    it = stand(ttl=10, stale_if_error=60, retry_after=0)
    outdated(it, soft=soft, after=59)
    it.source.failure = FAILURE
    assert it.read() == 1
    assert dict(it.statistics.stale_served) == {"error": 1}
    it.source.failure = None
    assert it.read() == 2


@SOFT
def test_past_its_window_a_failure_is_raised(stand: Callable[..., Stand], soft: bool) -> None:
    """The loader's own exception, as if nothing were stored."""
    it = stand(ttl=10, stale_if_error=60)
    outdated(it, soft=soft, after=60 + TICK)
    it.source.failure = FAILURE
    with pytest.raises(LookupError) as raised:
        it.read()
    assert raised.value is FAILURE


def test_a_failure_is_raised_after_a_hard_invalidation(stand: Callable[..., Stand]) -> None:
    """A value that is wrong stands in for nothing."""
    it = stand(ttl=10, stale_if_error=60)
    it.read()
    it.cache.invalidate("t")
    it.source.failure = FAILURE
    with pytest.raises(LookupError):
        it.read()


def test_a_failure_is_raised_inside_a_load(stand: Callable[..., Stand]) -> None:
    """The outer value would keep the stale inner one."""
    it = stand(ttl=10, stale_if_error=60)
    outdated(it, soft=False)
    it.source.failure = FAILURE
    with pytest.raises(LookupError):
        it.read(it.read, key="outer")


def test_a_loader_that_failed_rests(stand: Callable[..., Stand]) -> None:
    """For `retry_after` it is not called, by anybody who has a stale value."""
    it = stand(ttl=10, stale_if_error=60, retry_after=5)
    outdated(it, soft=False)
    it.source.failure = FAILURE
    for _ in range(4):
        assert it.read() == 1
        it.clock.advance(1)
    assert it.source.calls == 2
    it.source.failure = None
    it.clock.advance(1)
    assert it.read() == 2
    assert dict(it.statistics.stale_served) == {"error": 1, "resting": 3}


def test_an_error_of_the_code_is_not_hidden(stand: Callable[..., Stand]) -> None:
    """A `ConfigurationError` is raised although there is a stale value: nobody would ever hear of it."""
    it = stand(ttl=10, stale_if_error=60)
    outdated(it, soft=False)
    it.source.failure = ConfigurationError("wrong")
    with pytest.raises(ConfigurationError):
        it.read()


@pytest.mark.parametrize(("revalidate", "error"), [(5, 60), (60, 5)])
def test_the_two_windows_are_apart(stand: Callable[..., Stand], revalidate: float, error: float) -> None:
    """Within the first nobody waits; within the second alone readers wait, and have the old value if that fails."""
    it = stand(ttl=10, stale_while_revalidate=revalidate, stale_if_error=error, retry_after=0)
    outdated(it, soft=False, after=6)
    it.source.failure = FAILURE
    assert it.read() == 1
    it.settle()
    assert list(it.statistics.stale_served) == ["error" if revalidate < error else "revalidating"]


def test_soft_invalidations_in_a_row_are_remembered_up_to_three(stand: Callable[..., Stand]) -> None:
    """What was loaded before the fourth last is gone."""
    it = stand(ttl=None, stale_if_error=60, retry_after=0)
    it.read()
    it.source.failure = FAILURE
    for _ in range(3):
        it.cache.invalidate("t", soft=True)
        assert it.read() == 1
    it.cache.invalidate("t", soft=True)
    with pytest.raises(LookupError):
        it.read()


@pytest.mark.parametrize("staleness", [0, 5])
def test_near_copies_of_what_was_invalidated_softly_go(stand: Callable[..., Stand], staleness: float) -> None:
    """A near cache knows no stale value: its readers ask the server, which has it."""
    it = stand(ttl=60, stale_while_revalidate=30, staleness=staleness)
    it.read()
    it.source.value = 2
    it.cache.evict("k", soft=True)
    assert it.read() == 1
    it.settle()
    assert it.read() == 2
    assert dict(it.statistics.stale_served) == {"revalidating": 1}


# --- loads ahead ------------------------------------------------------------------------------------


def test_a_value_is_loaded_anew_before_its_end(stand: Callable[..., Stand]) -> None:
    """Once `refresh_ahead` of its life has passed the next reader has the old value, and one load goes on."""
    it = stand(ttl=100, refresh_ahead=0.8)
    it.read()
    it.source.value = 2
    it.clock.advance(80 - TICK)
    assert it.read() == 1
    it.settle()
    assert it.source.calls == 1
    it.clock.advance(TICK)
    gate = Gate(lambda _: 2)
    assert [it.read(gate) for _ in range(5)] == [1] * 5
    gate.wait_entered()
    gate.open()
    it.settle()
    assert it.read(gate) == 2
    assert gate.calls == 1
    it.clock.advance(99)
    assert it.read(gate) == 2
    assert it.statistics.stale == 0


def test_a_load_ahead_that_fails_costs_nobody_anything(stand: Callable[..., Stand]) -> None:
    """The value is fresh still; the loader rests, and is tried again until the end."""
    it = stand(ttl=100, refresh_ahead=0.8, retry_after=5)
    it.read()
    it.source.failure = FAILURE
    it.clock.advance(80)
    for _ in range(10):
        assert it.read() == 1
        it.settle()
        it.clock.advance(1)
    assert it.source.calls == 3
    it.clock.advance(10)
    with pytest.raises(LookupError):
        it.read()


def test_no_load_ahead_brings_back_what_was_invalidated(stand: Callable[..., Stand]) -> None:
    """Invalidated while it is loaded ahead, the value that comes is not stored."""
    it = stand(ttl=100, refresh_ahead=0.8)
    it.read()
    it.clock.advance(80)
    gate = Gate(lambda _: "too old")
    assert it.read(gate) == 1
    gate.wait_entered()
    it.cache.invalidate("t")
    gate.open()
    it.settle()
    it.source.value = 2
    assert it.read() == 2


def test_a_probabilistic_load_ahead_depends_on_cost_and_draw(stand: Callable[..., Stand]) -> None:
    """With a draw near 1 a value lives to its end; with a small one, and a costly load, it is loaded ahead."""
    it = stand(ttl=100, xfetch=1.0)
    it.source.takes = 2.0
    it.core.draw = lambda: 0.999
    it.read()
    it.clock.advance(90)
    it.read()
    it.settle()
    assert it.source.calls == 1
    it.core.draw = lambda: exp(-5)  # 5 times the cost ahead: at 90 s of 100
    it.read()
    it.settle()
    assert it.source.calls == 2


@given(
    left=st.integers(1, 1_000),
    cost=st.integers(0, 200),
    beta=st.floats(0.1, 5),
    draw=st.floats(1e-9, 1, exclude_max=True),
)
def test_the_sooner_the_more_a_load_costs(left: int, cost: int, beta: float, draw: float) -> None:
    """Due ahead for one cost, a value is due ahead for any higher one, and for any smaller draw."""
    policy = Policy(ttl=1, xfetch=beta)

    def due(cost: int, draw: float) -> bool:
        return is_due(policy, 0, 1_000, cost * 1_000, 1_000 - left, draw)

    if due(cost, draw):
        assert due(cost + 10, draw)
        assert due(cost, draw / 2)
    assert not due(0, draw) or left <= 0


def test_loads_ahead_come_with_the_probability_of_the_paper() -> None:
    """At a time before the end, a reader loads with probability exp(-time / (cost x beta))."""
    draws = Random(5)
    for left, cost, beta in [(100, 50, 1.0), (100, 100, 1.0), (100, 50, 2.0), (10, 50, 1.0), (200, 20, 1.5)]:
        policy, tries = Policy(ttl=1, xfetch=beta), 20_000
        due = sum(is_due(policy, 0, 1_000, cost * 1_000, 1_000 - left, draws.random()) for _ in range(tries))
        expected = exp(-left / (cost * beta))
        assert abs(due / tries - expected) < 4 * (expected * (1 - expected) / tries) ** 0.5


def test_entries_that_never_end_are_not_loaded_ahead() -> None:
    """A policy without a `ttl` has no time before the end; nor has a value without one."""
    each: list[dict[str, Any]] = [{"refresh_ahead": 0.5}, {"xfetch": 1.0}]
    for fields in each:
        with pytest.raises(ConfigurationError, match="need a ttl"):
            Policy(ttl=None, **fields)
        assert not is_due(Policy(**fields), 0, 0, 10**6, 10**12, 1e-9)


def test_loads_ahead_in_a_load_serve_the_outer_one(stand: Callable[..., Stand]) -> None:
    """A value that is fresh still may be built upon, while it is loaded anew."""
    it = stand(ttl=100, refresh_ahead=0.5)
    it.read()
    it.source.value = 2
    it.clock.advance(60)
    value: Any = it.read(lambda: it.read() + 10, key="outer")
    it.settle()
    assert value == 11
    assert it.read() == 2


@pytest.mark.parametrize("staleness", [0, 5, 1_000])
def test_near_copies_hide_no_load_ahead(stand: Callable[..., Stand], staleness: float) -> None:
    """A copy in the process ends when the value is due: its next reader asks the server, and sets the load going."""
    it = stand(ttl=100, refresh_ahead=0.8, staleness=staleness)
    it.read()
    it.read()
    it.source.value = 2
    it.clock.advance(79)
    assert it.read() == 1
    it.settle()
    assert it.source.calls == 1
    it.clock.advance(1)
    assert it.read() == 1
    it.settle()
    assert it.source.calls == 2
    assert it.read() == 2


@pytest.mark.parametrize("staleness", [0, 1_000])
def test_near_copies_hide_no_probabilistic_load_ahead(stand: Callable[..., Stand], staleness: float) -> None:
    """A copy stands in until one of twenty readers would load; from then on each of them is asked."""
    it = stand(ttl=100, xfetch=1.0, staleness=staleness)
    it.source.takes = 2.0
    it.core.draw = lambda: 0.04
    it.read()
    it.clock.advance(98 - 2.0 * log(20) - TICK)
    it.read()
    it.settle()
    assert it.source.calls == 1
    it.clock.advance(2 * TICK)
    it.read()
    it.settle()
    assert it.source.calls == 2
