"""`Peer`: what the measurement asks of another cache, and how a coroutine function becomes a subject."""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.measurement import Subject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

VALUE = "x" * 1_000
"""Text, because not every peer's default serializer takes bytes."""

VALUES = {42: VALUE}
"""What the decorated functions load from."""

TTL = 3_600
CROWD = "crowd"
"""Keys of an invalidation's crowd are `crowd:0`, `crowd:1` …, their tag or namespace is `crowd`."""


class Peer(Protocol):
    """Another cache, set up as its documentation says, over Redis and over its own memory.

    Attributes:
        package: its distribution's name.
        how: what stands for the invalidation of a tag, in a few words.
    """

    package: str
    how: str

    def tagged_hit(self) -> Subject:
        """A decorated function's hit over Redis, with three tags if the peer has tags."""
        ...

    def near_hit(self) -> Subject | None:
        """A decorated function's hit in the process; None if the peer offers none beside a server."""
        ...

    def store_one(self) -> None:
        """Store the crowd's first entry under its tag, in the peer's own way; the others are made in its image."""
        ...

    def alive(self, number: int) -> bool:
        """Say whether the crowd's entry of that number is a hit."""
        ...

    def invalidate(self, count: int) -> None:
        """Forget the crowd of *count* entries."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class Awaiting:
    """An event loop that runs a peer's coroutines from blocking code."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for *awaitable*."""

        async def outer() -> Any:
            return await awaitable

        return self._runner.run(outer())

    def subject(self, operation: Callable[[], Awaitable[Any]]) -> Subject:
        """Return *operation* as a subject: the loop is entered once a sample, of at least sixteen operations."""

        async def many(number: int) -> None:
            for _ in repeat(None, number):
                await operation()

        run = self._runner.run
        run(many(1))
        return Subject(lambda number: run(many(number)), number=0, least=16)

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()
