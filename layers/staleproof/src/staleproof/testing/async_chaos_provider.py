"""`AsyncChaosProvider`: an asyncio provider whose calls meet the faults of a `Chaos`."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.testing.chaos_provider import Targets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from staleproof.events import Invalidation
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
    from staleproof.tags import TagId
    from staleproof.testing.chaos import Chaos, Verdict

R = TypeVar("R")


class AsyncChaosProvider:
    """*provider*, with faults; implements `AsyncProvider`.

    Args:
        provider: does the work.
        chaos: says what goes wrong.
        evict, sleep: see `ChaosProvider`; plain functions or coroutine functions.
        between: see `ChaosProvider`; it is called in a thread, and waited for, so it may use blocking code.
    """

    def __init__(
        self,
        provider: AsyncProvider,
        chaos: Chaos,
        *,
        evict: Callable[[bytes], object] | None = None,
        sleep: Callable[[float], object] = asyncio.sleep,
        between: Callable[[str], object] | None = None,
    ) -> None:
        self.provider = provider
        self.chaos = chaos
        self.namespace = provider.namespace
        inner = getattr(provider, "inner", provider)
        self._targets = Targets(provider.namespace, chaos, evict or getattr(inner, "drop", None))
        self._sleep = sleep
        self._between = between

    def __getattr__(self, name: str) -> Any:
        """Return what only *provider* has."""
        if name == "provider":  # a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self.provider, name)

    async def _do(self, method: str, names: Iterable[bytes], work: Callable[[], Awaitable[R]]) -> R:
        return await self._done(method, await self._decided(method, names), work)

    async def _decided(self, method: str, names: Iterable[bytes]) -> Verdict:
        if self._between is not None:
            await asyncio.to_thread(self._between, method)
        verdict = self.chaos.decide(method, names)
        if verdict.delay:
            await _finished(self._sleep(verdict.delay))
        if verdict.evict is not None and self._targets.evict is not None:
            await _finished(self._targets.evict(verdict.evict))
        return verdict

    async def _done(self, method: str, verdict: Verdict, work: Callable[[], Awaitable[R]]) -> R:
        if verdict.refused is not None:
            raise verdict.refused
        reply = await work()
        if self._between is not None:
            await asyncio.to_thread(self._between, method)
        return verdict.checked(reply)  # type: ignore[no-any-return]

    # --- steps -------------------------------------------------------------------------------------

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `AsyncProvider.read`."""
        return await self._do("read", self._targets.of([key], tags), lambda: self.provider.read(key, tags))

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `AsyncProvider.read_following`."""
        work = lambda: self.provider.read_following(key, tags, cursor, limit)  # noqa: E731
        return await self._do("read_following", self._targets.of([key], tags), work)

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `AsyncProvider.read_many`."""
        return await self._do("read_many", (), lambda: self.provider.read_many(wants))

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `AsyncProvider.begin`."""
        work = lambda: self.provider.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard)  # noqa: E731
        return await self._do("begin", self._targets.of([key], tags), work)

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `AsyncProvider.begin_many`."""
        work = lambda: self.provider.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard)  # noqa: E731
        return await self._do("begin_many", self._targets.of([claim.key for claim in claims]), work)

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `AsyncProvider.snapshot`."""
        work = lambda: self.provider.snapshot(tags, tag_ttl_ms, guard=guard)  # noqa: E731
        return await self._do("snapshot", self._targets.of(tags=tags), work)

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `AsyncProvider.store`."""
        verdict = await self._decided("store", self._targets.of([key]))
        if verdict.fault == "lost":
            await self.provider.release(key, lease)
            return True
        return await self._done("store", verdict, lambda: self.provider.store(key, entry, ttl_ms, lease))

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `AsyncProvider.store_many`."""
        verdict = await self._decided("store_many", self._targets.of([deposit.key for deposit in deposits]))
        if verdict.fault == "lost":
            for deposit in deposits:
                await self.provider.release(deposit.key, deposit.lease)
            return [True] * len(deposits)
        return await self._done("store_many", verdict, lambda: self.provider.store_many(deposits))

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `AsyncProvider.expire`."""
        work = lambda: self.provider.expire(key, seen_ms, expires_ms, ttl_ms)  # noqa: E731
        return await self._do("expire", self._targets.of([key]), work)

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `AsyncProvider.put`."""
        verdict = await self._decided("put", self._targets.of([key]))
        if verdict.fault != "lost":
            await self._done("put", verdict, lambda: self.provider.put(key, entry, ttl_ms))

    async def release(self, key: str, lease: bytes) -> None:
        """See `AsyncProvider.release`."""
        await self._do("release", (), lambda: self.provider.release(key, lease))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `AsyncProvider.invalidate`."""
        return await self._do("invalidate", (), lambda: self.provider.invalidate(invalidations))

    async def scan(self, cursor: str, limit: int) -> Keys:
        """See `AsyncProvider.scan`."""
        return await self._do("scan", (), lambda: self.provider.scan(cursor, limit))

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `AsyncProvider.journal`."""
        return await self._do("journal", self._targets.of(), lambda: self.provider.journal(cursor, limit))

    async def journal_end(self) -> JournalId:
        """See `AsyncProvider.journal_end`."""
        return await self._do("journal_end", (), self.provider.journal_end)

    async def close(self) -> None:
        """See `AsyncProvider.close`."""
        await self.provider.close()


async def _finished(result: object) -> None:
    if inspect.isawaitable(result):
        await result
