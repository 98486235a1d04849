"""From `Settings` to the parts of a cache. Nothing is connected yet, and only what is used is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.cache.near import NearCache
    from staleproof.config.settings import ServerSettings, Settings
    from staleproof.ports import AsyncProvider, Provider

MEMORY = "memory://"


def provider(settings: Settings, name: str = "") -> Provider:
    """Return the blocking provider that *settings* describe: the cache's own, or the further one called *name*.

    Raises:
        ConfigurationError: there is none of this name, or the client library is not installed.
    """
    server = _server(settings, name)
    url = server.url.reveal()
    if url.startswith(MEMORY):
        from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415

        return MemoryProvider(server.namespace)
    try:
        from staleproof.providers.redis import RedisProvider  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _extra(error) from error
    return RedisProvider.from_url(
        url, namespace=server.namespace, timeout=server.timeout, max_connections=server.max_connections
    )


def async_provider(settings: Settings, name: str = "") -> AsyncProvider:
    """Return the asyncio provider that *settings* describe; see `provider`."""
    server = _server(settings, name)
    url = server.url.reveal()
    if url.startswith(MEMORY):
        from staleproof.providers.async_memory import AsyncMemoryProvider  # noqa: PLC0415

        return AsyncMemoryProvider(server.namespace)
    try:
        from staleproof.providers.redis import AsyncRedisProvider  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _extra(error) from error
    return AsyncRedisProvider.from_url(
        url, namespace=server.namespace, timeout=server.timeout, max_connections=server.max_connections
    )


def options(settings: Settings) -> dict[str, Any]:
    """Return what a cache is made with beside its provider, as keyword arguments."""
    return {"region": settings.region, "policy": settings.policy, "near": near_cache(settings)}


def near_cache(settings: Settings) -> NearCache | bool:
    """Return the near cache that *settings* describe, False if there is to be none."""
    if not settings.near.enabled:
        return False
    from staleproof.cache.near import NearCache  # noqa: PLC0415

    return NearCache(settings.near.max_copies)


def _server(settings: Settings, name: str) -> ServerSettings:
    if not name:
        return settings.server
    found = settings.providers.get(name)
    if found is None:
        known = ", ".join(settings.providers) or "none"
        raise ConfigurationError(
            f"there is no provider {name!r} (there is: {known}); add [providers.{name}] with its url to staleproof.toml"
        )
    return found


def _extra(error: ModuleNotFoundError) -> Exception:
    if error.name not in {"redis", "hiredis"}:
        return error
    return ConfigurationError("this cache_url needs the Redis client; install staleproof[redis]")
