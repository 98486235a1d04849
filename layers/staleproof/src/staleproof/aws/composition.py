"""From a name to an address, and from an address to connections and providers. Nothing is connected yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.address import parse

if TYPE_CHECKING:
    from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
    from staleproof.providers.redis.async_connections import AsyncConnections
    from staleproof.providers.redis.connections import Connections
    from staleproof.providers.redis.incarnation import Restarts


def locate(name: str, *, user: str | None = None, secret_id: str | None = None, client: Any = None) -> str:
    """Return the address of the cache that *name* means; AWS is asked. See `describe` and `address_of`.

    Raises:
        ConfigurationError: there is no such cache, or none that can be used so.
        ProviderUnavailableError: the service cannot be reached, or the cache is not ready yet; retry.
    """
    from staleproof.aws.choosing import address_of, supported  # noqa: PLC0415 - only who asks pays
    from staleproof.aws.discovery import describe  # noqa: PLC0415

    return address_of(supported(describe(name, client=client)), user=user, secret_id=secret_id)


def connections(url: str, *, timeout: float, max_connections: int) -> Connections:
    """Return connections to *url*, which may say more than the client library knows; see `staleproof.aws.address`.

    Raises:
        ConfigurationError: the address contradicts itself.
    """
    from staleproof.providers.redis.connections import Connections  # noqa: PLC0415 - needs the extra `redis`

    address = parse(url)
    return Connections(
        address.url, timeout=timeout, max_connections=max_connections, credentials=address.credentials
    )


def async_connections(url: str, *, timeout: float, max_connections: int) -> AsyncConnections:
    """Return the same for asyncio."""
    from staleproof.providers.redis.async_connections import AsyncConnections  # noqa: PLC0415

    address = parse(url)
    return AsyncConnections(
        address.url, timeout=timeout, max_connections=max_connections, credentials=address.credentials
    )


def provider(
    url: str, *, namespace: str, timeout: float, max_connections: int, restarts: Restarts = "trust"
) -> RedisProvider:
    """Return the blocking provider of *namespace* at *url*, with that of its replicas if the address names them."""
    from staleproof.providers.redis import RedisProvider  # noqa: PLC0415
    from staleproof.providers.redis.connections import Connections  # noqa: PLC0415

    address = parse(url)
    places = [
        Connections(each, timeout=timeout, max_connections=max_connections, credentials=address.credentials)
        for each in (address.url, address.reader_url)
        if each is not None
    ]
    reader = RedisProvider(places[1], namespace) if len(places) > 1 else None
    return RedisProvider(places[0], namespace, reader=reader, restarts=restarts)


def async_provider(
    url: str, *, namespace: str, timeout: float, max_connections: int, restarts: Restarts = "trust"
) -> AsyncRedisProvider:
    """Return the same for asyncio."""
    from staleproof.providers.redis import AsyncRedisProvider  # noqa: PLC0415
    from staleproof.providers.redis.async_connections import AsyncConnections  # noqa: PLC0415

    address = parse(url)
    places = [
        AsyncConnections(
            each, timeout=timeout, max_connections=max_connections, credentials=address.credentials
        )
        for each in (address.url, address.reader_url)
        if each is not None
    ]
    reader = AsyncRedisProvider(places[1], namespace) if len(places) > 1 else None
    return AsyncRedisProvider(places[0], namespace, reader=reader, restarts=restarts)
