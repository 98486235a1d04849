"""`AwaitingOperations`: everything that an asyncio cache does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache.async_drivers import AsyncDriver
from staleproof.cache.awaiting.server_operations import ServerOperations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.explanation import Explanation
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy


class AwaitingOperations(ServerOperations):
    """Values, many of them, and invalidation."""

    async def invalidate(
        self,
        *tags: str,
        keys: Sequence[str] = (),
        soft: bool = False,
        row_version: int | None = None,
        lag: Duration = 0,
    ) -> None:
        """Forget everything under *tags*, and *keys*. When this returns, no later read sees what was loaded before.

        Args:
            tags: tag texts.
            keys: key texts; loads of them under way will not be stored.
            soft: what is forgotten may be served stale, by policies with `stale_while_revalidate` or `stale_if_error`,
                while it is loaded anew.
            row_version: the source row's version after the change, if replicas of the source may lag.
            lag: how long they may lag, seconds or `"2s"`; until then older rows are served but not stored.

        Raises:
            ProviderError: it was not acknowledged; do it again.
        """
        await self.apply(self.invalidation(tags, keys, soft=soft, row_version=row_version, lag=lag))

    async def evict(self, key: str, *, soft: bool = False) -> None:
        """Forget one key; a load of it under way will not be stored. See `invalidate` for *soft*."""
        await self.invalidate(keys=[key], soft=soft)

    async def clear(self, *, soft: bool = False) -> None:
        """Forget the whole namespace, in constant time. See `invalidate` for *soft*."""
        await self.apply(self.invalidation(clear=True, soft=soft))

    async def explain(
        self, key: str, *, tags: Iterable[str] = (), kind: Any = Any, policy: Policy | str | None = None
    ) -> Explanation:
        """Tell why *key* is a hit, a miss or stale: for a person with `str`, for a program with `as_dict`.

        It changes nothing here: nothing is counted, kept, touched or loaded. It asks the server a bounded number of
        questions, 53 in the worst case, all of them reads and mostly one to four; a server that is away is part of the
        explanation. See `staleproof.cache.explaining`.
        """
        texts = tuple(tags)
        return await self.explain_of(self.call(key, texts, policy, kind), texts)

    async def explain_of(self, call: Call, tags: Sequence[str] = ()) -> Explanation:
        """Explain *call*, whose tags' texts are *tags*; see `explain`."""
        from staleproof.cache.explaining import bystander, explain  # noqa: PLC0415 - most programs never need it

        driver = AsyncDriver(bystander(self.core), self.provider, background=False)
        plan = explain(self.core, call, tags, loading=self.driver.flights.under_way(call.flight))
        return await driver.run(plan)
