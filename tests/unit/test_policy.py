"""Policies and durations: written as people write them, refused with the fix, never changed in place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from staleproof import Cache, ConfigurationError, Policy, bounded, loading
from staleproof.config import Settings
from staleproof.policies.breaker import Breaker
from staleproof.policies.duration import LONGEST, seconds
from staleproof.providers.memcached import MemcachedProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import ManualClock


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0, 0),
        (1.5, 1.5),
        ("250ms", 0.25),
        ("10m", 600),
        ("1h30m", 5_400),
        ("2d", 172_800),
        ("1.5s", 1.5),
        (" 3 s ", 3),
        (timedelta(minutes=10), 600),
        (timedelta(milliseconds=250), 0.25),
        (timedelta(), 0),
    ],
)
def test_durations_are_read(written: Any, expected: float) -> None:
    """Numbers are seconds; texts carry their units, and a timedelta is one."""
    assert seconds(written, "ttl") == pytest.approx(expected)


@pytest.mark.parametrize(
    "written",
    ["", "10", "m", "10 minutes", "-1s", -1, float("nan"), float("inf"), True, None, "1s!", timedelta(-1)],
)
def test_anything_else_is_refused_by_name(written: Any) -> None:
    """The message names the field and shows what to write."""
    with pytest.raises(ConfigurationError, match=r"ttl=.*1h30m"):
        seconds(written, "ttl")


def test_a_timedelta_is_taken_wherever_a_duration_is() -> None:
    """In policies, consistency, servers, tiers, breakers and settings, and by every operation."""
    minute, second = timedelta(minutes=1), timedelta(seconds=1)
    fields = [
        name for name, given in (Policy.__init__.__kwdefaults__ or {}).items() if isinstance(given, str)
    ]
    fields = [*fields, "negative_ttl", "stale_if_error", "soft_timeout", "min_cost"]
    durations: dict[str, Any] = {name: minute for name in fields if name != "fallback"}
    policy = Policy(**durations)
    assert {getattr(policy, name) for name in durations} == {60}
    assert Policy(consistency=bounded(second)) == Policy(staleness=1)
    assert policy.but(ttl=second).ttl == 1
    assert (
        Settings.from_env({}, cache_url="memory://", namespace="n", ttl=minute, timeout=second).policy.ttl
        == 60
    )

    provider = MemoryProvider("durations", clock=(clock := ManualClock()))
    TieredProvider(provider, staleness=second, life=minute)
    MemcachedProvider.from_url("memcached://127.0.0.1:1", namespace="n", timeout=second)
    Breaker(3, second).adopt(3, minute)
    cache = Cache(provider, policy=Policy(ttl_from=lambda _: minute), clock=clock)

    def load() -> int:
        loading().ttl = second
        return 1

    cache.get_or_load("own", load)
    cache.get_or_load("from", lambda: 1)
    assert (cache.ttl("own"), cache.ttl("from")) == (1, 60)
    assert cache.touch("own", minute)
    assert cache.ttl("own") == 60
    cache.invalidate("t", row_version=1, lag=second)


@pytest.mark.parametrize("written", [1e16, "36526d", 10**400])
def test_what_no_server_could_count_is_refused(written: Any) -> None:
    """A time to live is added to the time of day in 64 bits: beyond a century a server refuses every store."""
    with pytest.raises(ConfigurationError, match=r"ttl=.* more than 100 years; leave it out"):
        Policy(ttl=written)
    assert Policy(ttl="36525d").ttl == LONGEST


def test_a_policy_is_changed_by_making_another() -> None:
    """`but` leaves the original alone and refuses what a policy does not have."""
    hot = Policy(ttl="10m", staleness=1)
    cold = hot.but(ttl="1h")
    assert (hot.ttl, cold.ttl, cold.staleness) == (600, 3_600, 1)
    assert hot == Policy(ttl=600, staleness="1s") != cold
    assert len({hot, Policy(ttl=600, staleness=1), cold}) == 2
    with pytest.raises(AttributeError, match=r"write policy\.but\(ttl="):
        hot.ttl = 5
    with pytest.raises(ConfigurationError, match="has no tll; it has"):
        hot.but(tll=5)


@pytest.mark.parametrize("fields", [{"ttl": 0}, {"ttl": "0.5ms"}, {"lease": 0}])
def test_a_policy_that_could_keep_nothing_is_refused(fields: dict[str, Any]) -> None:
    """A time to live or a lease of nothing is a mistake, not a wish."""
    with pytest.raises(ConfigurationError, match="under a millisecond"):
        Policy(**fields)


def test_versions_outlive_entries() -> None:
    """However long an entry lives, its tags' versions live longer; for ever if it does."""
    for ttl in (0.001, 1, "10d"):
        policy = Policy(ttl=ttl)
        assert policy.tag_ttl_ms > policy.ttl_ms + policy.lease_ms
    assert (Policy(ttl=None).ttl_ms, Policy(ttl=None).tag_ttl_ms) == (0, 0)
