"""`AsyncCache`, for asyncio code: the same as `Cache`, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof import aws, config
from staleproof.cache.structures.awaiting import AwaitingStructures
from staleproof.decorators.awaiting import AwaitingDecorators

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from staleproof.config import Settings


class AsyncCache(AwaitingDecorators, AwaitingStructures):
    """A cache for asyncio code; the same methods, awaited. Use it from one event loop at a time."""

    @classmethod
    def from_settings(cls, settings: Settings, *, name: str | None = None) -> AsyncCache:
        """See `Cache.from_settings`."""
        further = config.async_providers(settings)
        cache = cls(config.async_provider(settings), providers=further, name=name, **config.options(settings))
        cache.reconfigure(settings)
        return cache

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, name: str | None = None, **arguments: Any
    ) -> AsyncCache:
        """See `Cache.from_env`."""
        return cls.from_settings(config.Settings.from_env(environ, **arguments), name=name)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        name: str | None = None,
        environ: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> AsyncCache:
        """See `Cache.from_url`."""
        return cls.from_env(environ, name=name, cache_url=url, **arguments)

    @classmethod
    def from_aws(
        cls,
        name: str,
        *,
        register: str | None = None,
        user: str | None = None,
        secret_id: str | None = None,
        client: Any = None,
        environ: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> AsyncCache:
        """See `Cache.from_aws`; it asks without awaiting, so call it before the event loop runs."""
        address = aws.locate(name, user=user, secret_id=secret_id, client=client)
        return cls.from_url(address, name=register, environ=environ, **arguments)

    def reconfigure(self, settings: Settings) -> None:
        """See `Cache.reconfigure`."""
        for each in (self, *self._siblings.values()):
            config.reconfigure(each, settings)
