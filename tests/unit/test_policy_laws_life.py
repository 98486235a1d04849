"""Laws of how long a value lives: ttl, idle, jitter, negative_ttl, ttl_from; on both faces."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import ConfigurationError, Policy, loading
from staleproof.policies.expiration import kept_ms, life_ms
from staleproof.policies.policy import IDLE_SLACK, TAG_MARGIN_MS
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["portal", "stand"]

TICK = 0.001

NEAR = pytest.mark.parametrize("staleness", [None, 0, 1], ids=["no copies", "strict", "bounded"])
WINDOWS = pytest.mark.parametrize("window", [0, 60], ids=["gone at its end", "outlives its end"])


def age(it: Stand, key: str = "k") -> float:
    """Return for how long the server keeps *key* from now on, to a hundredth of a second."""
    started = it.clock.now()
    kept = 0.0
    while it.entry(key) is not None and kept < 1_000:
        it.clock.advance(0.01)
        kept = it.clock.now().elapsed(started)
    return kept


# --- ttl --------------------------------------------------------------------------------------------


@NEAR
@WINDOWS
@pytest.mark.parametrize("ttl", [0.001, 3, "1h"])
def test_a_value_lives_for_its_ttl(
    stand: Callable[..., Stand], ttl: Any, staleness: Any, window: float
) -> None:
    """Fresh until its end, and loaded anew from then on, whether the server still has it or not."""
    it = stand(ttl=ttl, staleness=staleness, stale_if_error=window)
    life = it.core.policy.ttl
    it.read()
    it.clock.advance(life - TICK / 2)
    it.read()
    assert it.source.calls == 1
    it.clock.advance(TICK)
    it.read()
    assert it.source.calls == 2


@NEAR
def test_without_a_ttl_a_value_lives_until_it_is_invalidated(
    stand: Callable[..., Stand], staleness: Any
) -> None:
    """`ttl=None` keeps it for ever, its tags' versions too."""
    it = stand(ttl=None, staleness=staleness)
    it.read()
    it.clock.advance(10 * 365 * 86_400)
    it.read()
    assert it.source.calls == 1
    it.cache.invalidate("t")
    it.read()
    assert it.source.calls == 2


# --- idle -------------------------------------------------------------------------------------------


@NEAR
@pytest.mark.parametrize("ttl", [None, "1d"])
def test_an_entry_that_is_read_often_enough_never_idles_away(
    stand: Callable[..., Stand], ttl: Any, staleness: Any
) -> None:
    """Whatever the gaps between reads, as long as each is shorter than `idle`; near copies or not."""
    it = stand(ttl=ttl, idle=8, staleness=staleness)
    gaps = Random(7)
    it.read()
    for _ in range(300):
        it.clock.advance(gaps.choice([0.1, 1.9, 2.1, 3.9, 7.99]))
        it.read()
    assert it.source.calls == 1


@NEAR
def test_near_copies_let_no_entry_idle_away(stand: Callable[..., Stand], staleness: Any) -> None:
    """Not even if they were cleared just before the server's entry was to be prolonged again."""
    it = stand(ttl=None, idle=8, staleness=staleness)
    it.read()
    it.read()
    for _ in range(20):
        it.clock.advance(1.99)
        it.core.near.reset()
        for _ in range(40):
            it.read()
            it.clock.advance(0.2)
    assert it.source.calls == 1


@pytest.mark.parametrize("gap", [0.1, 0.9, 1.99, 2, 2.01, 3.7, 7.9])
def test_an_entry_that_nobody_reads_goes_between_idle_and_a_quarter_more(
    stand: Callable[..., Stand], gap: float
) -> None:
    """From its last read on it stays for `idle`, and is gone a quarter of that later."""
    it = stand(ttl=None, idle=8)
    it.read()
    for _ in range(25):
        it.clock.advance(gap)
        it.read()
    assert it.source.calls == 1
    assert 8 - 0.02 <= age(it) <= 8 * IDLE_SLACK + 0.02


def test_reads_prolong_no_life_beyond_its_ttl(stand: Callable[..., Stand]) -> None:
    """However often it is read, an idle entry ends with its `ttl`."""
    it = stand(ttl=20, idle=8)
    it.read()
    for _ in range(19):
        it.clock.advance(1)
        it.read()
    assert it.source.calls == 1
    it.clock.advance(1 + TICK)
    it.read()
    assert it.source.calls == 2
    it.clock.advance(19)
    assert it.entry() is None


def test_reads_prolong_an_entry_at_most_eight_times_an_idle(stand: Callable[..., Stand]) -> None:
    """A hot entry costs no write a read: it is prolonged every eighth of `idle`."""
    it = stand(ttl=None, idle=8)
    it.read()
    it.server.go(only={"expire"})
    for _ in range(80):
        it.clock.advance(0.1)
        it.read()
        it.core.touched.setdefault("k", it.clock.monotonic())  # a failed one is tried again at the next read
    assert it.server.refused <= 8


@given(idle=st.floats(0.001, 1_000), ttl=st.none() | st.floats(0.001, 1_000), left=st.floats(0, 1))
def test_an_idle_entry_is_kept_for_no_longer_than_either_bound(
    idle: float, ttl: float | None, left: float
) -> None:
    """The server keeps it for a quarter more than `idle`, or what is left of its life and window, if that is less."""
    policy = Policy(idle=idle, ttl=ttl, stale_if_error=5)
    life = 0 if policy.ttl_ms == 0 else max(1, round(policy.ttl_ms * left))
    kept = kept_ms(policy, life)
    assert 0 < kept <= max(1, round(idle * IDLE_SLACK * 1_000))
    assert not life or kept <= life + policy.window_ms


def test_a_prolonging_that_fails_is_no_failure_of_the_read(stand: Callable[..., Stand]) -> None:
    """A server that will not move an end still answers reads."""
    it = stand(ttl=None, idle=8)
    it.read()
    it.server.go(only={"expire"})
    it.clock.advance(3)
    assert it.read() == 1
    it.server.come()
    it.clock.advance(1)
    it.read()
    it.clock.advance(7.9)
    it.read()
    assert it.source.calls == 1


# --- lease ------------------------------------------------------------------------------------------


def test_a_load_that_takes_longer_than_its_lease_is_not_stored(stand: Callable[..., Stand]) -> None:
    """Its value is served; others may have taken over since."""
    it = stand(lease=5)
    it.source.takes = 5.001
    assert it.read() == 1
    assert it.entry() is None
    assert dict(it.statistics.unstored) == {"lease": 1}
    it.source.takes = 4.999
    it.read()
    assert it.entry() is not None


# --- jitter -----------------------------------------------------------------------------------------


@given(draw=st.floats(0, 1, exclude_max=True), jitter=st.floats(0, 0.999), ttl=st.floats(0.01, 10_000))
def test_jitter_shortens_and_never_lengthens(draw: float, jitter: float, ttl: float) -> None:
    """A life is between its whole and its whole less the share of jitter."""
    life = life_ms(Policy(ttl=ttl, jitter=jitter), "value", None, draw)
    assert max(1, ttl * (1 - jitter) * 1_000 - 1) <= life <= max(1, ttl * 1_000 + 1)


def test_a_crowd_of_entries_does_not_end_at_once(stand: Callable[..., Stand]) -> None:
    """Two hundred values stored together end over the whole share of jitter, evenly."""
    it = stand(ttl=100, jitter=0.3)
    it.core.draw = Random(11).random
    for number in range(200):
        it.read(key=str(number))
    lives = sorted(it.cache.ttl(str(number), tags=["t"]) for number in range(200))
    assert 70 <= lives[0] < 73
    assert 97 < lives[-1] <= 100
    assert all(sum(start <= life < start + 6 for life in lives) >= 35 for start in (70, 76, 82, 88))


# --- negative_ttl and ttl_from ----------------------------------------------------------------------


@NEAR
@pytest.mark.parametrize(("ttl", "negative", "expected"), [(60, 5, 5), (5, 60, 5), (None, 5, 5)])
def test_a_stored_none_has_a_life_of_its_own(
    stand: Callable[..., Stand], ttl: Any, negative: float, expected: float, staleness: Any
) -> None:
    """`None` is a value, kept for `negative_ttl` if that is shorter; other values are not concerned."""
    it = stand(ttl=ttl, negative_ttl=negative, staleness=staleness)
    it.source.value = None
    assert it.read() is None
    it.clock.advance(expected - TICK)
    assert it.read() is None
    assert it.source.calls == 1
    it.source.value = 2
    it.clock.advance(2 * TICK)
    assert it.read() == 2
    it.clock.advance((ttl or 1_000) - 1)
    assert it.read() == 2
    assert it.source.calls == 2


@NEAR
@pytest.mark.parametrize("how", ["ttl_from", "loading"])
@pytest.mark.parametrize("life", [2, 60, "1h", None])
def test_a_value_may_say_how_long_it_lives(
    stand: Callable[..., Stand], life: Any, staleness: Any, how: str
) -> None:
    """Shorter or longer than the policy's life, or None for that: by a function of the value, or by the loader."""
    it = stand(ttl=60, staleness=staleness, **({"ttl_from": lambda _: life} if how == "ttl_from" else {}))
    expected = {2: 2, 60: 60, "1h": 3_600, None: 60}[life]

    def load() -> Any:
        if how == "loading":
            loading().ttl = life
        return it.source()

    it.read(load)
    assert it.cache.ttl("k", tags=["t"]) == pytest.approx(expected, abs=TICK)
    it.clock.advance(expected - TICK)
    it.read(load)
    assert it.source.calls == 1
    it.clock.advance(2 * TICK)
    it.read(load)
    assert it.source.calls == 2


def test_versions_outlive_the_values_that_live_longest(stand: Callable[..., Stand]) -> None:
    """A value that outlives its policy is a hit and is invalidated by its tags, when others' versions have ended."""
    it = stand(ttl=10, lease=5, ttl_from=lambda _: "1h")
    it.read()
    it.clock.advance(10 + 5 + TAG_MARGIN_MS / 1_000 + 60)
    it.read()
    it.another(Policy(ttl=10)).read(key="other")  # stores under the same tags, for much less long
    it.clock.advance(1_800)
    it.read()
    assert it.source.calls == 1
    it.source.value = 2
    it.cache.invalidate("t")
    assert it.read() == 2


def test_a_longer_life_is_not_stored_under_versions_that_moved(stand: Callable[..., Stand]) -> None:
    """Prolonging its versions shows that one of them went meanwhile: the value is served, and not stored."""
    it = stand(ttl=10, ttl_from=lambda _: "1h")

    def load() -> Any:
        it.memory.invalidate([it.cache.invalidation(["t"])])
        return it.source()

    assert it.read(load) == 1
    assert dict(it.statistics.unstored) == {"tag": 1}
    assert it.entry() is None


@pytest.mark.parametrize("life", [-1, "soon", float("nan"), True])
def test_a_life_that_is_none_is_told(stand: Callable[..., Stand], life: Any) -> None:
    """A `ttl_from` that returns no duration is an error of the code, and leaves no lease."""
    it = stand(ttl_from=lambda _: life)
    with pytest.raises(ConfigurationError, match="ttl of a loaded value"):
        it.read()
    assert it.lease() is None


@pytest.mark.parametrize("fields", [{"ttl_from": lambda _: 50}, {"negative_ttl": 50}])
def test_jitter_shortens_those_lives_too(stand: Callable[..., Stand], fields: dict[str, Any]) -> None:
    """Whoever says how long, the share of jitter comes off."""
    it = stand(ttl=100, jitter=0.5, **fields)
    it.core.draw = lambda: 0.5
    it.source.value = None
    it.read()
    assert it.cache.ttl("k", tags=["t"]) == pytest.approx(37.5)
