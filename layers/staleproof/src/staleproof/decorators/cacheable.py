"""`cacheable`: a function's results, cached under a key made of its arguments."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from staleproof.decorators.blueprint import Blueprint, Shape
from staleproof.decorators.hit_path import answering, hit_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.awaiting import AwaitingOperations
    from staleproof.cache.blocking import BlockingOperations


def blocking(cache: BlockingOperations, shape: Shape) -> Callable[..., Any]:
    """Return the function of *shape*, cached."""
    return _cached(cache, shape, awaits=False)


def awaiting(cache: AwaitingOperations, shape: Shape) -> Callable[..., Any]:
    """Return the coroutine function of *shape*, cached."""
    return _cached(cache, shape, awaits=True)


def _cached(
    cache: BlockingOperations | AwaitingOperations, shape: Shape, *, awaits: bool
) -> Callable[..., Any]:
    blueprint = Blueprint(cache, shape)
    wrapper = hit_path(blueprint, cache.serve, awaits=awaits)
    if wrapper is None:
        wrapper = answering(blueprint, cache.serve, awaits=awaits, conditional=True)
    refresh = answering(blueprint, cache.reload, awaits=awaits, conditional=False)
    return dressed(cache, blueprint, wrapper, refresh)


def dressed(
    cache: BlockingOperations | AwaitingOperations, blueprint: Blueprint, wrapper: Any, refresh: Any
) -> Callable[..., Any]:
    """Return *wrapper* with the function's name and its handles."""
    functools.update_wrapper(wrapper, blueprint.shape.function)
    wrapper.key = blueprint.owned_key()
    wrapper.__staleproof_stand_in__ = blueprint.stand_in
    wrapper.tags = blueprint.shape.tags
    wrapper.refresh = refresh
    wrapper.peek = lambda *args, **kwargs: cache.look(blueprint.call(*args, **kwargs))
    wrapper.explain = lambda *args, **kwargs: cache.explain_of(
        blueprint.call(*args, **kwargs), blueprint.shape.tags(*args, **kwargs)
    )
    wrapper.invalidate = lambda *args, **kwargs: cache.evict(blueprint.shape.key(*args, **kwargs))
    return wrapper  # type: ignore[no-any-return]
