"""Whatever ends a load, its lease is free again at once: nobody waits for a load that no longer goes on."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import AsyncCache, Cache, CodecError, ConfigurationError, Policy
from staleproof.cache import writing
from staleproof.cache.commands import Begin, Store
from staleproof.entry import MAX_TAGS
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

IMPATIENT = Policy(lease="1h", patience=0, staleness=0)
"""Whoever meets a lease loads at once and stores nothing: so a lease left behind shows in the statistics."""


def lease(provider: MemoryProvider, key: str = "k") -> bytes | None:
    """Return who holds the lease of *key*."""
    return provider._cells.leases.get(provider.keys.lease(key))


# --- failures ---------------------------------------------------------------------------------------


def failing(_: Any) -> Any:
    raise LookupError("from the application")


FAILURES: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "tags_from raises": (LookupError, {"tags_from": failing}),
    "tags_from is no list": (ConfigurationError, {"tags_from": lambda _: 7}),
    "a revealed tag is empty": (ConfigurationError, {"tags_from": lambda _: [""]}),
    "row_version raises": (LookupError, {"row_version": failing}),
    "row_version is negative": (ConfigurationError, {"row_version": lambda _: -1}),
    "too many tags": (ConfigurationError, {"tags_from": lambda _: [f"t{n}" for n in range(MAX_TAGS)]}),
    "not the kind": (CodecError, {"kind": str}),
    "not storable": (CodecError, {}),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_after_the_load_frees_the_lease(what: str) -> None:
    """An exception between load and store passes through, and the next caller loads and stores at once."""
    expected, options = FAILURES[what]
    value: Any = object() if what == "not storable" else 1
    provider = MemoryProvider("leases")
    cache = Cache(provider, policy=IMPATIENT)
    with pytest.raises(expected):
        cache.get_or_load("k", lambda: value, **options)
    assert lease(provider) is None
    assert cache.get_or_load("k", lambda: 2) == 2
    assert (cache.statistics.stored, cache.statistics.unstored) == (1, {"error": 1})


@pytest.mark.parametrize("what", ["tags_from raises", "row_version raises", "too many tags", "not storable"])
def test_a_failure_after_a_refresh_frees_the_lease(what: str) -> None:
    """What holds for a load holds for a refresh, whatever was stored before it."""
    expected, options = FAILURES[what]
    provider = MemoryProvider("leases")
    cache = Cache(provider, policy=IMPATIENT)

    @cache.cacheable("k", **options)
    def function() -> Any:
        return object() if what == "not storable" else 1

    cache.put("k", "before")
    with pytest.raises(expected):
        function.refresh()
    assert lease(provider) is None


def test_a_value_that_cannot_be_put_frees_the_lease() -> None:
    """A put that fails leaves the key to the next load."""
    provider = MemoryProvider("leases")
    cache = Cache(provider, policy=IMPATIENT)
    with pytest.raises(CodecError):
        cache.put("k", object())
    assert lease(provider) is None


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_loader_frees_the_lease(interruption: type[BaseException]) -> None:
    """An interruption from outside is no reason to keep others waiting."""
    provider = MemoryProvider("leases")
    cache = Cache(provider, policy=IMPATIENT)

    def load() -> int:
        raise interruption

    with pytest.raises(interruption):
        cache.get_or_load("k", load)
    assert lease(provider) is None


# --- cancellations ----------------------------------------------------------------------------------


class Blockable:
    """An asyncio provider that can be stopped within any one of its steps, once, before or after the server's work."""

    def __init__(self, inner: AsyncMemoryProvider) -> None:
        self._inner = inner
        self._where = ("", "")
        self.reached = asyncio.Event()

    def stop_at(self, step: str, moment: str) -> None:
        """Hang in the next call of *step*, *moment* `before` or `after` the server did it."""
        self._where = (step, moment)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._perhaps(name, "before")
            result = await value(*args, **kwargs)
            await self._perhaps(name, "after")
            return result

        return call

    async def _perhaps(self, step: str, moment: str) -> None:
        if (step, moment) == self._where:
            self._where = ("", "")
            self.reached.set()
            await asyncio.Event().wait()


class Scene:
    """A cache over a provider that can be stopped, and what happened to the key."""

    def __init__(self) -> None:
        self.inner = AsyncMemoryProvider("leases")
        self.provider: Any = Blockable(self.inner)
        self.cache = AsyncCache(self.provider, policy=IMPATIENT)

    async def read(self, value: int = 1) -> int:
        """Load with a late tag, so that every step of a load is taken."""

        async def load() -> int:
            return value

        return await self.cache.get_or_load("k", load, tags=["t"], tags_from=lambda _: ["late"])

    async def put(self) -> None:
        """Put under the key."""
        await self.cache.put("k", 1, tags=["t"])

    async def refresh(self) -> int:
        """Refresh the key, near copy and all."""

        @self.cache.cacheable("k", tags=["t"], tags_from=lambda _: ["late"])
        async def function() -> int:
            return 1

        return await function.refresh()

    async def cancel(self, work: Callable[[], Awaitable[Any]], step: str, moment: str) -> None:
        """Begin *work*, and cancel it where it hangs in *step*."""
        self.provider.stop_at(step, moment)
        task = asyncio.ensure_future(work())
        await asyncio.wait_for(self.provider.reached.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def loads_at_once(self) -> None:
        """Check that nobody holds the lease: the next reader loads, stores, and waits for nobody."""
        assert lease(self.inner.inner) is None
        before = self.cache.statistics.unstored.copy()
        assert await self.read(2) in {1, 2}
        assert self.cache.statistics.unstored == before
        assert await self.read(3) in {1, 2}


MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])


@MOMENTS
@pytest.mark.parametrize("step", ["journal_end", "read_following", "begin", "snapshot", "store"])
async def test_a_cancelled_load_frees_the_lease(step: str, moment: str) -> None:
    """Cancelled in any step of a load, on the way there or back, the key is free and the next reader loads."""
    scene = Scene()
    await scene.cancel(scene.read, step, moment)
    await scene.loads_at_once()


@MOMENTS
async def test_a_load_cancelled_while_it_gives_the_lease_back(moment: str) -> None:
    """The last step of a failed load may be cut off as well; if the server did it, the lease is free."""
    scene = Scene()

    async def fail() -> int:
        raise LookupError

    await scene.cancel(lambda: scene.cache.get_or_load("k", fail), "release", moment)
    if moment == "after":
        await scene.loads_at_once()


@MOMENTS
@pytest.mark.parametrize("step", ["journal_end", "begin", "snapshot", "store"])
async def test_a_cancelled_refresh_frees_the_lease(step: str, moment: str) -> None:
    """What holds for a load holds for a refresh."""
    scene = Scene()
    await scene.cancel(scene.refresh, step, moment)
    await scene.loads_at_once()


@MOMENTS
@pytest.mark.parametrize("step", ["invalidate", "begin", "store"])
async def test_a_cancelled_put_frees_the_lease(step: str, moment: str) -> None:
    """What holds for a load holds for a put."""
    scene = Scene()
    await scene.cancel(scene.put, step, moment)
    await scene.loads_at_once()


async def test_a_cancelled_loader_frees_the_lease() -> None:
    """The source is the slowest step, and the one most often given up."""
    scene = Scene()
    hanging = asyncio.Event()

    async def load() -> int:
        hanging.set()
        await asyncio.Event().wait()
        return 1

    task = asyncio.ensure_future(scene.cache.get_or_load("k", load))
    await hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await scene.loads_at_once()


async def test_a_load_cancelled_while_it_waits_leaves_the_holders_lease() -> None:
    """A lease is given back by its name: whoever gives up waiting frees nobody else's."""
    inner = AsyncMemoryProvider("leases")
    holder = b"somebody els"
    inner.inner.begin("k", [], holder, 60_000, 0, guard=False)
    cache = AsyncCache(inner, policy=Policy(patience="1h"))

    async def load() -> int:
        return 1

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cache.get_or_load("k", load), 0.05)
    assert lease(inner.inner) == holder


# --- puts are fenced --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "tag", "clear"])
@pytest.mark.parametrize("when", [Begin, Store])
def test_a_put_under_way_is_fenced_by_an_invalidation(how: str, when: type) -> None:
    """What was invalidated after a put began, and acknowledged, is not read from it afterwards."""
    provider = MemoryProvider("leases")
    writer, other = Cache(provider), Cache(provider)
    writer.evict("k")
    plan = writing.put(writer.core, writer.call("k", ["t"]), "old")
    command: Any = plan.send(None)
    assert isinstance(command, Begin)
    if when is Store:
        command = plan.send(command.on(provider))
        assert isinstance(command, Store)
    before = command if when is Store else None
    reply = None if before else command.on(provider)
    if how == "key":
        other.invalidate(keys=["k"])
    elif how == "tag":
        other.invalidate("t")
    else:
        other.clear()
    stored = _finish(plan, provider, before.on(provider) if before else reply)
    assert stored is (how != "key")
    assert other.get_or_load("k", lambda: "new", tags=["t"]) == "new"


def test_a_put_that_meets_a_load_under_way_leaves_it_its_lease() -> None:
    """A load that began after the eviction is fresh: the put steps back."""
    provider = MemoryProvider("leases")
    cache = Cache(provider)
    values = []

    def load() -> str:
        plan = writing.put(cache.core, cache.call("k"), "put")
        values.append(_finish(plan, provider, None))
        return "loaded"

    assert cache.get_or_load("k", load) == "loaded"
    assert values == [False]
    stored: Any = cache.get("k")
    assert stored == "loaded"


def _finish(plan: Any, provider: MemoryProvider, reply: Any) -> Any:
    """Perform the rest of *plan*, and return its result."""
    while True:
        try:
            command = plan.send(reply)
        except StopIteration as end:
            return end.value
        reply = command.on(provider)


def test_a_put_does_not_overwrite_a_load_that_began_later() -> None:
    """A load between a put and its store wins, and near copies agree with the server."""
    provider = MemoryProvider("leases")
    writer = Cache(provider)
    reader = Cache(provider, policy=Policy(staleness=0))
    reader.get_or_load("warm", lambda: 0)
    reader.get_or_load("warm", lambda: 0)
    writer.evict("k")
    plan = writing.put(writer.core, writer.call("k"), "put")
    command: Any = plan.send(None)
    assert reader.get_or_load("k", lambda: "loaded") == "loaded"
    _finish(plan, provider, command.on(provider))
    on_server = writer.get("k")
    assert [reader.get_or_load("k", lambda: "again") for _ in range(3)] == [on_server] * 3
