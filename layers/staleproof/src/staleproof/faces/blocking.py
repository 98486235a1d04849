"""`Cache`, for blocking code: operations, decorators, and construction from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof import aws, config
from staleproof.cache.structures.blocking import BlockingStructures
from staleproof.decorators.blocking import BlockingDecorators

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from staleproof.config import Settings


class Cache(BlockingDecorators, BlockingStructures):
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
    def from_settings(cls, settings: Settings, *, name: str | None = None) -> Cache:
        """Make a cache of what *settings* describe, registered as *name* if given; nothing is connected yet."""
        further = config.providers(settings)
        cache = cls(config.provider(settings), providers=further, name=name, **config.options(settings))
        cache.reconfigure(settings)
        return cache

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, name: str | None = None, **arguments: Any
    ) -> Cache:
        """Make a cache from `STALEPROOF_*` variables, `staleproof.toml` and the rest of `staleproof.config.Sources`.

        Args:
            environ: the environment; the process's own by default.
            name: what the cache is registered as, if anything; see `register`.
            arguments: settings that go before all others, such as `ttl="1m"`.

        Raises:
            ConfigurationError: settings are missing or wrong; each has a line that names it, its origin and the fix.
        """
        return cls.from_settings(config.Settings.from_env(environ, **arguments), name=name)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        name: str | None = None,
        environ: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Cache:
        """Make a cache of the server at *url*; everything else is read as `from_env` reads it, and takes it.

        Example:
            >>> from staleproof import Cache
            >>> cache = Cache.from_url("memory://", namespace="shop", name="shop", environ={})
            >>> Cache.named("shop") is cache
            True
        """
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
    ) -> Cache:
        """Make a cache of the ElastiCache cache that *name* means: endpoint, encryption and users are asked of AWS.

        Everything else is read as `from_env` reads it. Asking takes boto3 and some 200 ms; a function starts faster
        with the address that `staleproof doctor --name` prints.

        Args:
            name: name or ARN of a replication group, serverless cache, global datastore, or cluster of Memcached, whose
                nodes are then found and followed by its configuration endpoint.
            register: what the cache is registered as in this process, if anything; see `register`.
            user: the ElastiCache user to be; by default the only one that IAM lets in.
            secret_id: the secret in Secrets Manager that holds the password, for users and AUTH tokens that have one.
            client: an `elasticache` client of boto3 to ask; one of our own by default.
            environ: the environment; the process's own by default.
            arguments: settings that go before all others.

        Raises:
            ConfigurationError: no cache, or several, have this name; it is read-only; or it is not clear who to be.
            ProviderUnavailableError: the service cannot be reached, or the cache is not ready yet; retry.
        """
        address = aws.locate(name, user=user, secret_id=secret_id, client=client)
        return cls.from_url(address, name=register, environ=environ, **arguments)

    def reconfigure(self, settings: Settings) -> None:
        """Take from *settings* what may change while running; the listener for a `staleproof.config.Reloader`."""
        for each in (self, *self._siblings.values()):
            config.reconfigure(each, settings)
