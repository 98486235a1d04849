"""`AwaitingOperations`: what a cache does, awaiting. One or two lines a method; the steps stand in `plans`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache import plans, reading
from staleproof.cache.core import Hit
from staleproof.cache.drivers import arun
from staleproof.cache.face import Face
from staleproof.cache.missing import MISSING, Missing
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.codecs import MsgpackCodec
from staleproof.policies.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from staleproof.cache.call import Call
    from staleproof.cache.near import NearCache
    from staleproof.ports import AsyncProvider

T = TypeVar("T")


class AwaitingOperations(Face):
    """A cache over *provider*; for the other arguments see `Face`."""

    def __init__(
        self,
        provider: AsyncProvider,
        *,
        region: str = "local",
        policy: Policy = DEFAULT_POLICY,
        near: NearCache | bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(provider.namespace, region=region, policy=policy, near=near, clock=clock)
        self.provider = provider

    async def serve(self, call: Call, loader: Callable[[], Awaitable[T]]) -> T:
        """Answer *call*: a hit takes no plan, near or with one round trip; whatever else goes through the plans."""
        core = self.core
        near = core.near_for(call)
        if near is not None:
            copy = near.at_hand(call)
            if copy is not None:
                core.statistics.near_hits += 1
                return copy.value  # type: ignore[no-any-return]
            return await arun(plans.serve(core, call), self.provider, loader)
        asked = core.wanted(call)
        verdict = core.judge(call, asked, await self.provider.read(call.key, asked))
        if isinstance(verdict, Hit) and call.tags_from is None:
            core.statistics.hits += 1
            return verdict.value  # type: ignore[no-any-return]
        return await arun(plans.answer(core, call, verdict, None), self.provider, loader)

    async def look(self, call: Call) -> Any:
        """Return the value of *call* if the cache server has a fresh one, else `MISSING`; never load."""
        found = await arun(reading.look(self.core, call), self.provider)
        return found.value if isinstance(found, Hit) else MISSING

    async def reload(self, call: Call, loader: Callable[[], Awaitable[T]]) -> T:
        """Load *call* anew and store it, whatever is stored now."""
        return await arun(plans.refresh(self.core, call), self.provider, loader)

    @overload
    async def get(self, key: str, *, tags: Iterable[str] = ()) -> Any: ...

    @overload
    async def get(self, key: str, *, tags: Iterable[str] = (), kind: type[T]) -> T | Missing: ...

    async def get(self, key: str, *, tags: Iterable[str] = (), kind: Any = Any) -> Any:
        """Return what is cached under *key*, or `MISSING`.

        Args:
            key: the key's text; build it with `staleproof.key` if it has variable parts.
            tags: the tags it was stored with.
            kind: the type to read it as.
        """
        return await self.look(self.call(key, tags, codec=MsgpackCodec(kind)))

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        tags: Iterable[str] = (),
        tags_from: Callable[[T], Iterable[str]] | None = None,
        row_version: Callable[[T], int | None] | None = None,
        kind: type[T] | Any = Any,
        policy: Policy | None = None,
    ) -> T:
        """Return the fresh value of *key*, or what *loader* returns, stored for the next reader.

        Args:
            key: the key's text.
            loader: called without arguments on a miss; its exception passes through, and nothing is stored.
            tags: tags known before the load.
            tags_from: tags that only the value names.
            row_version: the version of the source row behind the value, for sources that may lag.
            kind: the type to read stored values as.
            policy: how to keep it; the cache's own by default.

        Raises:
            ProviderError: the cache server cannot be read, or no lease can be taken.
        """
        call = self.call(key, tags, policy, MsgpackCodec(kind), tags_from, row_version)
        return await self.serve(call, loader)

    async def put(
        self, key: str, value: Any, *, tags: Iterable[str] = (), policy: Policy | None = None
    ) -> None:
        """Store *value*; copies of the key anywhere else are invalidated first.

        The value counts as loaded now: where it was read from a source some time ago, use `get_or_load`, which
        fences the time between. An invalidation that comes meanwhile wins, and so does a load that begins meanwhile.
        """
        call = self.call(key, tags, policy)
        await self.evict(key)
        await arun(plans.put(self.core, call, value), self.provider)

    async def invalidate(
        self,
        *tags: str,
        keys: Sequence[str] = (),
        row_version: int | None = None,
        lag: float | str = 0,
    ) -> None:
        """Forget everything under *tags*, and *keys*. When this returns, no later read sees what was loaded before.

        Args:
            tags: tag texts.
            keys: key texts; loads of them under way will not be stored.
            row_version: the source row's version after the change, if replicas of the source may lag.
            lag: how long they may lag, seconds or `"2s"`; until then older rows are served but not stored.

        Raises:
            ProviderError: it was not acknowledged; do it again.
        """
        record = self.invalidation(tags, keys, row_version=row_version, lag=lag)
        self.acknowledged(record, await self.provider.invalidate([record]))

    async def evict(self, key: str) -> None:
        """Forget one key; a load of it under way will not be stored."""
        await self.invalidate(keys=[key])

    async def clear(self) -> None:
        """Forget the whole namespace, in constant time."""
        record = self.invalidation(clear=True)
        self.acknowledged(record, await self.provider.invalidate([record]))

    async def close(self) -> None:
        """Close the provider's connections; a later call opens them again."""
        await self.provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
