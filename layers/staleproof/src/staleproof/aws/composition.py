"""From a name to an address, and from an address to connections and providers. Nothing is connected yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.address import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.providers.redis import AsyncRedisProvider, ClusterConnections, RedisProvider
    from staleproof.providers.redis.connections import Connections

MAX_CONNECTIONS = 64


def locate(name: str, *, user: str | None = None, secret_id: str | None = None, client: Any = None) -> str:
    """Return the address of the cache that *name* means; AWS is asked. See `describe` and `address_of`.

    Raises:
        ConfigurationError: there is no such cache, or none that can be used so.
        ProviderUnavailableError: the service cannot be reached, or the cache is not ready yet; retry.
    """
    from staleproof.aws.choosing import address_of  # noqa: PLC0415 - only who asks pays
    from staleproof.aws.discovery import describe  # noqa: PLC0415

    return address_of(describe(name, client=client), user=user, secret_id=secret_id)


def connections(
    url: str, *, timeout: float, max_connections: int = MAX_CONNECTIONS
) -> Connections | ClusterConnections:
    """Return connections that several namespaces may share; *url* may say all that `staleproof.aws.address` knows.

    Raises:
        ConfigurationError: the address contradicts itself.
    """
    from staleproof.providers.redis import ClusterConnections, Connections  # noqa: PLC0415 - needs the extra `redis`
    from staleproof.providers.redis.endpoint import without_cluster  # noqa: PLC0415

    address = parse(url)
    place, clustered = without_cluster(address.url)
    make = ClusterConnections if clustered else Connections
    return make(place, timeout=timeout, max_connections=max_connections, credentials=address.credentials)


def provider(url: str, *, reader_url: str | Sequence[str] | None = None, **options: Any) -> RedisProvider:
    """Return the blocking provider at *url*, with that of its replicas if the address names them.

    Args:
        url: its address.
        reader_url: the address of its replicas, or several, where *url* does not name them.
        options: what else `RedisProvider.from_url` takes, the namespace at least.
    """
    from staleproof.providers.redis import RedisProvider  # noqa: PLC0415

    address = parse(url)
    return RedisProvider.from_url(
        address.url, reader_url=address.reader_url or reader_url, credentials=address.credentials, **options
    )


def async_provider(
    url: str, *, reader_url: str | Sequence[str] | None = None, **options: Any
) -> AsyncRedisProvider:
    """Return the same for asyncio."""
    from staleproof.providers.redis import AsyncRedisProvider  # noqa: PLC0415

    address = parse(url)
    return AsyncRedisProvider.from_url(
        address.url, reader_url=address.reader_url or reader_url, credentials=address.credentials, **options
    )
