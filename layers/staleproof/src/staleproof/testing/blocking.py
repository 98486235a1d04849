"""A blocking face for asyncio providers and caches, so that one contract serves both.

Theory of operation: a `Portal` is an event loop in a thread of its own. A blocking call sends its coroutine there and
waits; the task inherits the caller's context, so that code which runs inside a load is known to. A loader is a plain
function: it runs in a thread of its own, where it may call the cache again while the loop goes on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

LOADERS = 64
"""Plain functions that run at once under one loop."""

CLOSING = 0.5
"""Seconds for connections to say goodbye."""

LONGEST = 5.0
"""Seconds that a loop waits for its tasks to end."""


class Portal:
    """An event loop in a thread of its own, called from others."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOADERS, thread_name_prefix="loader"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="portal", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
        """Run the coroutine function to its end in the loop, and return what it returns."""
        if not self._thread.is_alive():
            raise RuntimeError("this event loop was shut")
        return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), self._loop).result()

    def settle(self) -> None:
        """Wait for what goes on in the loop by itself, such as refreshes; cancel what does not end."""
        self.call(_settled)

    def shut(self) -> None:
        """End the loop, and wait for what runs in it and in its threads."""
        if not self._thread.is_alive():
            return
        self.settle()
        self.call(_disconnected)
        self.call(self._loop.shutdown_default_executor)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking:
    """Run each of *provider*'s coroutine methods to its end, on one private event loop.

    Args:
        provider: the asyncio provider; it may be closed by `shut` only.
        portal: the loop, to share it with another provider; a new one by default.
    """

    def __init__(self, provider: Any, portal: Portal | None = None) -> None:
        self._provider = provider
        self._portal = portal or Portal()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._provider, name)
        return functools.partial(self._portal.call, value) if inspect.iscoroutinefunction(value) else value

    @property
    def behind(self) -> Any:
        """The asyncio provider."""
        return self._provider

    @property
    def portal(self) -> Portal:
        """The event loop."""
        return self._portal

    def shut(self) -> None:
        """Close the provider's connections and the loop."""
        self._portal.settle()
        self._portal.call(self._provider.close)
        self._portal.shut()


class BlockingCache:
    """An `AsyncCache` as blocking code sees it: the same methods, and plain functions for loaders.

    Args:
        cache: the asyncio cache.
        portal: the loop in which its provider lives.
    """

    def __init__(self, cache: Any, portal: Portal) -> None:
        self._cache = cache
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._cache, name)
        return functools.partial(self._portal.call, value) if inspect.iscoroutinefunction(value) else value

    @property
    def behind(self) -> Any:
        """The asyncio cache."""
        return self._cache

    @property
    def portal(self) -> Portal:
        """The event loop."""
        return self._portal

    def settle(self) -> None:
        """Wait for its refreshes in the background."""
        self._portal.settle()

    def get_or_load(self, key: str, loader: Callable[[], Any], **options: Any) -> Any:
        """See `Cache.get_or_load`."""
        return self._portal.call(self._cache.get_or_load, key, awaited(loader), **options)

    def get_or_load_many(self, keys: Any, loader: Callable[[list[str]], Any], **options: Any) -> Any:
        """See `Cache.get_or_load_many`."""
        return self._portal.call(self._cache.get_or_load_many, keys, awaited(loader), **options)

    def scan(self, prefix: str = "") -> Iterator[str]:
        """See `Cache.scan`."""

        async def every() -> list[str]:
            return [key async for key in self._cache.scan(prefix)]

        return iter(self._portal.call(every))

    def cacheable(self, *args: Any, **options: Any) -> Callable[..., Any]:
        """See `Cache.cacheable`."""
        decorate = self._cache.cacheable(*args, **options)
        return lambda function: BlockingFunction(decorate(awaited(function)), self._portal)


class BlockingFunction:
    """A cached coroutine function as blocking code sees it, with its handles."""

    def __init__(self, function: Any, portal: Portal) -> None:
        self._function = function
        self._portal = portal

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, and wait."""
        return self._portal.call(self._function, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        handle = getattr(self._function, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            async def answer() -> Any:
                result = handle(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            return self._portal.call(answer)

        return call


async def _settled() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, pending = await asyncio.wait(others, timeout=LONGEST)
        for task in pending:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _disconnected() -> None:
    """Wait for connections that are closing: TLS says goodbye first, and whose loop ends before is never closed."""
    selector = getattr(asyncio.get_running_loop(), "_selector", None)
    deadline = time.monotonic() + CLOSING
    # One place is the loop's own, by which other threads wake it.
    while selector and len(selector.get_map()) > 1 and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)


def awaited(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine function that runs the plain *function* in a thread, in the same context."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)

    return run
