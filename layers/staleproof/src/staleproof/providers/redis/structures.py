"""Data structures on a Redis or Valkey server or cluster, both faces, over the steps of `structure_steps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import ProviderUnavailableError
from staleproof.ports.structures import observed_digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from staleproof.keys import Keyspace
    from staleproof.ports import Observed
    from staleproof.ports.structures import Operation
    from staleproof.providers.redis.journal import JournalSteps
    from staleproof.providers.redis.steps import Step
    from staleproof.tags import TagId


class RedisStructures:
    """Implements `StructuresProvider`.

    Args:
        keys: the namespace's names.
        read: the provider's `read`.
        run: runs a step, again if need be.
    """

    def __init__(
        self,
        keys: Keyspace,
        read: Callable[[str, Sequence[TagId]], Observed],
        run: Callable[[Callable[[JournalSteps], Step[Any]]], Any],
    ) -> None:
        self._keys = keys
        self._read = read
        self._run = run

    def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:
        """See `StructuresProvider.locate`; a look at what is there takes one MGET."""
        found = None if write else observed_digest(self._read(key, tags))
        if found is not None:
            return self._keys.body(key, found)
        body: bytes = self._run(lambda steps: steps.locate(key, tags, life_ms))
        return body

    def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """See `StructuresProvider.operate`."""
        replies: list[Any] = self._run(Attempt(body, operations))
        return replies


class AsyncRedisStructures:
    """`RedisStructures`, awaited."""

    def __init__(
        self,
        keys: Keyspace,
        read: Callable[[str, Sequence[TagId]], Awaitable[Observed]],
        run: Callable[[Callable[[JournalSteps], Step[Any]]], Awaitable[Any]],
    ) -> None:
        self._keys = keys
        self._read = read
        self._run = run

    async def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:
        """See `RedisStructures.locate`."""
        found = None if write else observed_digest(await self._read(key, tags))
        if found is not None:
            return self._keys.body(key, found)
        body: bytes = await self._run(lambda steps: steps.locate(key, tags, life_ms))
        return body

    async def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """See `RedisStructures.operate`."""
        replies: list[Any] = await self._run(Attempt(body, operations))
        return replies


class Attempt:
    """Makes the step for *operations*; what must be done once is not begun again after a connection broke.

    A server that does not know a script has done nothing: then the step is begun again, by other steps, which send the
    script's text.
    """

    def __init__(self, body: bytes, operations: Sequence[Operation]) -> None:
        self._body = body
        self._operations = operations
        self._once = any(each.once for each in operations)
        self._tried: JournalSteps | None = None

    def __call__(self, steps: JournalSteps) -> Step[list[Any]]:
        """Return the step.

        Raises:
            ProviderUnavailableError: it was begun before, and perhaps done.
        """
        if self._once and steps is self._tried:
            raise ProviderUnavailableError("the connection broke before the answer came")
        self._tried = steps
        return steps.operate(self._body, self._operations)
