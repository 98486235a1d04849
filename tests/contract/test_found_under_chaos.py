"""What chaos has found once, told as small as it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof import AsyncCache, Cache, Policy, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import (
    AsyncChaosProvider,
    BlockingCache,
    Chaos,
    ChaosProvider,
    Faults,
    ManualClock,
)
from staleproof.testing.blocking import Portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER, ALWAYS_REJECTED, ALWAYS_AWAY = Faults(), Faults(rejected=1), Faults(before=1)


class World:
    """Processes over one server; each has faults of its own."""

    def __init__(self, portal: Portal | None) -> None:
        self.portal = portal
        self.clock = ManualClock()
        self.server = MemoryProvider("found", clock=self.clock)

    def process(
        self,
        faults: dict[str, Faults] | None = None,
        *,
        tier: float | None = None,
        between: Callable[[str], object] | None = None,
        unreachable: Any = "raise",
        **policy: Any,
    ) -> Any:
        chaos = Chaos(1, {} if faults is None else faults)
        options: dict[str, Any] = {
            "policy": Policy(**{"patience": 0, **policy}),
            "clock": self.clock,
            "unreachable": unreachable,
            "background": False,
        }
        if self.portal is None:
            provider: Any = ChaosProvider(self.server, chaos, between=between)
            return Cache(
                provider if tier is None else TieredProvider(provider, staleness=tier, clock=self.clock),
                **options,
            )
        provider = AsyncChaosProvider(AsyncMemoryProvider(inner=self.server), chaos, between=between)
        if tier is not None:
            provider = AsyncTieredProvider(provider, staleness=tier, clock=self.clock)
        return BlockingCache(AsyncCache(provider, **options), self.portal)


@pytest.fixture(params=["blocking", "awaiting"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    portal = Portal() if request.param == "awaiting" else None
    yield World(portal)
    if portal is not None:
        portal.shut()


@pytest.mark.parametrize("tier", [None, 0, 5])
@pytest.mark.parametrize("staleness", [None, 0, 5])
def test_no_room_for_a_journal_costs_no_read(
    world: World, tier: float | None, staleness: float | None
) -> None:
    """A server out of memory that has no journal cannot begin one: copies are given up, reads go on."""
    rejected = dict.fromkeys(["journal_end", "begin", "begin_many", "store", "invalidate"], ALWAYS_REJECTED)
    cache = world.process(rejected, tier=tier, staleness=staleness)
    assert [cache.get_or_load("key", lambda: 1) for _ in range(2)] == [1, 1]
    assert cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 2)) == {"a": 2, "b": 2}


def test_refused_deferred_invalidations_cost_no_read(world: World) -> None:
    """While deferred invalidations are refused the server counts as away: nobody reads past them, and no read fails."""
    faults = {"invalidate": ALWAYS_AWAY}
    cache = world.process(faults, unreachable="defer")
    cache.get_or_load("key", lambda: "old")
    cache.evict("key")
    faults["invalidate"] = ALWAYS_REJECTED
    assert cache.get_or_load("key", lambda: "new") == "new"
    assert cache.statistics.fallbacks["load"] == 1
    faults["invalidate"] = NEVER
    world.clock.advance(60)
    assert cache.get_or_load("key", lambda: "newer") == "newer"


def test_a_deferred_invalidation_is_not_outrun_by_what_was_asked_before(world: World) -> None:
    """What another thread read before the invalidation was deferred does not settle near after it."""
    faults: dict[str, Faults] = {}
    source = {"key": "old"}

    def meanwhile(method: str) -> None:
        if method == "store" and source["key"] == "old":
            source["key"] = "new"
            faults["invalidate"] = ALWAYS_AWAY
            cache.evict("key")

    cache = world.process(faults, between=meanwhile, unreachable="defer", staleness=60)
    assert cache.get_or_load("key", lambda: source["key"]) == "old"
    assert cache.get_or_load("key", lambda: source["key"]) == "new"


def test_a_tier_is_no_older_than_what_it_told_of_the_journal(world: World) -> None:
    """A near cache over a tier that may lag must not keep, as of now, what the tier answered as of some time ago."""
    here, there = world.process(tier=5, staleness=0), world.process()
    source = dict.fromkeys(["a", "b"], "old")

    def load(keys: list[str]) -> dict[str, str]:
        return {key: source[key] for key in keys}

    here.get_or_load_many(["a"], load, tags=["all"])
    source["a"] = "new"
    there.invalidate("all")
    here.get_or_load_many(["a", "b"], load, tags=["all"])
    world.clock.advance(60)
    assert here.get_or_load_many(["a"], load, tags=["all"]) == {"a": "new"}


@pytest.mark.parametrize("error", [ProviderRejectedError, ProviderUnavailableError])
@pytest.mark.parametrize("many", [False, True])
def test_a_late_snapshot_that_fails_costs_no_answer(world: World, error: type[Exception], many: bool) -> None:
    """The server goes away between a load and the snapshot of the tags that the value named: the value is served."""
    failing = ALWAYS_REJECTED if error is ProviderRejectedError else ALWAYS_AWAY
    cache = world.process({"snapshot": failing})
    options: dict[str, Any] = {"tags_from": lambda _: ["tag"]}
    if many:
        assert cache.get_or_load_many(["key"], lambda keys: dict.fromkeys(keys, 1), **options) == {"key": 1}
    else:
        assert cache.get_or_load("key", lambda: 1, **options) == 1
    assert cache.statistics.unstored == {"provider": 1}


def test_an_idle_entry_that_cannot_be_prolonged_is_a_hit(world: World) -> None:
    """A server that takes no writes still answers reads."""
    cache = world.process({"expire": ALWAYS_REJECTED}, idle=10)
    cache.get_or_load("key", lambda: 1)
    world.clock.advance(5)
    assert cache.get_or_load("key", lambda: 2) == 1
