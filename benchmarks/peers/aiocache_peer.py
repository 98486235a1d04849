"""aiocache: no tags; a namespace can be cleared, which asks the server for its keys by pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocache import Cache, cached  # pyright: ignore[reportMissingImports] - lives in the peers' environment

from benchmarks.peers.port import CROWD, TTL, VALUE, VALUES, Awaiting

if TYPE_CHECKING:
    from benchmarks.measurement import Subject


class Aiocache:
    """See `Peer`."""

    package = "aiocache"
    how = "clear(namespace)"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._where: dict[str, Any] = {"endpoint": parts.hostname, "port": parts.port}
        self._loop = Awaiting()
        self._cache = Cache(Cache.REDIS, namespace=CROWD, **self._where)

    def tagged_hit(self) -> Subject:
        """See `Peer.tagged_hit`."""

        @cached(ttl=TTL, cache=Cache.REDIS, namespace="main", **self._where)  # type: ignore[untyped-decorator]
        async def product(product_id: int) -> str:
            return VALUES[product_id]

        return self._loop.subject(lambda: product(42))

    def near_hit(self) -> Subject:
        """See `Peer.near_hit`."""

        @cached(ttl=TTL)  # type: ignore[untyped-decorator]
        async def product(product_id: int) -> str:
            return VALUES[product_id]

        return self._loop.subject(lambda: product(42))

    def store_one(self) -> None:
        """See `Peer.store_one`."""
        self._loop.run(self._cache.set("0", VALUE[:20], ttl=TTL))

    def alive(self, number: int) -> bool:
        """See `Peer.alive`."""
        return self._loop.run(self._cache.get(str(number))) is not None

    def invalidate(self, count: int) -> None:  # noqa: ARG002
        """See `Peer.invalidate`."""
        self._loop.run(self._cache.clear(namespace=CROWD))

    def close(self) -> None:
        """See `Peer.close`."""
        self._loop.run(self._cache.close())
        self._loop.close()
