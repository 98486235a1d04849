"""The types of what `cacheable` returns: a function with handles beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from staleproof.cache.missing import Missing

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Cached(Protocol[P, T_co]):
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

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments, in every process that follows this region's journal."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Load the result anew, store and return it."""
        ...


class AsyncCached(Protocol[P, T_co]):
    """A cached coroutine function; see `Cached`."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """Return the cached or loaded result."""
        ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """See `Cached.key`."""
        ...

    def tags(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, ...]:
        """See `Cached.tags`."""
        ...

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co | Missing]:
        """See `Cached.peek`."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, None]:
        """See `Cached.invalidate`."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """See `Cached.refresh`."""
        ...


class Decorator(Protocol):
    """What `Cache.cacheable` returns: it takes a function of any signature, and keeps it."""

    def __call__(self, function: Callable[P, T]) -> Cached[P, T]:
        """Decorate *function*."""
        ...


class AsyncDecorator(Protocol):
    """What `AsyncCache.cacheable` returns: it takes a coroutine function of any signature, and keeps it."""

    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> AsyncCached[P, T]:
        """Decorate *function*."""
        ...
