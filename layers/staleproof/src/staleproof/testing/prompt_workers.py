"""`PromptWorkers`: the background, done before the call returns, so that a test need not wait for it."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from staleproof.cache.workers import DEFAULT_OVERDUE, Workers

if TYPE_CHECKING:
    from collections.abc import Callable


class PromptWorkers(Workers):
    """Refreshes are done when the read that began them returns; that read is served the stale value all the same.

    Loads that a caller may leave behind still get threads of their own: time-outs count real seconds.
    """

    def start(self, work: Callable[[], object], overdue: float = DEFAULT_OVERDUE) -> bool:  # noqa: ARG002 - it is now
        """Do *work* now, in this thread."""
        copy_context().run(work)
        return True


async def refreshed(*caches: Any) -> None:
    """Wait for the refreshes that asyncio *caches* do in the background of this event loop."""
    for cache in caches:
        while cache.driver.departed:
            await asyncio.wait(cache.driver.departed)
            await asyncio.sleep(0)  # their callbacks run
