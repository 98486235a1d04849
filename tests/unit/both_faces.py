"""Both faces of a cache behind one, so that a law of decorators is written once."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import AsyncCache, Cache
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable


class Face:
    """One face: its cache, functions of its colour, and what runs their results to an end."""

    def __init__(self, *, awaited: bool, **options: Any) -> None:
        self.awaited = awaited
        self.clock = ManualClock()
        self.cache = self.another("shop", **options)

    def another(self, namespace: str, **options: Any) -> Any:
        """Another cache of the same face."""
        if self.awaited:
            return AsyncCache(AsyncMemoryProvider(namespace, clock=self.clock), clock=self.clock, **options)
        return Cache(MemoryProvider(namespace, clock=self.clock), clock=self.clock, **options)

    def provider(self, namespace: str) -> Any:
        """A provider for this face."""
        kind = AsyncMemoryProvider if self.awaited else MemoryProvider
        return kind(namespace, clock=self.clock)

    def coloured(self, function: Callable[..., Any]) -> Any:
        """The function, as a coroutine function if this is the asyncio face."""
        if not self.awaited:
            return function

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        return awaited

    def do(self, result: Any) -> Any:
        """What a call returned, awaited if need be."""
        return asyncio.run(result) if inspect.iscoroutine(result) else result


FACES = pytest.mark.parametrize("face", [False, True], ids=["blocking", "awaiting"], indirect=True)
