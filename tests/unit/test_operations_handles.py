"""Handles of operations: both faces, what they refuse, and what they do without a server; all in memory."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from staleproof import (
    MISSING,
    AsyncCache,
    Cache,
    ConfigurationError,
    LimitedError,
    LockBusyError,
    LockLostError,
    Policy,
    ProviderUnavailableError,
)
from staleproof.clock import ManualClock
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memcached import MemcachedProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.tiered import TieredProvider


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    return Cache(MemoryProvider("shop", clock=clock), clock=clock, policy=Policy(ttl="10m"))


def awaited(work: Any) -> Any:
    return asyncio.run(work)


class Away(MemoryProvider):
    """A provider whose operations have no server."""

    def perform(self, operation: Any) -> Any:
        """Refuse."""
        raise ProviderUnavailableError("away")


# --- rate limits -------------------------------------------------------------------------------------


def test_an_answer_tells_what_is_left_and_when_to_come_back(cache: Cache, clock: ManualClock) -> None:
    """Remaining calls, the time to the next and the time to all of them follow from one another."""
    limiter = cache.rate_limit("api:{user}", limit=4, per="1m")
    assert limiter.take(user=1) == (True, 4, 3, 0.0, 15.0, False)
    assert limiter.take(user=1, cost=3) == (True, 4, 0, 0.0, 60.0, False)
    assert limiter.take(user=1) == (False, 4, 0, 15.0, 60.0, False)
    assert limiter.peek(user=1, cost=2) == (False, 4, 0, 30.0, 60.0, False)
    clock.advance(30)
    assert limiter.peek(user=1, cost=2) == (True, 4, 2, 0.0, 30.0, False)
    assert limiter.require(user=1, cost=2).remaining == 0


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"limit": 0}, "limit=0"),
        ({"limit": True}, "limit=True"),
        ({"limit": 1.5}, "limit=1.5"),
        ({"per": 0}, "per=0"),
        ({"per": "soon"}, "per='soon'"),
        ({"per": "400d"}, "per='400d'"),
        ({"burst": -1}, "burst=-1"),
        ({"burst": 2**31, "per": "1d"}, "burst="),
        ({"limit": 1_000_000, "per": "1s"}, "10000 a second"),
        ({"unreachable": "ignore"}, "unreachable='ignore'"),
        ({"name": "a:{cost}"}, "'cost'"),
        ({"name": "a:{b"}, "brace"),
    ],
)
def test_a_limit_out_of_bounds_is_refused(cache: Cache, options: dict[str, Any], names: str) -> None:
    """A wrong argument is refused where the limit is made, by name and value."""
    given: dict[str, Any] = {"limit": 5, "per": "1m", **options}
    with pytest.raises(ConfigurationError, match=names):
        cache.rate_limit(given.pop("name", "n"), **given)


def test_a_question_out_of_bounds_is_refused(cache: Cache) -> None:
    """A cost that could never be taken, and fields that the template does not have, are slips and not refusals."""
    limiter = cache.rate_limit("api:{user}", limit=2, per="1m", burst=1)
    with pytest.raises(ConfigurationError, match=r"cost=4 is more than limit and burst, 3"):
        limiter.take(user=1, cost=4)
    with pytest.raises(ConfigurationError, match="cost=0"):
        limiter.take(user=1, cost=0)
    with pytest.raises(ConfigurationError, match="no field 'usr'"):
        limiter.take(usr=1)
    with pytest.raises(ConfigurationError, match="field 'user'"):
        limiter.take()
    with pytest.raises(ConfigurationError, match="characters"):
        limiter.take(user="x" * 5_000)


@pytest.mark.parametrize(
    ("unreachable", "answers", "counted"),
    [
        ("local", [True, True, False], {"local": 3}),
        ("allow", [True, True, True], {"allowed": 3}),
        ("deny", [False, False, False], {"denied": 3}),
    ],
)
def test_without_a_server_the_limit_says_what_to_do(unreachable: Any, answers: Any, counted: Any) -> None:
    """Each way of answering without a server is taken, marked as such, and counted."""
    cache = Cache(Away("shop"))
    limiter = cache.rate_limit("api", limit=2, per="1h", unreachable=unreachable)
    taken = [limiter.take() for _ in range(3)]
    assert [bool(each) for each in taken] == answers
    assert all(each.local for each in taken)
    assert bool(limiter.peek()) == answers[-1]
    counted = {name: times + 1 for name, times in counted.items()}
    assert dict(cache.statistics.fallbacks) == counted


def test_a_limit_may_raise_without_a_server() -> None:
    """`unreachable="raise"` passes the server's absence on, and counts it."""
    cache = Cache(Away("shop"))
    with pytest.raises(ProviderUnavailableError):
        cache.rate_limit("api", limit=2, per="1h", unreachable="raise").take()
    assert dict(cache.statistics.fallbacks) == {"error": 1}


def test_a_limited_function_is_not_called(cache: Cache) -> None:
    """A decorated function is called as often as the limit says, by the names of its own parameters."""
    calls = []

    @cache.rate_limit("export:{customer.id}:{kind}", limit=1, per="1h")
    def export(customer: dict[str, int], kind: str = "csv") -> str:
        calls.append(kind)
        return kind

    assert export({"id": 1}) == "csv"
    assert export({"id": 1}, kind="pdf") == "pdf"
    with pytest.raises(LimitedError, match="'export:1:csv' has reached its limit of 1") as caught:
        export({"id": 1})
    assert pickle.loads(pickle.dumps(caught.value)).retry_after == caught.value.retry_after  # noqa: S301 - our own
    assert calls == ["csv", "pdf"]
    with pytest.raises(ConfigurationError, match="unknown field 'nobody'"):
        cache.rate_limit("a:{nobody}", limit=1, per=1)(export)


# --- locks -------------------------------------------------------------------------------------------


def test_a_lock_is_held_as_long_as_it_says(cache: Cache, clock: ManualClock) -> None:
    """A holder knows how long he may believe in his lock, also after the machine was paused."""
    lock = cache.lock("report:{id}", ttl="30s").of(id=7)
    assert lock.name == "report:7"
    assert lock.remaining == 0
    with lock:
        clock.advance(10)
        assert lock.remaining == 20
        lock.renew("1m")
        assert lock.remaining == 60
        clock.freeze(61)
        with pytest.raises(LockLostError, match="longer than its time"):
            lock.check()
    with pytest.raises(LockLostError, match="not held"):
        lock.token  # noqa: B018 - it raises


def test_a_lock_is_not_reentrant(cache: Cache) -> None:
    """The handle that holds it refuses a second time; another handle waits in vain, in whatever thread."""
    lock = cache.lock("report", ttl="30s")
    with lock:
        with pytest.raises(ConfigurationError, match="not re-entrant"):
            lock.acquire()
        with pytest.raises(LockBusyError, match="was another's for 0"), cache.lock("report", ttl="30s"):
            raise AssertionError("two holders")
    with lock:
        pass


def test_a_handle_that_is_being_taken_is_not_taken_twice() -> None:
    """Two at once by one handle: the second is refused; the lock of the first is known, and freed in the end."""
    cache = AsyncCache(AsyncMemoryProvider("shop"))
    lock = cache.lock("report", ttl="1h", wait="10s")

    async def both() -> None:
        other = cache.lock("report", ttl="1h")
        assert await other.acquire()
        first = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="being taken"):
            await lock.acquire()
        await other.release()
        assert await first
        assert lock.token > 0
        assert await lock.release()
        assert await cache.lock("report", ttl="1h").acquire(wait=0)

    awaited(both())


def test_a_handle_may_be_taken_again_after_it_was_in_vain(cache: Cache) -> None:
    """What was refused, and what was interrupted, leaves a handle as it was."""
    lock, other = cache.lock("report", ttl="1h"), cache.lock("report", ttl="1h")
    with other:
        assert not lock.acquire()
        with pytest.raises(ConfigurationError):
            lock.acquire(wait="long")
    assert lock.acquire()


def test_a_template_with_fields_is_no_name(cache: Cache) -> None:
    """A lock whose fields were not filled in is refused: all of them would be one."""
    with pytest.raises(ConfigurationError, match="'id'"), cache.lock("report:{id}", ttl="30s"):
        raise AssertionError("held")


def test_a_block_that_fails_keeps_its_error(cache: Cache, clock: ManualClock) -> None:
    """The error of a block goes on, whatever became of the lock; without one a lost lock is told."""
    with pytest.raises(KeyError), cache.lock("report", ttl="1s"):  # noqa: PT012 - what the block does matters
        clock.advance(2)
        assert cache.lock("report", ttl="1h").acquire()
        raise KeyError
    with pytest.raises(LockLostError), cache.lock("other", ttl="1s"):  # noqa: PT012 - likewise
        clock.advance(2)
        assert cache.lock("other", ttl="1h").acquire()
    with cache.lock("third", ttl="1s") as lock:
        clock.advance(2)  # nobody else took it
        assert lock.release()


@pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": "2d"}, {"wait": -1}, {"renew": "10s"}])
def test_terms_out_of_bounds_are_refused(cache: Cache, options: dict[str, Any]) -> None:
    """A lock that nobody could hold, or for ever, is refused where it is made."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        cache.lock("report", **{"ttl": "30s", **options})


def test_memcached_has_no_operations_and_says_why() -> None:
    """Over Memcached, also behind a tier, a handle tells what is missing and what to use."""
    provider = MemcachedProvider.from_url("memcached://127.0.0.1:1", namespace="shop")
    for behind in (provider, TieredProvider(provider)):
        cache = Cache(behind)
        asked: list[Any] = [
            lambda cache=cache: cache.rate_limit("n", limit=1, per=1).take(),
            lambda cache=cache: cache.lock("n", ttl=1).acquire(),
            lambda cache=cache: cache.latest("n", keep=1).push(1),
            lambda cache=cache: cache.bloom("n", capacity=1).add(1),
            lambda cache=cache: cache.modules(),
        ]
        for ask in asked:
            with pytest.raises(ConfigurationError, match=r"MemcachedProvider runs no .*cache\.on\('locks'\)"):
                ask()


# --- lists and filters -------------------------------------------------------------------------------


def test_values_come_back_as_their_type(cache: Cache) -> None:
    """What is pushed is read as the type that was asked for; what is none of it is left out."""
    cache.latest("seen", keep=5).push({"id": 1}, 2, None)
    assert cache.latest("seen", keep=5).values() == [None, 2, {"id": 1}]
    assert cache.latest("seen", keep=5, kind=int).values() == [2]
    out_of_bounds: list[dict[str, Any]] = [{"keep": 0}, {"keep": 10**9}, {"keep": 5, "ttl": 0}]
    for wrong in out_of_bounds:
        with pytest.raises(ConfigurationError):
            cache.latest("seen", **wrong)
    with pytest.raises(ConfigurationError, match="not 0"):
        cache.latest("seen", keep=5).push()
    with pytest.raises(ConfigurationError, match="limit=0"):
        cache.latest("seen", keep=5).values(0)


def test_a_filter_lets_pass_no_more_than_its_rate(cache: Cache) -> None:
    """Full, a filter finds all that is in it, and takes at most its share of the rest for maybes."""
    for rate in (0.1, 0.01, 0.001):
        known = cache.bloom(f"at-{rate}", capacity=5_000, error_rate=rate)
        assert known.rebuild(f"item-{n}" for n in range(5_000)) == 5_000
        assert all(known.might_contain_many(f"item-{n}" for n in range(5_000)))
        wrong = sum(known.might_contain_many(f"other-{n}" for n in range(20_000)))
        assert wrong / 20_000 < 1.5 * rate


def test_equal_items_are_one(cache: Cache) -> None:
    """An item is what a key would have of it: `7`, `"7"` and `{id}` of 7 are the same."""
    known = cache.bloom("products", capacity=100)
    known.reserve()
    assert known.add(7, "a:b") == 2
    assert known.might_contain("7")
    loaded = []

    @known.admits("{id}", otherwise=None)
    def load(id: Any) -> Any:  # noqa: A002 - the template's word
        loaded.append(id)
        return id

    assert [load(7), load("a:b"), load(8)] == [7, "a:b", None]
    assert loaded == [7, "a:b"]


def test_in_doubt_a_filter_says_maybe() -> None:
    """Without a filter, and without a server, everything may exist; adding without a server is told."""
    cache = Cache(MemoryProvider("shop"))
    known = cache.bloom("products", capacity=100)
    assert known.might_contain(1)
    assert known.add(1) is None
    known.reserve()
    assert not known.might_contain(1)
    known.clear()
    assert known.might_contain(2)
    away = Cache(Away("shop")).bloom("products", capacity=100)
    assert away.might_contain_many([1, 2]) == [True, True]
    with pytest.raises(ProviderUnavailableError):
        away.add(1)
    with pytest.raises(ConfigurationError, match="one item"):
        known.rebuild("abc")


# --- asyncio -----------------------------------------------------------------------------------------


def test_the_asyncio_handles_do_the_same() -> None:
    """Every handle of an `AsyncCache` is awaited, and does what the blocking one does."""

    async def work() -> None:
        cache = AsyncCache(AsyncMemoryProvider("shop"))
        limiter = cache.rate_limit("api", limit=1, per="1h")
        assert await limiter.require()
        with pytest.raises(LimitedError):
            await limiter.require()
        assert not await limiter.peek()
        await limiter.reset()

        @cache.lock("job:{name}", ttl="1m")
        async def job(name: str) -> str:
            with pytest.raises(LockBusyError):
                async with cache.lock("job:{name}", ttl="1m").of(name=name):
                    raise AssertionError("two holders")
            return name

        assert await job("a") == "a"
        lock = cache.lock("report", ttl="1m", renew="1h")
        assert await lock.acquire()
        await lock.renew()
        assert await lock.release()
        latest = cache.latest("seen", keep=2)
        assert await latest.push(1, 2, 3) == 1
        assert await latest.values() == [3, 2]
        await latest.clear()
        known = cache.bloom("products", capacity=10)
        assert await known.rebuild([1, 2]) == 2
        assert await known.might_contain(1)

        @known.admits("{id}", otherwise="none")
        async def load(id: int) -> str:  # noqa: A002 - the template's word
            return str(id)

        assert [await load(1), await load(99)] == ["1", "none"]
        document = cache.json("doc", tags=["t"])
        assert await document.set({"n": 1})
        assert await document.increment("$.n", 2) == 3
        assert await document.merge({"m": [1]})
        assert await document.get("$.m[0]") == 1
        await document.remove()
        assert await document.get() is MISSING
        assert (await cache.modules()).present == frozenset()
        await cache.put("k", 1)
        assert not await cache.compare_and_delete("k", 2)
        assert await cache.compare_and_delete("k", version=await cache.version("k"))  # type: ignore[arg-type]

    awaited(work())


def test_a_decorator_of_the_other_face_is_refused(cache: Cache) -> None:
    """A coroutine function needs an `AsyncCache`, and a plain one a `Cache`: told where it is decorated."""

    async def coroutine() -> None: ...

    def plain() -> None: ...

    other: Any = AsyncCache(AsyncMemoryProvider("shop"))
    blocking: Any = cache
    for decorate in (
        blocking.rate_limit("n", limit=1, per=1),
        blocking.lock("n", ttl=1),
        blocking.bloom("n", capacity=1).admits("n", otherwise=None),
    ):
        with pytest.raises(ConfigurationError, match="AsyncCache"):
            decorate(coroutine)
    for decorate in (
        other.rate_limit("n", limit=1, per=1),
        other.lock("n", ttl=1),
        other.bloom("n", capacity=1).admits("n", otherwise=None),
    ):
        with pytest.raises(ConfigurationError, match="no coroutine function"):
            decorate(plain)


# --- compare and delete --------------------------------------------------------------------------------


def test_only_what_one_has_seen_is_removed(cache: Cache, clock: ManualClock) -> None:
    """A value is removed if it is the expected one, or the version that was seen; near copies go with it."""
    there = Cache(cache.provider, clock=clock, policy=Policy(ttl="10m", staleness=0))
    cache.put("k", [1], tags=["t"])
    assert there.get_or_load("k", lambda: 0, tags=["t"], kind=Any) == [1]  # type: ignore[comparison-overlap]
    seen = cache.version("k", tags=["t"])
    assert not cache.compare_and_delete("k", [2], tags=["t"])
    assert cache.compare_and_delete("k", version=seen, tags=["t"])  # type: ignore[arg-type]
    assert cache.version("k", tags=["t"]) is MISSING
    assert there.get("k", tags=["t"]) is MISSING
    assert not cache.compare_and_delete("k", [1], tags=["t"])
    clock.advance(1)
    cache.put("k", [1], tags=["t"])
    assert not cache.compare_and_delete("k", version=seen, tags=["t"])  # type: ignore[arg-type]
    for wrong in ({}, {"expected": 1, "version": "v"}):
        with pytest.raises(ConfigurationError, match="one of them"):
            cache.compare_and_delete("k", **wrong)  # type: ignore[arg-type]
