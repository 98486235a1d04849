"""From `Settings` to the parts of a cache. Nothing is connected yet, and only what is used is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof import aws
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.face import Face
    from staleproof.cache.near import NearCache
    from staleproof.codecs.codec import CodecFactory
    from staleproof.codecs.compression import Algorithm
    from staleproof.codecs.dictionary import ZstdDictionary
    from staleproof.config.settings import ServerSettings, Settings
    from staleproof.ports import AsyncProvider, Provider

MEMORY = "memory://"
MEMCACHED = "memcached"


def provider(settings: Settings, name: str = "") -> Provider:
    """Return the blocking provider that *settings* describe: the cache's own, or the further one called *name*.

    Raises:
        ConfigurationError: there is none of this name, or the client library is not installed.
    """
    server = _server(settings, name)
    url = server.url.reveal()
    if url.startswith(MEMORY):
        from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415

        return MemoryProvider(server.namespace, **_holding(settings))
    make: Callable[..., Provider]
    try:
        if url.startswith(MEMCACHED):
            from staleproof.providers.memcached import MemcachedProvider  # noqa: PLC0415

            make = MemcachedProvider.from_url
        else:
            from staleproof.providers.redis import RedisProvider  # noqa: PLC0415

            make = aws.provider if "?" in url else RedisProvider.from_url
    except ModuleNotFoundError as error:
        raise _extra(error) from error
    return make(url, **_connecting(server, url))


def async_provider(settings: Settings, name: str = "") -> AsyncProvider:
    """Return the asyncio provider that *settings* describe; see `provider`."""
    server = _server(settings, name)
    url = server.url.reveal()
    if url.startswith(MEMORY):
        from staleproof.providers.async_memory import AsyncMemoryProvider  # noqa: PLC0415

        return AsyncMemoryProvider(server.namespace, **_holding(settings))
    make: Callable[..., AsyncProvider]
    try:
        if url.startswith(MEMCACHED):
            from staleproof.providers.memcached import AsyncMemcachedProvider  # noqa: PLC0415

            make = AsyncMemcachedProvider.from_url
        else:
            from staleproof.providers.redis import AsyncRedisProvider  # noqa: PLC0415

            make = aws.async_provider if "?" in url else AsyncRedisProvider.from_url
    except ModuleNotFoundError as error:
        raise _extra(error) from error
    return make(url, **_connecting(server, url))


def _connecting(server: ServerSettings, url: str) -> dict[str, Any]:
    """Return how a provider of this server connects, and what it does for durability; Memcached has none."""
    connecting: dict[str, Any] = {
        "namespace": server.namespace,
        "timeout": server.timeout,
        "max_connections": server.max_connections,
    }
    if not url.startswith(MEMCACHED):
        readers = [each.reveal() for each in server.reader_urls]
        connecting |= {"restarts": server.restarts, "durability": server.durability}
        connecting |= {"reader_url": readers} if readers else {}
    return connecting


def _holding(settings: Settings) -> dict[str, Any]:
    """Return what a provider inside the process may hold."""
    memory = settings.memory
    return {name: getattr(memory, name) for name in memory.__struct_fields__}


def providers(settings: Settings) -> dict[str, Provider]:
    """Return the further blocking providers by name."""
    return {name: provider(settings, name) for name in settings.providers}


def async_providers(settings: Settings) -> dict[str, AsyncProvider]:
    """Return the further asyncio providers by name."""
    return {name: async_provider(settings, name) for name in settings.providers}


def options(settings: Settings) -> dict[str, Any]:
    """Return what a cache is made with beside its providers, as keyword arguments.

    Raises:
        ConfigurationError: a library is missing for what was asked for by name.
    """
    return {
        "region": settings.region,
        "policy": settings.policy,
        "policies": settings.policies,
        "near": near_cache(settings),
        "codec": codec(settings),
        "compression": compression(settings),
        "dictionaries": dictionaries(settings),
        "unreachable": settings.unreachable,
    }


def near_cache(settings: Settings) -> Callable[[], NearCache] | bool:
    """Return what makes a near cache as *settings* describe it, False if there is to be none.

    Each provider has its own; `budget`, or `max_bytes`, is what they share, in which whoever holds most gives way.
    """
    near = settings.near
    if not near.enabled:
        return False
    from staleproof.cache.near import NearCache  # noqa: PLC0415
    from staleproof.near.budget import Budget  # noqa: PLC0415

    most = near.budget if near.budget is not None else near.max_bytes
    budget = Budget(most) if most is not None else None
    return lambda: NearCache(
        near.max_copies, max_bytes=near.max_bytes, eviction=near.eviction, weak=near.weak, budget=budget
    )


def codec(settings: Settings) -> CodecFactory:
    """Return the codec that *settings* name; pickles are signed for the namespace."""
    if settings.codec == "msgpack":
        from staleproof.codecs import MsgpackCodec  # noqa: PLC0415

        return MsgpackCodec()
    if settings.codec == "json":
        from staleproof.codecs.json import JsonCodec  # noqa: PLC0415

        return JsonCodec()
    from staleproof.codecs.signed_pickle import SignedPickleCodec  # noqa: PLC0415

    keys = [key.reveal().encode() for key in settings.pickle_keys]
    return SignedPickleCodec(keys, context=settings.server.namespace.encode())


def compression(settings: Settings) -> Algorithm:
    """Return how large values are compressed. Without the library of the default they are not."""
    algorithm = settings.compression
    if "compression" in settings.given:
        from staleproof.codecs.compression import lz4_block, zstd_module  # noqa: PLC0415

        if (lz4_block if algorithm == "lz4" else zstd_module)() is None:
            raise ConfigurationError(
                f"{settings.origin('compression')}: compression={algorithm!r} needs its library; "
                f"install staleproof[{algorithm}]"
            )
    return algorithm


def dictionaries(settings: Settings) -> list[ZstdDictionary]:
    """Return the dictionaries that *settings* name.

    Raises:
        ConfigurationError: one cannot be read, is none, or the library is not installed.
    """
    if not settings.dictionaries:
        return []
    from staleproof.codecs.dictionary import loaded  # noqa: PLC0415

    try:
        return [loaded(path) for path in settings.dictionaries]
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.origin('dictionaries')}: dictionaries: {error}") from error


def reconfigure(face: Face, settings: Settings) -> None:
    """Have *face* take from *settings* what a running cache takes: policies, the off switch and the breaker."""
    face.adopt(settings.policy, settings.policies)
    face.core.breaker.adopt(settings.breaker.failures, settings.breaker.cooldown)
    face.switch(off=settings.off)


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
    missing = (error.name or "").partition(".")[0]
    if missing == "uhashring":
        return ConfigurationError("this cache_url needs the ring of Memcached; install staleproof[memcached]")
    if missing not in {"redis", "hiredis"}:
        return error
    return ConfigurationError("this cache_url needs the Redis client; install staleproof[redis]")
