"""What the contract of a whole cache has found once, told as small as it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof import MISSING, Cache, Policy
from staleproof.cache.patience import Patience
from staleproof.policies.expiration import EARLY, due_from_ms, is_due
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import Chaos, ChaosProvider, ManualClock
from staleproof.testing.examples import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable


def test_namespaces_have_keys_of_their_own() -> None:
    """A loader may read the same key from another namespace, and that value is stored."""
    views, rows = Cache(MemoryProvider("views")), Cache(MemoryProvider("rows"))
    loads: list[int] = []

    def row() -> int:
        loads.append(1)
        return len(loads)

    assert views.get_or_load("user:1", lambda: rows.get_or_load("user:1", row)) == 1
    assert rows.get_or_load("user:1", row) == 1
    assert not rows.statistics.unstored


def test_another_question_about_the_key_being_loaded_waits_for_nobody() -> None:
    """The key's lease is held by the very load that asks: what is loaded inside is served, unstored."""
    cache = Cache(MemoryProvider("shop"), clock=ManualClock(), policy=Policy(patience="1h"))
    assert cache.get_or_load("key", lambda: cache.get_or_load("key", lambda: 1, tags=["t"])) == 1
    assert cache.get_many(["key"]) == {"key": 1}
    assert cache.statistics.unstored == {"recursion": 1}
    assert cache.get("key", tags=["t"]) is MISSING


@pytest.mark.parametrize("ahead", [{"refresh_ahead": 0.5}, {"xfetch": 1.0}])
def test_near_copies_do_not_hide_that_a_refresh_is_due(ahead: dict[str, float]) -> None:
    """A near copy ends when the entry may be due: a read then gets the second look that begins the refresh."""
    clock = ManualClock()
    policy = Policy(ttl=100, staleness=60, **ahead)  # type: ignore[arg-type]
    cache = Cache(MemoryProvider("shop", clock=clock), clock=clock, policy=policy, background=False)
    loads: list[int] = []

    def load() -> int:
        clock.advance(5)
        loads.append(1)
        return len(loads)

    cache.core.draw = lambda: 0.001
    assert [cache.get_or_load("key", load) for _ in range(2)] == [1, 1]
    assert cache.statistics.near_hits == 1
    clock.advance(82)
    assert cache.get_or_load("key", load) == 2


def test_a_moment_from_which_an_entry_may_be_due() -> None:
    """Before it, `is_due` says no, or seldom; an entry that never ends is never due."""
    ahead, random = Policy(ttl=100, refresh_ahead=0.9), Policy(ttl=100, xfetch=2.0)
    assert due_from_ms(ahead, 1_000, 101_000, 0) == 91_000
    assert not is_due(ahead, 1_000, 101_000, 0, 90_999, 0.0)
    due = due_from_ms(random, 1_000, 101_000, 1_000_000)
    assert 90_000 < due < 100_000
    assert not is_due(random, 1_000, 101_000, 1_000_000, due - 1, 1 / EARLY)
    assert due_from_ms(random, 1_000, 101_000, 10**9) == 1_000
    assert due_from_ms(ahead, 1_000, 0, 0) == 0
    assert due_from_ms(Policy(), 1_000, 2_000, 10**9) == 2_000


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead of its end", "over"])
def test_what_another_has_just_renewed_is_not_loaded_again(ahead: bool) -> None:
    """Of two who saw that a value is to be loaded anew, the second takes what the first stored."""
    clock = ManualClock()
    server = MemoryProvider("shop", clock=clock)
    loads: list[str] = []
    meanwhile: list[Callable[[], object]] = []

    def between(method: str) -> None:
        if method == "begin" and meanwhile:
            meanwhile.pop()()

    def load() -> int:
        loads.append("")
        return len(loads)

    def read(cache: Cache) -> int:
        return cache.get_or_load("key", load)

    policy = Policy(ttl=10, refresh_ahead=0.5) if ahead else Policy(ttl=10, stale_while_revalidate=10)
    options: dict[str, Any] = {"policy": policy, "clock": clock, "background": False}
    here = Cache(ChaosProvider(server, Chaos(1), between=between), **options)
    there = Cache(server, **options)
    assert read(here) == 1
    clock.advance(6 if ahead else 11)
    meanwhile.append(lambda: read(there))
    read(here)
    assert len(loads) == 2
    assert read(here) == 2


def test_whoever_holds_a_keys_lease_reads_past_the_tier() -> None:
    """What another stored under the lease before us is not journalled yet: a change must see it all the same."""
    server = MemoryProvider("shop")
    tier, other = TieredProvider(server), Cache(server)
    Cache(tier).put("key", "old")
    assert Cache(tier).get("key") == "old"
    seen: list[str] = []
    before = server.read("key", [])[0]
    other.update("key", lambda _: "new")
    after = server.read("key", [])[0]
    server.put("key", before or b"", MINUTE)
    assert Cache(tier).get("key") == "old"  # near again, in step with the journal
    server.put("key", after or b"", MINUTE)  # as it is between a store and its record

    def change(value: str) -> str:
        seen.append(value)
        return f"{value}er"

    Cache(tier).update("key", change)
    assert (seen, other.get("key")) == (["new"], "newer")


def test_patience_ends_though_the_clock_stands_still() -> None:
    """Whoever waits for a dead loader under a test's clock goes on after as many real seconds."""
    patience = Patience(0.01, ManualClock())
    pauses = 0
    while not patience.is_over():
        patience.pause()
        pauses += 1
    assert 1 <= pauses < 100
