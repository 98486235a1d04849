"""Policies and durations: written as people write them, refused with the fix, never changed in place."""

from __future__ import annotations

from typing import Any

import pytest

from staleproof import Cache, ConfigurationError, Policy
from staleproof.config import Settings
from staleproof.policies.duration import seconds


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
    ],
)
def test_durations_are_read(written: Any, expected: float) -> None:
    """Numbers are seconds; texts carry their units."""
    assert seconds(written, "ttl") == pytest.approx(expected)


@pytest.mark.parametrize(
    "written", ["", "10", "m", "10 minutes", "-1s", -1, float("nan"), float("inf"), True, None, "1s!"]
)
def test_anything_else_is_refused_by_name(written: Any) -> None:
    """The message names the field and shows what to write."""
    with pytest.raises(ConfigurationError, match=r"ttl=.*1h30m"):
        seconds(written, "ttl")


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


ENVIRON = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop"}


def test_a_cache_comes_from_the_environment() -> None:
    """Every variable arrives where it belongs."""
    environ = {**ENVIRON, "STALEPROOF_TTL": "1h", "STALEPROOF_STALENESS": "0", "AWS_REGION": "eu-west-1"}
    cache = Cache.from_env(environ)
    assert (cache.namespace, cache.core.region) == ("shop", "eu-west-1")
    assert cache.core.policy == Policy(ttl=3_600, staleness=0)
    assert Settings.from_env({**ENVIRON, "STALEPROOF_TTL": "none"}).policy == Policy(ttl=None)
    assert Settings.from_env({**ENVIRON, "STALEPROOF_TIMEOUT": "0.5"}).timeout == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"STALEPROOF_CACHE_URL": ""}, "STALEPROOF_CACHE_URL is not set; set it"),
        ({"STALEPROOF_NAMESPACE": ""}, "STALEPROOF_NAMESPACE is not set"),
        ({"STALEPROOF_NAMESPACE": "a b"}, "namespace 'a b' must be"),
        (
            {"STALEPROOF_CACHE_URL": "http://secret@x"},
            "STALEPROOF_CACHE_URL has the scheme 'http'; use one of",
        ),
        ({"STALEPROOF_TTL": "soon"}, "STALEPROOF_TTL='soon' is no duration"),
        ({"STALEPROOF_TTL": "0"}, "under a millisecond"),
        ({"STALEPROOF_STALENESS": "-1"}, "STALEPROOF_STALENESS=-1.0 is no duration"),
    ],
)
def test_a_wrong_variable_is_named(wrong: dict[str, str], message: str) -> None:
    """Which one, what it is, what to write; and never the credentials in it."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        Cache.from_env({**ENVIRON, **wrong})
    assert "secret" not in str(caught.value)
