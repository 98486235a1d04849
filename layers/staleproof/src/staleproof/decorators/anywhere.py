"""The decorators without a cache at hand: it is named, and found when the function is called.

A module of loaders need not know how, and when, the application makes its caches: it says
`@cacheable("order:{id}", cache="orders")`, and somewhere `Cache(...).register("orders")` is said before the first call.
Templates are checked at decoration all the same. A coroutine function looks among the `AsyncCache`s, any other among
the `Cache`s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from staleproof.decorators.options import Eviction, Options
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from staleproof.cache.cached import EitherDecorator
    from staleproof.cache.cached_many import EitherManyDecorator
    from staleproof.codecs import CodecFactory
    from staleproof.decorators.options import Key, Keys, PutTiming, Timing
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

F = TypeVar("F", bound="Callable[..., Any]")


def cacheable(
    key: Key = None,
    *,
    cache: str,
    tags: Sequence[str] | None = None,
    tags_from: Callable[[Any], Iterable[str]] | None = None,
    row_version: Callable[[Any], int | None] | None = None,
    policy: Policy | str | None = None,
    when: Callable[..., bool] | None = None,
    unless: Callable[[Any], bool] | None = None,
    provider: str | None = None,
    codec: CodecFactory | None = None,
) -> EitherDecorator:
    """See `Cache.cacheable`; *cache* is a registered name, such as `"orders"`."""
    told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec)
    return cast("EitherDecorator", _decorator("CACHEABLE", cache, told))


def cacheable_many(
    key: str,
    *,
    cache: str,
    each: str | None = None,
    tags: Sequence[str] | None = None,
    tags_from: Callable[[Any], Iterable[str]] | None = None,
    row_version: Callable[[Any], int | None] | None = None,
    policy: Policy | str | None = None,
    when: Callable[..., bool] | None = None,
    unless: Callable[[Any], bool] | None = None,
    provider: str | None = None,
    codec: CodecFactory | None = None,
) -> EitherManyDecorator:
    """See `Cache.cacheable_many`; *cache* is a registered name."""
    told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec, each)
    return cast("EitherManyDecorator", _decorator("MANY", cache, told))


def cache_put(
    key: Key = None,
    *,
    cache: str,
    tags: Sequence[str] | None = None,
    tags_from: Callable[[Any], Iterable[str]] | None = None,
    row_version: Callable[[Any], int | None] | None = None,
    policy: Policy | str | None = None,
    when: Callable[..., bool] | None = None,
    unless: Callable[[Any], bool] | None = None,
    timing: PutTiming = "after",
    provider: str | None = None,
    codec: CodecFactory | None = None,
) -> Callable[[F], F]:
    """See `Cache.cache_put`; *cache* is a registered name."""
    told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec, timing=timing)
    return cast("Callable[[F], F]", _decorator("PUT", cache, told))


def evicts(
    key: Keys = None,
    *,
    cache: str,
    tags: Sequence[str] = (),
    soft: bool = False,
    when: Callable[..., bool] | None = None,
    timing: Timing = "after",
    all: bool = False,  # noqa: A002 - as one says it
    row_version: Callable[[Any], int | None] | None = None,
    lag: Duration = 0,
    provider: str | None = None,
) -> Callable[[F], F]:
    """See `Cache.evicts`; *cache* is a registered name."""
    told = Eviction(key, tags, soft, when, timing, all, row_version, lag, provider)
    return cast("Callable[[F], F]", _decorator("EVICTS", cache, told))


def _decorator(kind: str, cache: str, told: Options | Eviction) -> Any:
    if not isinstance(cache, str):
        raise ConfigurationError(
            f"cache={cache!r} is no name; decorate with the cache itself: cache.cacheable(...)"
        )

    def decorate(function: Any) -> Any:
        from staleproof.decorators import kinds, recipes  # noqa: PLC0415 - as in `BlockingDecorators`
        from staleproof.decorators.colour import awaits  # noqa: PLC0415
        from staleproof.decorators.methods import unboxed  # noqa: PLC0415

        awaited = awaits(unboxed(function)[0])
        return recipes.decorated(getattr(kinds, kind), cache, function, told, awaited=awaited)

    return decorate
