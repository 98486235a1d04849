"""`replaced`: an application's own caches, in memory and on the test's clock for one test.

Theory of operation: a cache's state lies in its core (policy, near cache, clock, statistics, what it remembers) and in
its driver (provider, loads under way). Both are put aside and fresh ones put in their place; decorated functions hold
the cache and find them there. Only their compiled hit path holds the near cache itself. That is hidden meanwhile, as
while a cache is switched off: so such a call takes the next path, which finds the new one.

Near copies of a decorated function lie on a shelf that both near caches use. So the new one is emptied at the end, and
what still goes on in the background can put nothing there any more.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.cache import nesting
from staleproof.cache.blocking import BlockingOperations
from staleproof.cache.core import Core
from staleproof.cache.deferred import Deferred
from staleproof.cache.near import NearCache
from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError
from staleproof.providers.memory import MemoryProvider
from staleproof.testing.prompt_workers import PromptWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator


class Replacement(NamedTuple):
    """What the caches stand on within `replaced`.

    Attributes:
        clock: moves time for all of them.
        servers: the server of each namespace, in memory.
    """

    clock: ManualClock
    servers: dict[str, MemoryProvider]


@contextmanager
def replaced(*caches: Any, clock: ManualClock | None = None) -> Iterator[Replacement]:
    """Let *caches* work in memory within: empty, on a clock of their own, with statistics that begin at zero.

    Functions that they decorate go along, and so do their caches over further providers (`cache.on`). Caches of one
    namespace share a server, as a blocking and an asyncio cache of one application do. One that is switched off stays
    off. Afterwards everything is as before. Refreshes in the background are done at once; for those of asyncio caches
    `refreshed` waits.

    Args:
        caches: blocking and asyncio ones.
        clock: a clock that the test has already.

    Raises:
        ConfigurationError: there are no caches to replace, or one of them is none.
    """
    replacement = Replacement(clock or ManualClock(), {})
    if not caches:
        raise ConfigurationError("replaced() needs the caches to replace, such as replaced(app.cache)")
    with ExitStack() as stack:
        for cache in caches:
            if not hasattr(cache, "core") or not hasattr(cache, "driver"):
                raise ConfigurationError(f"replaced({cache!r}): this is no Cache or AsyncCache")
            for each in (cache, *cache._siblings.values()):  # noqa: SLF001 - nobody else needs all of them
                stack.enter_context(_in_memory(each, replacement))
        yield replacement


@contextmanager
def _in_memory(cache: Any, replacement: Replacement) -> Iterator[None]:
    core, driver = cache.core, cache.driver
    if core.near is not None:
        nesting.switch(core.near, off=True)
    cache.core = _fresh_core(core, replacement.clock)
    cache.driver = _fresh_driver(cache, driver, replacement)
    cache.core.statistics.provider = cache.driver.provider
    cache.settle_switch()
    try:
        yield
    finally:
        ended = cache.core
        cache.core, cache.driver = core, driver
        if ended.near is not None:
            near, ended.near = ended.near, None
            near.reset()
        cache.settle_switch()


def _fresh_core(core: Core, clock: ManualClock) -> Core:
    return Core(
        namespace=core.namespace,
        region=core.region,
        policy=core.policy,
        near=None if core.near is None else NearCache(clock=clock),
        clock=clock,
        compression=core.compression,
        dictionaries=core.dictionaries,
        draw=Random(0).random,
        deferred=None if core.deferred is None else Deferred(),
    )


def _fresh_driver(cache: Any, driver: Any, replacement: Replacement) -> Any:
    namespace = cache.core.namespace
    server = replacement.servers.get(namespace)
    if server is None:
        server = replacement.servers[namespace] = MemoryProvider(namespace, clock=replacement.clock)
    if isinstance(cache, BlockingOperations):
        fresh = type(driver)(cache.core, server, background=driver.background)
        fresh.workers = PromptWorkers()
        return fresh
    from staleproof.providers.async_memory import AsyncMemoryProvider  # noqa: PLC0415 - blocking tests need none

    return type(driver)(cache.core, AsyncMemoryProvider(inner=server), background=driver.background)
