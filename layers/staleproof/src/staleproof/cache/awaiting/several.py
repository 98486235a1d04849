"""`Several`: what an asyncio cache does with many keys at once, in a few round trips."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, overload

from staleproof.cache import many, writing
from staleproof.cache.asking import awaitable, checked_values, distinct_keys, told
from staleproof.cache.awaiting.values import Lasting
from staleproof.cache.bulk import Bulk, Item, Progress, checked_items
from staleproof.cache.commands import Scan
from staleproof.cache.missing import MISSING
from staleproof.cache.storing import BATCH

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )

    from staleproof.policies.policy import Policy

T = TypeVar("T")

SCANNED = 500
"""Keys that one step of a scan looks at, about."""


class Several(Lasting):
    """Reading and writing many values. All of one call have the same tags, type and policy."""

    @overload
    async def get_many(self, keys: Iterable[str], *, tags: Iterable[str] = ()) -> dict[str, Any]: ...

    @overload
    async def get_many(
        self, keys: Iterable[str], *, tags: Iterable[str] = (), kind: type[T]
    ) -> dict[str, T]: ...

    @overload
    async def get_many(
        self, keys: Iterable[str], *, tags: Iterable[str] = (), kind: Any
    ) -> dict[str, Any]: ...

    async def get_many(
        self, keys: Iterable[str], *, tags: Iterable[str] = (), kind: Any = Any
    ) -> dict[str, Any]:
        """Return what is cached of *keys*, by key; what is not there is left out."""
        wanted = distinct_keys(keys)
        calls = [self.call(key, tags, kind=kind) for key in wanted]
        found = await self.run(many.get_many(self.core, calls))
        return {key: value for key, value in zip(wanted, found, strict=True) if value is not MISSING}

    async def get_or_load_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Awaitable[Mapping[str, T]]],
        *,
        tags: Iterable[str] = (),
        tags_from: Callable[[T], Iterable[str]] | None = None,
        row_version: Callable[[T], int | None] | None = None,
        kind: type[T] | Any = Any,
        policy: Policy | str | None = None,
    ) -> dict[str, T]:
        """Return values for *keys*, by key, loading only what is missing.

        Args:
            keys: the keys' texts.
            loader: called once with the missing keys; returns values by key. What it leaves out is left out here.
            tags: tags known before the load, the same for all.
            tags_from: tags that only a value names.
            row_version: the version of the source row behind a value.
            kind: the type to read stored values as.
            policy: how to keep them; the cache's own by default.
        """
        wanted = distinct_keys(keys)
        calls = [self.call(key, tags, policy, kind, tags_from, row_version) for key in wanted]

        async def load(missing: Sequence[int]) -> Mapping[int, Any]:
            loaded = await awaitable(loader([wanted[at] for at in missing]), loader)
            return told(wanted, missing, loaded)

        found = await self.serve_many(calls, load)
        return {key: value for key, value in zip(wanted, found, strict=True) if value is not MISSING}

    async def put_many(
        self,
        values: Mapping[str, Any],
        *,
        tags: Iterable[str] = (),
        kind: type | Any = Any,
        policy: Policy | str | None = None,
    ) -> int:
        """Store *values* by key, as `put` stores one; return how many were stored."""
        items = [Item(key, value, tags) for key, value in checked_values(values).items()]
        return await self._put_items(items, policy, kind)

    async def evict_many(self, keys: Iterable[str]) -> None:
        """Forget *keys*; loads of them under way will not be stored."""
        await self.apply(self.invalidation(keys=distinct_keys(keys)))

    async def load_all(
        self,
        items: Iterable[Item | tuple[str, Any]] | AsyncIterable[Item | tuple[str, Any]],
        *,
        batch: int = BATCH,
        rate: float | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        policy: Policy | str | None = None,
    ) -> Progress:
        """Store everything that *items* yields, in batches of one round trip or two each.

        The next batch is taken from *items* when the last one was stored, so a slow server holds its producer back.

        Args:
            items: pairs of key and value, or `Item`s, which may have tags of their own.
            batch: how many are stored at once.
            rate: how many a second at most; None for no limit.
            on_progress: called after each batch.
            policy: how to keep them.

        Raises:
            ProviderError: the server did not take a batch; `on_progress` has told how far it came.
        """
        bulk = Bulk(batch, rate, self.core.clock)
        async for some in bulk.async_batches(items):
            bulk.done(some, await self._put_items(some, policy))
            if on_progress is not None:
                on_progress(bulk.progress)
            await asyncio.sleep(bulk.ahead)
        return bulk.progress

    async def _put_items(self, items: Sequence[Item], policy: Policy | str | None, kind: Any = Any) -> int:
        if not items or self.core.off:
            return 0
        unique = checked_items(items)
        calls = [self.call(item.key, item.tags, policy, kind) for item in unique]
        record = self.invalidation(keys=[item.key for item in unique])
        stored: int = await self.run(
            writing.put_many(self.core, calls, [item.value for item in unique], record)
        )
        return stored

    async def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the keys of stored entries that begin with *prefix*, in no order, each once.

        It steps through the server with `SCAN`, a bounded number of keys at a time, and takes no snapshot: what is
        stored or removed meanwhile may come or not. Entries may be outdated. Keys above 512 bytes are not found.
        A scan is one server's: after a failover in its course, keys may have been left out; begin anew.
        """
        seen: set[str] = set()
        cursor = ""
        while True:
            page = await self.run_command(Scan(cursor, SCANNED))
            for key in page.keys:
                if key.startswith(prefix) and key not in seen:
                    seen.add(key)
                    yield key
            cursor = page.cursor
            if not cursor:
                return
