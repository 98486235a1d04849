"""Several endpoints of replicas, of which the nearest is asked: see `routes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeVar

    from staleproof.ports import JournalId, JournalPage, Observed
    from staleproof.providers.redis.async_provider import AsyncRedisProvider
    from staleproof.providers.redis.provider import RedisProvider
    from staleproof.tags import TagId

    R = TypeVar("R")


class NearestReader:
    """What `RedisProvider` takes for its reader where there are several.

    Args:
        readers: the same namespace at each endpoint.
        clock: the source of time.
    """

    def __init__(self, readers: Sequence[RedisProvider], clock: Clock = SYSTEM_CLOCK) -> None:
        self.readers = readers
        self.routes = Routes(len(readers), clock)
        self._clock = clock

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`; a place that does not answer is passed over once."""
        try:
            return self._timed(lambda reader: reader.read_following(key, tags, cursor, limit))
        except ProviderUnavailableError:
            return self._timed(lambda reader: reader.read_following(key, tags, cursor, limit))

    def _timed(self, ask: Callable[[RedisProvider], R]) -> R:
        at = self.routes.choose()
        began = self._clock.monotonic()
        try:
            answer = ask(self.readers[at])
        except ProviderUnavailableError:
            self.routes.failed(at)
            raise
        self.routes.answered(at, self._clock.monotonic() - began)
        return answer

    def lead_to_replicas(self) -> None:
        """See `RedisProvider.lead_to_replicas`."""
        for reader in self.readers:
            reader.lead_to_replicas()

    def close(self) -> None:
        """See `RedisProvider.close`."""
        for reader in self.readers:
            reader.close()


class AsyncNearestReader:
    """See `NearestReader`."""

    def __init__(self, readers: Sequence[AsyncRedisProvider], clock: Clock = SYSTEM_CLOCK) -> None:
        self.readers = readers
        self.routes = Routes(len(readers), clock)
        self._clock = clock

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `NearestReader.read_following`."""
        try:
            return await self._timed(lambda reader: reader.read_following(key, tags, cursor, limit))
        except ProviderUnavailableError:
            return await self._timed(lambda reader: reader.read_following(key, tags, cursor, limit))

    async def _timed(self, ask: Callable[[AsyncRedisProvider], Awaitable[R]]) -> R:
        at = self.routes.choose()
        began = self._clock.monotonic()
        try:
            answer = await ask(self.readers[at])
        except ProviderUnavailableError:
            self.routes.failed(at)
            raise
        self.routes.answered(at, self._clock.monotonic() - began)
        return answer

    def lead_to_replicas(self) -> None:
        """See `RedisProvider.lead_to_replicas`."""
        for reader in self.readers:
            reader.lead_to_replicas()

    async def close(self) -> None:
        """See `RedisProvider.close`."""
        for reader in self.readers:
            await reader.close()
