"""`cacheable`: a function's results, cached under a key made of its arguments."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from staleproof.decorators.blueprint import Blueprint, Shape
from staleproof.decorators.hit_path import hit_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations


def blocking(cache: BlockingOperations, shape: Shape) -> Callable[..., Any]:
    """Return the function of *shape*, cached."""
    blueprint, function, when = Blueprint(cache, shape), shape.function, shape.when

    def answer(*args: Any, **kwargs: Any) -> Any:
        return cache.serve(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    def refresh(*args: Any, **kwargs: Any) -> Any:
        return cache.reload(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    def conditional(*args: Any, **kwargs: Any) -> Any:
        return (answer if when is None or when(*args, **kwargs) else function)(*args, **kwargs)

    far = answer if when is None else conditional
    return dressed(cache, blueprint, hit_path(blueprint, answer, awaits=False) or far, refresh)


def awaiting(cache: AwaitingOperations, shape: Shape) -> Callable[..., Any]:
    """Return the coroutine function of *shape*, cached."""
    blueprint, function, when = Blueprint(cache, shape), shape.function, shape.when

    async def answer(*args: Any, **kwargs: Any) -> Any:
        return await cache.serve(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await cache.reload(blueprint.call(*args, **kwargs), lambda: function(*args, **kwargs))

    async def conditional(*args: Any, **kwargs: Any) -> Any:
        return await (answer if when is None or when(*args, **kwargs) else function)(*args, **kwargs)

    far = answer if when is None else conditional
    return dressed(cache, blueprint, hit_path(blueprint, answer, awaits=True) or far, refresh)


def dressed(
    cache: BlockingOperations | AwaitingOperations, blueprint: Blueprint, wrapper: Any, refresh: Any
) -> Callable[..., Any]:
    """Return *wrapper* with the function's name and its handles."""
    functools.update_wrapper(wrapper, blueprint.shape.function)
    wrapper.key = blueprint.shape.key
    wrapper.tags = blueprint.shape.tags
    wrapper.refresh = refresh
    wrapper.peek = lambda *args, **kwargs: cache.look(blueprint.call(*args, **kwargs))
    wrapper.invalidate = lambda *args, **kwargs: cache.evict(blueprint.shape.key(*args, **kwargs))
    return wrapper  # type: ignore[no-any-return]
