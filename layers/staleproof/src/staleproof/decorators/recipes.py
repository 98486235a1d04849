"""`Recipe`: how a decorated function was made, so that it can be made again with its class's defaults, or later."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.decorators import registry
from staleproof.decorators.colour import check_colour
from staleproof.decorators.methods import HANDLES, unboxed

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.decorators.options import Options


class Kind(NamedTuple):
    """One decorator.

    Attributes:
        shape: takes the function and what the decorator was told, and checks both.
        blocking: takes a cache and a shape, and returns the function that replaces the decorated one.
        awaiting: the same for an asyncio cache.
        handles: what hangs on that function.
    """

    shape: Callable[[Any, Any], Any]
    blocking: Callable[[Any, Any], Any]
    awaiting: Callable[[Any, Any], Any]
    handles: tuple[str, ...] = HANDLES

    def made(self, cache: Any, shape: Any, told: Any, *, awaited: bool) -> Any:
        """Return the function that replaces the decorated one."""
        over = cache if told.provider is None else cache.on(told.provider)
        return (self.awaiting if awaited else self.blocking)(over, shape)


class Recipe(NamedTuple):
    """A decorator, where it looks, what it was told, and the function that it was given.

    Attributes:
        kind: the decorator.
        cache: the cache, or the name of one that is looked up at every call.
        function: the decorated function.
        told: `Options` or `Eviction`.
        awaited: whether the function is a coroutine function.
    """

    kind: Kind
    cache: Any
    function: Callable[..., Any]
    told: Any
    awaited: bool

    def made(self) -> Callable[..., Any]:
        """Return the function that replaces the decorated one."""
        check_colour(self.function, awaited=self.awaited)
        shape = self.kind.shape(self.function, self.told)
        if isinstance(self.cache, str):
            made = _late(self, shape)
        else:
            made = self.kind.made(self.cache, shape, self.told, awaited=self.awaited)
        made.__staleproof__ = (made, self)
        return made  # type: ignore[no-any-return]

    def behind(self, cache: Any, defaults: Options) -> Callable[..., Any]:
        """Return the same, and what it wraps, made again with *defaults*, as far as it is *cache*'s business."""
        inner = recipe_of(self.function)
        function = self.function if inner is None else inner.behind(cache, defaults)
        told = self.told.behind(defaults) if self.cache is cache else self.told
        return self._replace(function=function, told=told).made()


def recipe_of(function: Any) -> Recipe | None:
    """Return how *function* was made; None if it is none of ours, though a decorator copied our marks to it."""
    made, recipe = getattr(function, "__staleproof__", (None, None))
    return recipe if made is function else None


def decorated(kind: Kind, cache: Any, function: Any, told: Any, *, awaited: bool) -> Any:
    """Return what replaces *function*, which may be a plain one or any kind of method."""
    plain, box = unboxed(function)
    return box(Recipe(kind, cache, plain, told, awaited).made())


def with_defaults(cls: type, cache: Any, defaults: Options) -> None:
    """Make the methods of *cls* that *cache* decorated again, with *defaults*."""
    for name, member in list(vars(cls).items()):
        plain, box = unboxed(member)
        recipe = recipe_of(plain)
        if recipe is not None:
            made = box(recipe.behind(cache, defaults))
            setattr(cls, name, made)
            if hasattr(made, "__set_name__"):
                made.__set_name__(cls, name)


def _late(recipe: Recipe, shape: Any) -> Any:
    """Return a function that looks its cache up by name at every call; a cache that replaces it is used at once."""
    made: list[Any] = [None, None]

    def current() -> Any:
        cache = registry.find(recipe.cache, awaited=recipe.awaited)
        if made[0] is not cache:
            made[:] = cache, recipe.kind.made(cache, shape, recipe.told, awaited=recipe.awaited)
        return made[1]

    @functools.wraps(recipe.function)
    def late(*args: Any, **kwargs: Any) -> Any:
        return current()(*args, **kwargs)

    @functools.wraps(recipe.function)
    async def late_awaited(*args: Any, **kwargs: Any) -> Any:
        return await current()(*args, **kwargs)

    function: Any = late_awaited if recipe.awaited else late
    for name in recipe.kind.handles:
        setattr(function, name, _late_handle(current, name))
    return function


def _late_handle(current: Callable[[], Any], name: str) -> Callable[..., Any]:
    def handle(*args: Any, **kwargs: Any) -> Any:
        return getattr(current(), name)(*args, **kwargs)

    return handle
