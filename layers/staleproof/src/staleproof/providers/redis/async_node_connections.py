"""`NodeConnections` for asyncio: connections to one node of a cluster, made beside those to another."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import redis.asyncio

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.async_connections import AsyncConnections
from staleproof.providers.redis.connections import where
from staleproof.providers.redis.node_connections import address_of
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    from staleproof.providers.redis.exchange import Exchange
    from staleproof.providers.redis.topology import Address


class AsyncNodeConnections(AsyncConnections):
    """See `NodeConnections`."""

    @property
    def address(self) -> Address:
        """Host and port."""
        return address_of(self._pool.connection_kwargs)

    def beside(self, host: str, port: int) -> AsyncNodeConnections:
        """See `NodeConnections.beside`."""
        kwargs = {**self._pool.connection_kwargs, "host": host, "port": port}
        other = copy.copy(self)
        other._pool = redis.asyncio.ConnectionPool(self._pool.connection_class, **kwargs)  # noqa: SLF001 - our twin's
        other.where = where(kwargs)
        other.forget()
        close_before_snapshot(other)
        return other

    async def outcome(
        self, exchange: Exchange, *, together: bool = False
    ) -> list[Any] | ProviderUnavailableError:
        """See `NodeConnections.outcome`; *together* with what others ask the node at the same time, if it is a read."""
        try:
            return await (self._together.exchange if together else self.exchange)(exchange)
        except ProviderUnavailableError as error:
            return error
