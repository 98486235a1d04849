"""What an asyncio cache offers to decorate coroutine functions with, and the blocks in which invalidations wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from staleproof.cache.awaiting import AwaitingOperations
from staleproof.decorators.options import Eviction, Options, decorated_one

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from typing import Self

    from staleproof.cache.cached import AsyncDecorator
    from staleproof.cache.cached_many import AsyncManyDecorator
    from staleproof.codecs import CodecFactory
    from staleproof.decorators.options import Key, Keys, PutTiming, Timing
    from staleproof.decorators.transactions import AwaitingTransaction, Registrar
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")
C = TypeVar("C", bound=type)


class AwaitingDecorators(AwaitingOperations):
    """The decorators, for coroutine functions; see `Cache`."""

    def cacheable(
        self,
        key: Key = None,
        *,
        tags: Sequence[str] | None = None,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | str | None = None,
        when: Callable[..., bool] | None = None,
        unless: Callable[[Any], bool] | None = None,
        provider: str | None = None,
        codec: CodecFactory | None = None,
    ) -> AsyncDecorator:
        """See `Cache.cacheable`; decorates coroutine functions."""
        told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec)
        return cast("AsyncDecorator", _decorator("CACHEABLE", self, told))

    def cacheable_many(
        self,
        key: str,
        *,
        each: str | None = None,
        tags: Sequence[str] | None = None,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | str | None = None,
        when: Callable[..., bool] | None = None,
        unless: Callable[[Any], bool] | None = None,
        provider: str | None = None,
        codec: CodecFactory | None = None,
    ) -> AsyncManyDecorator:
        """See `Cache.cacheable_many`; decorates coroutine functions."""
        told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec, each)
        return cast("AsyncManyDecorator", _decorator("MANY", self, told))

    def cache_put(
        self,
        key: Key = None,
        *,
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
        """See `Cache.cache_put`; decorates coroutine functions."""
        told = Options(
            key, tags, tags_from, row_version, policy, when, unless, provider, codec, timing=timing
        )
        return cast("Callable[[F], F]", _decorator("PUT", self, told))

    def evicts(
        self,
        key: Keys = None,
        *,
        tags: Sequence[str] = (),
        soft: bool = False,
        when: Callable[..., bool] | None = None,
        timing: Timing = "after",
        all: bool = False,  # noqa: A002 - as one says it
        row_version: Callable[[Any], int | None] | None = None,
        lag: Duration = 0,
        provider: str | None = None,
    ) -> Callable[[F], F]:
        """See `Cache.evicts`; decorates coroutine functions."""
        told = Eviction(key, tags, soft, when, timing, all, row_version, lag, provider)
        return cast("Callable[[F], F]", _decorator("EVICTS", self, told))

    def defaults(
        self, *, prefix: str = "", tags: Sequence[str] | None = None, policy: Policy | str | None = None
    ) -> Callable[[C], C]:
        """See `Cache.defaults`."""

        def decorate(cls: C) -> C:
            from staleproof.decorators.recipes import with_defaults  # noqa: PLC0415 - as in `_decorator`

            with_defaults(cls, self, Options(tags=tags, policy=policy, prefix=prefix))
            return cls

        return decorate

    def transaction(self, *, commit_with: Registrar | None = None) -> AwaitingTransaction:
        """See `Cache.transaction`; for `async with`, and *commit_with* is given a coroutine function."""
        from staleproof.decorators.transactions import AwaitingTransaction  # noqa: PLC0415 - as in `_decorator`

        return AwaitingTransaction(self, commit_with, awaited=True)

    def register(self, name: str, *, replace: bool = False) -> Self:
        """See `Cache.register`."""
        from staleproof.decorators import registry  # noqa: PLC0415 - as in `_decorator`

        registry.register(self, name, awaited=True, replace=replace)
        return self

    @classmethod
    def named(cls, name: str) -> Self:
        """See `Cache.named`."""
        from staleproof.decorators import registry  # noqa: PLC0415 - as in `_decorator`

        found: Self = registry.find(name, awaited=True)
        return found


def _decorator(kind: str, cache: AwaitingDecorators, told: Options | Eviction) -> Any:
    def decorate(*given: Any, **named: Any) -> Any:
        function = decorated_one(told, given, named)
        # Not at the top: an application that decorates nothing does not wait for it at a cold start.
        from staleproof.decorators import kinds, recipes  # noqa: PLC0415

        return recipes.decorated(getattr(kinds, kind), cache, function, told, awaited=True)

    return decorate
