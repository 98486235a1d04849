"""`Bloom` and `AsyncBloom`: the handles of a Bloom filter. What holds and what does not stands in `filters`."""

from __future__ import annotations

import functools
from itertools import islice
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from staleproof.cache.operations import filters
from staleproof.cache.operations.features import modules
from staleproof.cache.operations.filters import BATCH, Shape
from staleproof.cache.operations.naming import Naming, must_be_awaited, must_be_blocking
from staleproof.cache.operations.performing import Perform
from staleproof.errors import ConfigurationError, ProviderError
from staleproof.policies.duration import seconds
from staleproof.ports.operations import Forget

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence

    from staleproof.cache.awaiting.serving import Serving as AwaitingServing
    from staleproof.cache.blocking.serving import Serving
    from staleproof.cache.commands import Plan

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")


class _Filter:
    """What both faces have in common."""

    def __init__(self, cache: Any, name: str, shape: Shape, ttl: float | str | None, *, module: bool) -> None:
        self._cache = cache
        self._name = Naming(name).name({})
        self._shape = shape
        self._ttl_ms = 0 if ttl is None else max(1, round(seconds(ttl, "ttl") * 1_000))
        self._module = module

    def _checked(self) -> Plan[None]:
        """Make sure that the module is there: without it everything would be a maybe, and nobody would be told."""
        if self._module:
            (yield from modules(self._cache.core)).require("bloom")

    def _looking(self, digests: Sequence[bytes]) -> Plan[list[bool]]:
        try:
            yield from self._checked()
        except ProviderError:
            return [True] * len(digests)
        return (yield from filters.look(self._name, digests, module=self._module))

    def _adding(self, items: Sequence[Any]) -> Plan[int | None]:
        yield from self._checked()
        new = yield from filters.add(self._name, filters.digests(items), module=self._module)
        return None if new < 0 else new

    def _beginning(self) -> Plan[bytes]:
        yield from self._checked()
        return (yield from filters.begin(self._name, self._shape, module=self._module))

    def _filling(self, build: bytes, items: Sequence[Any]) -> Plan[None]:
        return filters.fill(self._name, build, filters.digests(items), module=self._module)

    def _swapping(self, build: bytes) -> Plan[None]:
        return filters.swap(self._name, build, self._ttl_ms, module=self._module)

    def _clearing(self) -> Plan[None]:
        yield Perform(Forget(self._name, "filter"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}, {self._shape.capacity} items at {self._shape.rate}>"


class Bloom(_Filter):
    """A Bloom filter, for blocking code. Items are what may stand in a key: texts, numbers, UUIDs, ..."""

    _cache: Serving

    def might_contain(self, item: Any) -> bool:
        """Say whether *item* may have been added; True if there is no filter, or no server."""
        return self.might_contain_many([item])[0]

    def might_contain_many(self, items: Iterable[Any]) -> list[bool]:
        """Say of each of *items*, in order, whether it may have been added."""
        return self._cache.run(self._looking(filters.digests(items)))  # type: ignore[no-any-return]

    def add(self, *items: Any) -> int | None:
        """Add *items*; return how many were new, None if no filter is in use: then none is made, and all stay maybes.

        Raises:
            ProviderError: they were not added; do it again.
        """
        return self._cache.run(self._adding(items))  # type: ignore[no-any-return]

    def reserve(self) -> None:
        """Put an empty filter in use, whatever was there: from now on everything that exists must be added."""
        self._cache.run(self._swapping(self._cache.run(self._beginning())))

    def rebuild(self, items: Iterable[Any]) -> int:
        """Build a filter of *items* beside the one in use, and then put it in use; return how many they were.

        Raises:
            ProviderUnavailableError: the server is away, or another build took over; the one in use stays.
        """
        build, count = self._cache.run(self._beginning()), 0
        each = iter(_several(items))
        while some := list(islice(each, BATCH)):
            self._cache.run(self._filling(build, some))
            count += len(some)
        self._cache.run(self._swapping(build))
        return count

    def clear(self) -> None:
        """Remove the filter: everything may exist again."""
        self._cache.run(self._clearing())

    def admits(self, item: str, *, otherwise: D) -> Callable[[Callable[P, R]], Callable[P, R | D]]:
        """Decorate a loader: where the item was certainly not added it is not called, and *otherwise* is returned.

        Put it below `cacheable`: a hit asks nothing, and a miss that need not be loaded costs one round trip. What is
        returned is cached like any result; `negative_ttl` of the policy bounds how long, if it is None.

        Args:
            item: what the item is of the function's arguments, such as `"{product_id}"`.
            otherwise: what to return, such as None.

        Raises:
            ConfigurationError: a field is no parameter, or the function is a coroutine function.
        """
        naming = Naming(item)

        def decorate(function: Callable[P, R]) -> Callable[P, R | D]:
            must_be_blocking(function, "bloom")
            item_of = naming.of_calls(function)

            @functools.wraps(function)
            def admitted(*args: P.args, **kwargs: P.kwargs) -> R | D:
                (may,) = self._cache.run(self._looking([filters.digest_of(item_of(*args, **kwargs))]))
                return function(*args, **kwargs) if may else otherwise

            return admitted

        return decorate


class AsyncBloom(_Filter):
    """`Bloom`, awaited."""

    _cache: AwaitingServing

    async def might_contain(self, item: Any) -> bool:
        """See `Bloom.might_contain`."""
        return (await self.might_contain_many([item]))[0]

    async def might_contain_many(self, items: Iterable[Any]) -> list[bool]:
        """See `Bloom.might_contain_many`."""
        return await self._cache.run(self._looking(filters.digests(items)))  # type: ignore[no-any-return]

    async def add(self, *items: Any) -> int | None:
        """See `Bloom.add`."""
        return await self._cache.run(self._adding(items))  # type: ignore[no-any-return]

    async def reserve(self) -> None:
        """See `Bloom.reserve`."""
        await self._cache.run(self._swapping(await self._cache.run(self._beginning())))

    async def rebuild(self, items: Iterable[Any] | AsyncIterable[Any]) -> int:
        """See `Bloom.rebuild`; *items* may be asynchronous."""
        build, count = await self._cache.run(self._beginning()), 0
        some: list[Any] = []
        async for item in _each(items):
            some.append(item)
            if len(some) == BATCH:
                await self._cache.run(self._filling(build, some))
                count += len(some)
                some = []
        if some:
            await self._cache.run(self._filling(build, some))
        await self._cache.run(self._swapping(build))
        return count + len(some)

    async def clear(self) -> None:
        """See `Bloom.clear`."""
        await self._cache.run(self._clearing())

    def admits(
        self, item: str, *, otherwise: D
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R | D]]]:
        """Decorate a coroutine function; see `Bloom.admits`."""
        naming = Naming(item)

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R | D]]:
            must_be_awaited(function, "bloom")
            item_of = naming.of_calls(function)

            @functools.wraps(function)
            async def admitted(*args: P.args, **kwargs: P.kwargs) -> R | D:
                digest = filters.digest_of(item_of(*args, **kwargs))
                (may,) = await self._cache.run(self._looking([digest]))
                return await function(*args, **kwargs) if may else otherwise

            return admitted

        return decorate


async def _each(items: Any) -> AsyncIterable[Any]:
    """Yield *items*, asynchronous or not."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
        return
    for item in _several(items):
        yield item


def _several(items: Any) -> Iterable[Any]:
    if isinstance(items, str | bytes):
        raise ConfigurationError(f"items={items!r:.80} is one item; pass a list: [{items!r:.80}]")
    plain: Iterable[Any] = items
    return plain
