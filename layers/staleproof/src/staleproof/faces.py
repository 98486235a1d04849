"""`Cache` and `AsyncCache`, as applications meet them: operations, decorators, and construction from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from staleproof import config, decorators
from staleproof.cache.awaiting import AwaitingOperations
from staleproof.cache.blocking import BlockingOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from typing import Any

    from staleproof.cache.cached import AsyncCached, AsyncDecorator, Cached, Decorator
    from staleproof.config import Settings
    from staleproof.policies.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")


class Cache(BlockingOperations):
    """A cache for blocking code. Thread-safe; make one a process, at module scope.

    Example:
        >>> from staleproof import Cache, Policy
        >>> from staleproof.providers.memory import MemoryProvider
        >>> cache = Cache(MemoryProvider("shop"), policy=Policy(ttl="10m"))
        >>> @cache.cacheable("product:{product_id}", tags=["catalog"])
        ... def product(product_id: int) -> dict[str, int]:
        ...     return {"id": product_id}
        >>> product(42)
        {'id': 42}
        >>> cache.invalidate("catalog")
    """

    @classmethod
    def from_settings(cls, settings: Settings) -> Cache:
        """Make a cache of what *settings* describe; nothing is connected yet."""
        cache = cls(
            config.provider(settings), providers=config.providers(settings), **config.options(settings)
        )
        cache.reconfigure(settings)
        return cache

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> Cache:
        """Make a cache from `STALEPROOF_*` variables, `staleproof.toml` and the rest of `staleproof.config.Sources`.

        Args:
            environ: the environment; the process's own by default.
            arguments: settings that go before all others, such as `ttl="1m"`.

        Raises:
            ConfigurationError: settings are missing or wrong; each has a line that names it, its origin and the fix.
        """
        return cls.from_settings(config.Settings.from_env(environ, **arguments))

    def reconfigure(self, settings: Settings) -> None:
        """Take from *settings* what may change while running; the listener for a `staleproof.config.Reloader`."""
        for each in (self, *self._siblings.values()):
            config.reconfigure(each, settings)

    def cacheable(
        self,
        key: str,
        *,
        tags: Sequence[str] = (),
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | None = None,
    ) -> Decorator:
        """Cache a function's results under a template over its parameters.

        Args:
            key: such as `"product:{product_id}"`; `{user.id}` reads an attribute.
            tags: templates of the tags known before the load.
            tags_from: tags that only the result names.
            row_version: the version of the source row behind the result, for sources that may lag.
            policy: how to keep results; the cache's own by default.

        Raises:
            ConfigurationError: at decoration, if a template names an unknown parameter, the result's type cannot be
                cached, or the function is a coroutine function.
        """

        def decorate(function: Callable[P, T]) -> Cached[P, T]:
            blueprint = decorators.Blueprint(
                self, function, key, tags=tags, tags_from=tags_from, row_version=row_version, policy=policy
            )
            return cast("Cached[P, T]", decorators.cacheable(self, blueprint))

        return decorate


class AsyncCache(AwaitingOperations):
    """A cache for asyncio code; the same methods, awaited. Use it from one event loop at a time."""

    @classmethod
    def from_settings(cls, settings: Settings) -> AsyncCache:
        """See `Cache.from_settings`."""
        further = config.async_providers(settings)
        cache = cls(config.async_provider(settings), providers=further, **config.options(settings))
        cache.reconfigure(settings)
        return cache

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> AsyncCache:
        """See `Cache.from_env`."""
        return cls.from_settings(config.Settings.from_env(environ, **arguments))

    def reconfigure(self, settings: Settings) -> None:
        """See `Cache.reconfigure`."""
        for each in (self, *self._siblings.values()):
            config.reconfigure(each, settings)

    def cacheable(
        self,
        key: str,
        *,
        tags: Sequence[str] = (),
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | None = None,
    ) -> AsyncDecorator:
        """See `Cache.cacheable`; decorates coroutine functions."""

        def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> AsyncCached[P, T]:
            blueprint = decorators.Blueprint(
                self, function, key, tags=tags, tags_from=tags_from, row_version=row_version, policy=policy
            )
            return cast("AsyncCached[P, T]", decorators.async_cacheable(self, blueprint))

        return decorate
