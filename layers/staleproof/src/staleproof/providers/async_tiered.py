"""The tiered provider's asyncio face; see `staleproof.providers.tiered`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderRejectedError
from staleproof.providers.tiered import DEFAULT_LIFE, steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from staleproof.events import Invalidation
    from staleproof.near.store import NearStore
    from staleproof.policies.duration import Duration
    from staleproof.ports import (
        AsyncProvider,
        Begun,
        Claim,
        Deposit,
        JournalId,
        JournalPage,
        Keys,
        Observed,
        Snapshot,
        Want,
    )
    from staleproof.ports.operations import Operation
    from staleproof.providers.near_entries import Step
    from staleproof.providers.tiered_steps import TieredStatistics
    from staleproof.tags import TagId

    R = TypeVar("R")


class AsyncTieredProvider:
    """Entries in the process before *remote*; implements `AsyncProvider`. For the arguments see `TieredProvider`.

    Attributes:
        local: where entries are kept.
    """

    def __init__(
        self,
        remote: AsyncProvider,
        *,
        local: NearStore | None = None,
        staleness: Duration = 0,
        life: Duration = DEFAULT_LIFE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.remote = remote
        self.namespace = remote.namespace
        self._steps = steps(local, staleness, life, clock)
        self.local = self._steps.local

    async def _run(self, step: Step[R]) -> R:
        answer: Any = None
        failure: ProviderRejectedError | None = None
        while True:
            try:
                question = step.send(answer) if failure is None else step.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = failure = None
            try:
                answer = await question(self.remote)
            except ProviderRejectedError as error:
                failure = error

    @property
    def reader(self) -> Any:
        """See `TieredProvider.reader`."""
        return getattr(self.remote, "reader", None)

    @property
    def structures(self) -> Any:
        """The remote provider's data structures, if it has some; nothing of them is near."""
        return getattr(self.remote, "structures", None)

    @property
    def statistics(self) -> TieredStatistics:
        """What it answered so far."""
        return self._steps.statistics

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `AsyncProvider.read`."""
        return await self._run(self._steps.read(key, tags))

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `AsyncProvider.read_following`."""
        return await self._run(self._steps.read_following(key, tags, cursor, limit))

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `AsyncProvider.read_many`."""
        return await self._run(self._steps.read_many(wants))

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `AsyncProvider.begin`."""
        return await self._run(self._steps.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard))

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `AsyncProvider.begin_many`."""
        return await self._run(self._steps.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard))

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `AsyncProvider.snapshot`."""
        return await self.remote.snapshot(tags, tag_ttl_ms, guard=guard)

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `AsyncProvider.store`."""
        return await self._run(self._steps.store(key, entry, ttl_ms, lease))

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `AsyncProvider.store_many`."""
        return await self._run(self._steps.store_many(deposits))

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `AsyncProvider.expire`."""
        return await self._run(self._steps.expire(key, seen_ms, expires_ms, ttl_ms))

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `AsyncProvider.put`."""
        await self._run(self._steps.put(key, entry, ttl_ms))

    async def release(self, key: str, lease: bytes) -> None:
        """See `AsyncProvider.release`."""
        await self._run(self._steps.release(key, lease))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `AsyncProvider.invalidate`."""
        return await self._run(self._steps.invalidate(invalidations))

    async def perform(self, operation: Operation) -> Any:
        """See `AsyncOperator.perform`; whether the remote has it."""
        operator: Any = self.remote
        return await operator.perform(operation)

    async def scan(self, cursor: str, limit: int) -> Keys:
        """See `AsyncProvider.scan`."""
        return await self.remote.scan(cursor, limit)

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `AsyncProvider.journal`."""
        return await self._run(self._steps.journal(cursor, limit))

    async def journal_end(self) -> JournalId:
        """See `AsyncProvider.journal_end`."""
        return await self._run(self._steps.journal_end())

    async def close(self) -> None:
        """Close the remote provider's connections; what is near stays."""
        await self.remote.close()
