"""The types of what `cacheable` returns: a function with handles beside it, also as a method.

A method's handles take what the method takes: `shop.product.invalidate(42)`. A class method is bound to its class,
whether `@classmethod` stands above or below, and a static method is reached through its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from staleproof.cache.explanation import Explanation
    from staleproof.cache.missing import Missing

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class CachedFunction(Protocol[P, T_co]):
    """A cached function: called as before, with handles beside it."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the cached or loaded result."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key that a call with these arguments reads."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, ...]:
        """Return the tags that the templates name for these arguments."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> T_co | Missing:
        """Return what the cache server holds for these arguments, or `MISSING`; never load."""
        ...

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """Tell why a call with these arguments is a hit, a miss or stale; changes nothing."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments, in every process that follows this region's journal."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Load the result anew, store and return it."""
        ...


class Cached(CachedFunction[P, T_co], Protocol[P, T_co]):
    """A cached function that may stand in a class: reached by an object it is bound to it, handles and all."""

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> Cached[P, T_co]: ...

    @overload
    def __get__(
        self: Cached[Concatenate[S, Q], T], instance: S, owner: Any = None, /
    ) -> CachedFunction[Q, T]: ...


class CachedClassMethod(CachedFunction[..., T_co], Protocol[P, T_co]):
    """A cached class method."""

    def __get__(self, instance: Any, owner: Any = None, /) -> CachedFunction[P, T_co]: ...


class AsyncCachedFunction(Protocol[P, T_co]):
    """A cached coroutine function; see `CachedFunction`."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Return the cached or loaded result."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """See `CachedFunction.key`."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, ...]:
        """See `CachedFunction.tags`."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co | Missing]:
        """See `CachedFunction.peek`."""
        ...

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Explanation]:
        """See `CachedFunction.explain`."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """See `CachedFunction.invalidate`."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """See `CachedFunction.refresh`."""
        ...


class AsyncCached(AsyncCachedFunction[P, T_co], Protocol[P, T_co]):
    """A cached coroutine function that may stand in a class; see `Cached`."""

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> AsyncCached[P, T_co]: ...

    @overload
    def __get__(
        self: AsyncCached[Concatenate[S, Q], T], instance: S, owner: Any = None, /
    ) -> AsyncCachedFunction[Q, T]: ...


class AsyncCachedClassMethod(AsyncCachedFunction[..., T_co], Protocol[P, T_co]):
    """A cached coroutine class method."""

    def __get__(self, instance: Any, owner: Any = None, /) -> AsyncCachedFunction[P, T_co]: ...


class Decorator(Protocol):
    """What `Cache.cacheable` returns: it takes a function of any signature, and keeps it."""

    # What takes a type first is taken for a class method, for both type checkers show one so.
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], T]
    ) -> CachedClassMethod[P, T]: ...

    @overload
    def __call__(self, function: Callable[P, T]) -> Cached[P, T]: ...


class AsyncDecorator(Protocol):
    """What `AsyncCache.cacheable` returns: it takes a coroutine function of any signature, and keeps it."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Coroutine[Any, Any, T]]
    ) -> AsyncCachedClassMethod[P, T]: ...

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> AsyncCached[P, T]: ...


class EitherDecorator(Protocol):
    """What `staleproof.cacheable` returns: it takes a function of any signature, coroutine function or not."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], Coroutine[Any, Any, T]]
    ) -> AsyncCachedClassMethod[P, T]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> AsyncCached[P, T]: ...

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[Concatenate[type[S], P], T]
    ) -> CachedClassMethod[P, T]: ...

    @overload
    def __call__(self, function: Callable[P, T]) -> Cached[P, T]: ...
