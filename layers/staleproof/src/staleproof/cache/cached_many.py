"""The types of what `cacheable_many` returns: a function from ids to values, with handles that take the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from staleproof.cache.explanation import Explanation

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
K = TypeVar("K")
V = TypeVar("V")


class CachedManyFunction(Protocol[P, K, V]):
    """A cached function of many ids: called as before, with handles beside it."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """Return cached and loaded values by id, in the order asked for; what there is not is left out."""
        ...

    def key(self, one: K, /, *args: Any, **kwargs: Any) -> str:
        """Return the key of one id, which stands where the function takes the list."""
        ...

    def tags(self, one: K, /, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Return the tags of one id, likewise."""
        ...

    def explain(self, one: K, /, *args: Any, **kwargs: Any) -> Explanation:
        """Tell why one id, which stands where the function takes the list, is a hit, a miss or stale."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """Return what the cache server holds of these ids; never load."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the values of these ids, in every process that follows this region's journal."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """Forget the values of these ids, load them anew, store and return them."""
        ...


class CachedManyClassMethod(CachedManyFunction[..., K, V], Protocol[P, K, V]):
    """The same for a class method."""

    def __get__(self, instance: Any, owner: Any = None, /) -> CachedManyFunction[P, K, V]: ...


class CachedMany(CachedManyFunction[P, K, V], Protocol[P, K, V]):
    """The same, which may stand in a class: reached by an object it is bound to it, handles and all."""

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> CachedMany[P, K, V]: ...

    @overload
    def __get__(
        self: CachedMany[Concatenate[S, Q], K, V], instance: S, owner: Any = None, /
    ) -> CachedManyFunction[Q, K, V]: ...


class AsyncCachedManyFunction(Protocol[P, K, V]):
    """A cached coroutine function of many ids; see `CachedManyFunction`."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, dict[K, V]]:
        """See `CachedManyFunction`."""
        ...

    def key(self, one: K, /, *args: Any, **kwargs: Any) -> str:
        """See `CachedManyFunction.key`."""
        ...

    def tags(self, one: K, /, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """See `CachedManyFunction.tags`."""
        ...

    def explain(self, one: K, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Explanation]:
        """See `CachedManyFunction.explain`."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, dict[K, V]]:
        """See `CachedManyFunction.peek`."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """See `CachedManyFunction.invalidate`."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, dict[K, V]]:
        """See `CachedManyFunction.refresh`."""
        ...


class AsyncCachedManyClassMethod(AsyncCachedManyFunction[..., K, V], Protocol[P, K, V]):
    """The same for a class method."""

    def __get__(self, instance: Any, owner: Any = None, /) -> AsyncCachedManyFunction[P, K, V]: ...


class AsyncCachedMany(AsyncCachedManyFunction[P, K, V], Protocol[P, K, V]):
    """The same, which may stand in a class; see `CachedMany`."""

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> AsyncCachedMany[P, K, V]: ...

    @overload
    def __get__(
        self: AsyncCachedMany[Concatenate[S, Q], K, V], instance: S, owner: Any = None, /
    ) -> AsyncCachedManyFunction[Q, K, V]: ...


class ManyDecorator(Protocol):
    """What `Cache.cacheable_many` returns: it takes a function that returns a dict by id, and keeps its signature."""

    # What takes a type first is taken for a class method, as in `staleproof.cache.cached`.
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Mapping[K, V]]
    ) -> CachedManyClassMethod[P, K, V]: ...

    @overload
    def __call__(self, function: Callable[P, Mapping[K, V]]) -> CachedMany[P, K, V]: ...


class AsyncManyDecorator(Protocol):
    """What `AsyncCache.cacheable_many` returns; see `ManyDecorator`."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Coroutine[Any, Any, Mapping[K, V]]]
    ) -> AsyncCachedManyClassMethod[P, K, V]: ...

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Mapping[K, V]]]
    ) -> AsyncCachedMany[P, K, V]: ...


class EitherManyDecorator(Protocol):
    """What `staleproof.cacheable_many` returns: it takes a coroutine function, or a blocking one."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Coroutine[Any, Any, Mapping[K, V]]]
    ) -> AsyncCachedManyClassMethod[P, K, V]: ...

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Mapping[K, V]]]
    ) -> AsyncCachedMany[P, K, V]: ...

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Mapping[K, V]]
    ) -> CachedManyClassMethod[P, K, V]: ...

    @overload
    def __call__(self, function: Callable[P, Mapping[K, V]]) -> CachedMany[P, K, V]: ...
