"""A blocking face for an asyncio provider, so that one contract serves both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any


class Blocking:
    """Run each of *provider*'s coroutine methods to its end, on one private event loop."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._provider, name)
        if not inspect.iscoroutinefunction(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run_until_complete(value(*args, **kwargs))

        return call

    def shut(self) -> None:
        """Close the provider's connections and the loop."""
        self._loop.run_until_complete(self._provider.close())
        self._loop.close()
