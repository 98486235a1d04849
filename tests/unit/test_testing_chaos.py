"""Faults on purpose: which, how often, and the same ones again."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.keys import Keyspace
from staleproof.ports import AsyncProvider, Claim, Deposit, Provider
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import AsyncChaosProvider, Chaos, ChaosProvider, Faults, ManualClock
from staleproof.testing.examples import MINE, MINUTE, A, invalidation

if TYPE_CHECKING:
    from collections.abc import Callable

MIXED = Faults(before=0.1, after=0.1, rejected=0.1, lost=0.1, delay=0.1)


def outcomes(chaos: Chaos, calls: int = 300) -> list[str]:
    """What each of some stores met."""
    provider = ChaosProvider(MemoryProvider(), chaos, sleep=lambda _: None)
    met = []
    for _ in range(calls):
        try:
            provider.put("key", b"1", MINUTE)
        except (ProviderUnavailableError, ProviderRejectedError) as error:
            met.append(type(error).__name__)
        else:
            met.append("")
    return met


def test_the_same_seed_injects_the_same_faults() -> None:
    """A run that failed can be run again; another seed is another run."""
    first, again, other = (Chaos(seed, MIXED, partitions=0.01, evictions=0.05) for seed in (7, 7, 8))
    assert outcomes(first) == outcomes(again) != outcomes(other)
    assert first.log == again.log
    assert set(first.counted()) == {"before", "after", "rejected", "lost", "delay", "partition", "evicted"}


def test_faults_come_as_often_as_asked() -> None:
    """A share of calls meets each fault, about."""
    chaos = Chaos(1, Faults(before=0.2, rejected=0.1))
    outcomes(chaos, 2_000)
    assert chaos.counted()["before"] == pytest.approx(400, rel=0.2)
    assert chaos.counted()["rejected"] == pytest.approx(200, rel=0.3)
    assert chaos.calls == 2_000


def test_before_is_not_applied_and_after_is() -> None:
    """The same error for the caller, and two different servers behind it."""
    for fault, expected in ((Faults(before=1), None), (Faults(after=1), b"1")):
        server = MemoryProvider()
        with pytest.raises(ProviderUnavailableError):
            ChaosProvider(server, Chaos(1, fault)).put("key", b"1", MINUTE)
        assert server.read("key", [])[0] == expected


def test_a_lost_store_was_acknowledged() -> None:
    """The caller is told that it is stored, its lease is gone, and nothing is there."""
    server = MemoryProvider()
    provider = ChaosProvider(server, Chaos(1, Faults(lost=1)))
    provider.begin("one", [A], MINE, MINUTE, MINUTE, guard=False)
    assert provider.store("one", b"1", MINUTE, MINE)
    provider.begin_many([Claim("two", [A], MINE)], MINUTE, MINUTE, guard=False)
    assert provider.store_many([Deposit("two", b"2", MINUTE, MINE)]) == [True]
    provider.put("three", b"3", MINUTE)
    assert [server.read(key, [])[0] for key in ("one", "two", "three")] == [None] * 3
    assert server.begin("one", [A], b"another-one!", MINUTE, MINUTE, guard=False).leased


def test_a_server_out_of_memory_still_answers_reads() -> None:
    """Only what writes is rejected."""
    provider = ChaosProvider(MemoryProvider(), Chaos(1, Faults(rejected=1)))
    assert provider.read("key", []) == (None, [])
    assert provider.journal("", 1).records == []
    with pytest.raises(ProviderRejectedError):
        provider.invalidate([invalidation("a")])


def test_faults_by_method_leave_the_others_alone() -> None:
    """One method fails, nothing else does."""
    provider = ChaosProvider(MemoryProvider(), Chaos(1, {"invalidate": Faults(before=1)}))
    provider.put("key", b"1", MINUTE)
    with pytest.raises(ProviderUnavailableError):
        provider.invalidate([])


def test_a_partition_lasts() -> None:
    """Once it begins, calls fail in a row; by hand, all of them do until it is over."""
    chaos = Chaos(3, partitions=0.05, partition_calls=30)
    met = "".join("x" if each else "." for each in outcomes(chaos, 400))
    assert "xxx" in met
    assert "..." in met
    by_hand = Chaos(1)
    provider = ChaosProvider(MemoryProvider(), by_hand)
    with by_hand.partitioned(), pytest.raises(ProviderUnavailableError):
        provider.read("key", [])
    assert provider.read("key", []) == (None, [])


def test_calm_is_calm() -> None:
    """Within, nothing is injected."""
    chaos = Chaos(1, Faults(before=1), partitions=1, evictions=1)
    provider = ChaosProvider(MemoryProvider(), chaos)
    with chaos.calm():
        provider.put("key", b"1", MINUTE)
    assert chaos.log == []
    with pytest.raises(ProviderUnavailableError):
        provider.read("key", [])


def test_the_server_forgets_by_itself() -> None:
    """Entries, leases, versions, the guard and the journal go, each at some time."""
    gone: set[bytes] = set()
    provider = ChaosProvider(MemoryProvider("shop"), Chaos(1, evictions=1), evict=gone.add)
    for _ in range(200):
        provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
    keys = Keyspace("shop")
    assert gone == {keys.entry("key"), keys.lease("key"), keys.version(A), keys.guard, keys.journal}


def test_delays_follow_the_clock_of_the_test() -> None:
    """A delay passes time, and no more than was allowed."""
    clock = ManualClock()
    chaos = Chaos(1, Faults(delay=1), longest_delay=5)
    provider = ChaosProvider(MemoryProvider(clock=clock), chaos, sleep=clock.advance)
    before = clock.monotonic()
    provider.read("key", [])
    assert 0 < clock.monotonic() - before <= 5


@pytest.mark.parametrize("shares", [{"before": 1.1}, {"before": -0.1}, {"before": 0.6, "after": 0.6}])
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    """Shares are from 0 to 1, and one call meets one fault."""
    with pytest.raises(ConfigurationError, match="must be shares from 0 to 1"):
        Chaos(1, Faults(**shares))
    with pytest.raises(ConfigurationError, match="store"):
        Chaos(1, {"store": Faults(**shares)})


def test_evictions_need_somebody_who_does_them() -> None:
    """A provider that cannot forget by command needs a function that does."""

    class Bare:
        namespace = "bare"

    bare: Any = Bare()
    with pytest.raises(ConfigurationError, match="evict="):
        ChaosProvider(bare, Chaos(1, evictions=0.1))
    ChaosProvider(bare, Chaos(1))


@pytest.mark.parametrize(
    ("port", "provider"), [(Provider, ChaosProvider), (AsyncProvider, AsyncChaosProvider)]
)
def test_it_keeps_to_the_port(port: type, provider: type) -> None:
    """It has every method of the port, with the same parameters."""
    methods = [name for name, _ in inspect.getmembers(port, inspect.isfunction) if name[0] != "_"]

    def shape(method: Callable[..., Any]) -> list[Any]:
        found = inspect.signature(method).parameters.values()
        return [(each.name, each.kind, each.default) for each in found]

    assert {name: shape(getattr(provider, name)) for name in methods} == {
        name: shape(getattr(port, name)) for name in methods
    }


def test_the_asyncio_face_injects_the_same() -> None:
    """The same seed and calls meet the same faults on both faces; delays and evictions may be awaited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def run(chaos: Chaos) -> list[str]:
        provider = AsyncChaosProvider(AsyncMemoryProvider(), chaos, sleep=sleep)
        met = []
        for _ in range(300):
            try:
                await provider.put("key", b"1", MINUTE)
            except (ProviderUnavailableError, ProviderRejectedError) as error:
                met.append(type(error).__name__)
            else:
                met.append("")
        return met

    awaited, blocking = Chaos(5, MIXED, evictions=0.1), Chaos(5, MIXED, evictions=0.1)
    assert asyncio.run(run(awaited)) == outcomes(blocking)
    assert awaited.log == blocking.log
    assert len(waited) == awaited.counted()["delay"]


def test_what_is_beyond_the_port_is_the_providers_own() -> None:
    """A follower's methods, statistics and the like are reached through it."""
    provider = ChaosProvider(MemoryProvider("shop"), Chaos(1))
    assert provider.followers() == []
    assert Cache(provider).namespace == "shop"
    with pytest.raises(AttributeError):
        provider.nothing  # noqa: B018
