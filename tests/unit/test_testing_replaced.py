"""An application's own caches, put aside for one test, with everything that hangs on them."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import (
    MISSING,
    AsyncCache,
    Cache,
    ConfigurationError,
    Policy,
    ProviderUnavailableError,
)
from staleproof.cache import nesting
from staleproof.cache.face import FACES
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider
from staleproof.testing import (
    Chaos,
    ChaosProvider,
    Faults,
    ManualClock,
    assert_loads,
    off,
    recorded,
    refreshed,
    replaced,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Application:
    """Module-level caches, as an application has them, over a server that must not be asked in its tests."""

    def __init__(self, **policy: Any) -> None:
        self.loads = 0
        self.version = 1
        self.server = MemoryProvider("app")
        self.cache = Cache(
            self.server,
            policy=Policy(**{"ttl": "10m", **policy}),
            providers={"sessions": MemoryProvider("sessions")},
        )

        @self.cache.cacheable("product:{number}", tags=["catalog"])
        def product(number: int) -> int:
            self.loads += 1
            return self.version

        @self.cache.cacheable("session:{number}", provider="sessions")
        def session(number: int) -> int:
            self.loads += 1
            return self.version

        self.product: Callable[[int], int] = product
        self.session: Callable[[int], int] = session


STALENESSES = pytest.mark.parametrize("staleness", [None, 0, 3_600], ids=["plain", "checked", "bounded"])


@STALENESSES
def test_a_replaced_cache_is_empty_and_afterwards_as_before(staleness: float | None) -> None:
    """Decorated functions find the replacement, also those whose near hits are compiled, and then their own copies."""
    app = Application(staleness=staleness)
    assert [app.product(1), app.session(1)] == [1, 1]
    before = app.cache.statistics.snapshot()
    app.version = 2
    with replaced(app.cache) as stand:
        assert [app.product(1), app.product(1), app.session(1), app.session(1)] == [2] * 4
        assert app.cache.statistics.loads == 1
        assert app.cache.on("sessions").statistics.loads == 1
        assert set(stand.servers) == {"app", "sessions"}
        assert app.cache.provider is stand.servers["app"]
    assert [app.product(1), app.session(1)] == [1, 1]
    assert app.loads == 4
    assert app.cache.provider is app.server
    assert app.cache.statistics.loads == before.loads


@STALENESSES
def test_nothing_of_a_test_reaches_the_next_one(staleness: float | None) -> None:
    """Neither values nor time nor invalidations pass from one replacement to another, or to the real cache."""
    app = Application(staleness=staleness)
    app.product(1)
    for version in (2, 3):
        app.version = version
        with replaced(app.cache) as stand:
            assert app.product(1) == version
            app.cache.invalidate("catalog")
            app.product(2)
            stand.clock.advance(10**6)
    app.version = 4
    assert app.product(1) == 1
    assert app.product(2) == 4


def test_the_real_server_is_not_asked() -> None:
    """Within, no command reaches it; afterwards its failures are what they were."""
    chaos = Chaos(1, Faults(before=1))
    cache = Cache(ChaosProvider(MemoryProvider("app"), chaos), policy=Policy(fallback="error"))
    for _ in range(2):
        with replaced(cache):
            assert cache.get_or_load("key", lambda: 1) == 1
            cache.clear()
        with pytest.raises(ProviderUnavailableError):
            cache.get_or_load("key", lambda: 1)
    assert chaos.calls == 2


def test_time_is_the_tests() -> None:
    """Lives, idle times, stale windows, bounds and leases follow the clock; refreshes are done at once."""
    app = Application(ttl=60, stale_while_revalidate=60, staleness=5, idle=40)
    with replaced(app.cache) as stand:
        assert app.product(1) == 1
        stand.clock.advance(30)
        assert app.product(1) == 1
        app.version = 2
        stand.clock.advance(35)  # over, and read in time: its idle life was prolonged
        assert app.product(1) == 1
        assert app.product(1) == 2
        stand.clock.advance(100)
        assert app.product(1) == 2
        assert app.cache.statistics.stale == 1
        assert app.loads == 3


def test_another_process_is_another_cache_on_the_same_server() -> None:
    """The bound of near copies can be tried out: what another process invalidates is heard after it, no later."""
    app = Application(staleness=5)
    with replaced(app.cache) as stand:
        other = Cache(stand.servers["app"], clock=stand.clock)
        app.product(1)
        app.version = 2
        other.invalidate("catalog")
        assert app.product(1) == 1
        stand.clock.freeze(6)  # the machine sleeps
        assert app.product(1) == 2


def test_both_faces_of_one_namespace_share_a_server() -> None:
    """A blocking and an asyncio cache of an application stay two doors to the same values."""
    blocking = Cache(MemoryProvider("app"))
    awaiting = AsyncCache(AsyncMemoryProvider("app"), policy=Policy(ttl=10, stale_while_revalidate=10))
    loads = 0

    @awaiting.cacheable("n:{n}")
    async def number(n: int) -> int:
        nonlocal loads
        loads += 1
        return loads

    async def scenario(clock: ManualClock) -> None:
        assert await number(1) == 1
        assert blocking.get("n:1", kind=int) == 1
        clock.advance(15)
        assert await number(1) == 1
        await refreshed(awaiting)
        assert await number(1) == 2

    with replaced(blocking, awaiting) as stand:
        asyncio.run(scenario(stand.clock))
        assert list(stand.servers) == ["app"]
    assert blocking.get("n:1", kind=int) is MISSING


def test_a_tier_is_replaced_as_a_whole() -> None:
    """Entries that a tiered provider keeps near are put aside with it."""
    cache = Cache(TieredProvider(MemoryProvider("app"), staleness=3_600))
    cache.put("key", "real")
    assert cache.get("key") == "real"
    with replaced(cache):
        assert cache.get("key") is MISSING
    assert cache.get("key") == "real"


def test_replacements_nest_and_survive_a_failed_test() -> None:
    """An exception within restores everything, level by level."""
    app = Application(staleness=3_600)
    app.product(1)
    app.version = 2

    @replaced(app.cache)
    def failing() -> None:
        assert app.product(1) == 2
        app.version = 3
        with replaced(app.cache):
            assert app.product(1) == 3
        assert app.product(1) == 2
        raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert app.product(1) == 1
    near = app.cache.core.near
    assert near is not None
    assert near.shown == near.synced


def test_a_cache_that_is_off_stays_off() -> None:
    """Before, within or around: a cache is off for as long as any of that says so, its compiled hits included."""
    app = Application(staleness=3_600)
    app.product(1)
    app.version = 2
    with app.cache.off(), replaced(app.cache):
        assert [app.product(1), app.product(1)] == [2, 2]
    assert app.loads == 3
    with replaced(app.cache):
        with app.cache.off():
            assert [app.product(1), app.product(1)] == [2, 2]
        assert [app.product(1), app.product(1)] == [2, 2]
    assert app.loads == 6
    assert app.product(1) == 1
    block = app.cache.off()
    with replaced(app.cache):
        block.__enter__()
    assert app.product(1) == 2
    block.__exit__(None, None, None)
    assert app.product(1) == 1


def test_a_refresh_that_ends_after_its_test_settles_nowhere() -> None:
    """What still goes on in the background of a replaced cache keeps nothing near in the real one."""
    cache = AsyncCache(
        AsyncMemoryProvider("app"), policy=Policy(ttl=10, staleness=3_600, stale_while_revalidate=100)
    )
    value = "real"
    slow = False

    async def scenario() -> None:
        nonlocal value, slow
        go_on = asyncio.Event()

        @cache.cacheable("key:{n}")
        async def load(n: int) -> str:
            now = value
            if slow:
                await go_on.wait()
            return now

        assert await load(1) == "real"
        value = "the test's"
        with replaced(cache) as stand:
            await load(1)
            stand.clock.advance(20)
            slow = True
            assert await load(1) == "the test's"
            departed = cache.driver.departed
            assert departed
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait(departed)
        assert await load(1) == "real"

    asyncio.run(scenario())
    assert not nesting.inside()


def test_what_is_no_cache_is_refused() -> None:
    """A decorated function, a provider or nothing at all cannot be replaced, and the message says so."""
    app = Application()
    for wrong in (app.product, app.server, None):
        with pytest.raises(ConfigurationError, match="no Cache or AsyncCache"), replaced(app.cache, wrong):
            pass
    with pytest.raises(ConfigurationError, match="needs the caches"), replaced():
        pass
    app.product(1)
    assert app.cache.provider is app.server


# --- off ----------------------------------------------------------------------------------------------


def test_off_is_for_those_named_or_for_all() -> None:
    """Without names every cache of the process is off, also one that is made within; afterwards none is."""
    first, second = Application(staleness=3_600), Application()
    first.product(1)
    second.product(1)
    with off(first.cache):
        first.product(1)
        second.product(1)
    assert (first.loads, second.loads) == (2, 1)
    with off():
        third = Application()
        for app in (first, second, third):
            app.product(1)
            app.product(1)
    assert (first.loads, second.loads, third.loads) == (4, 3, 2)
    for app in (first, second, third):
        app.product(1)
        app.product(1)
    assert (first.loads, second.loads, third.loads) == (4, 3, 3)


def test_off_leaves_what_was_off_before() -> None:
    """It restores each cache as it was."""
    app = Application()
    with app.cache.off():
        with off():
            pass
        app.product(1)
        app.product(1)
    assert app.loads == 2


def test_caches_are_known_as_long_as_they_live() -> None:
    """The list of all caches keeps none of them alive."""
    gc.collect()
    before = len(FACES)
    app = Application()
    assert len(FACES) == before + 2
    del app
    gc.collect()
    assert len(FACES) == before


# --- watching -----------------------------------------------------------------------------------------


def test_loads_are_counted_within() -> None:
    """Exactly so many, of the named caches or of all; the message says what happened instead."""
    app = Application()
    app.product(0)
    with assert_loads(1, app.cache):
        app.product(1)
        app.product(1)
    with assert_loads(1):
        app.product(2)
    with assert_loads(0, app.cache):
        app.session(1)

    @assert_loads(2, app.cache)
    def once() -> None:
        app.product(3)
        app.product(3)

    with pytest.raises(AssertionError, match=r"1 loads, not 2 .*app: 1 loads, 0 near hits, 1 hits.*absent"):
        once()


def test_a_failed_test_is_not_blamed_on_its_loads() -> None:
    """An exception within passes through as it is."""
    app = Application()
    with pytest.raises(LookupError), assert_loads(7, app.cache):
        raise LookupError


def test_invalidations_are_recorded_once_acknowledged() -> None:
    """Tags, keys and clearing, by whatever operation; one that failed is not among them."""
    chaos = Chaos(1, {"invalidate": Faults(before=1)})
    cache = Cache(ChaosProvider(MemoryProvider("app"), chaos))

    @cache.evicts("product:{number}", tags=["catalog"])
    def rename(number: int) -> None: ...

    with recorded(cache) as invalidations, chaos.calm():
        rename(7)
        cache.put("a", 1)
        cache.increment("n")
        assert (invalidations.tags, invalidations.keys) == (["catalog"], ["product:7", "a", "n"])
        assert not invalidations.cleared
        cache.clear()
        assert invalidations.cleared
        assert [record.superseded for record in invalidations] == [False, False, True, False]
        assert "catalog" in repr(invalidations)
    with recorded(cache) as invalidations, pytest.raises(ProviderUnavailableError):
        cache.evict("a")
    assert len(invalidations) == 0
    assert isinstance(cache.provider, ChaosProvider)


def test_coroutines_are_recorded_too() -> None:
    """The same for an asyncio cache, among several."""
    blocking, awaiting = Cache(MemoryProvider("app")), AsyncCache(AsyncMemoryProvider("app"))

    async def work() -> None:
        await awaiting.invalidate("a", keys=["k"])
        blocking.invalidate("b")

    with recorded(blocking, awaiting) as invalidations:
        asyncio.run(work())
    assert (invalidations.tags, invalidations.keys) == (["a", "b"], ["k"])


def test_a_recorded_cache_may_be_replaced() -> None:
    """Whatever the order of the two, the right provider comes back."""
    app = Application()
    with replaced(app.cache), recorded(app.cache) as invalidations:
        app.cache.evict("key")
    assert invalidations.keys == ["key"]
    assert app.cache.provider is app.server
