"""yokedcache: tags are sets of keys, read whole and deleted five hundred at a time when a tag is invalidated."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from yokedcache import YokedCache, cached  # pyright: ignore[reportMissingImports] - lives in the peers' environment

from benchmarks.peers.port import CROWD, TTL, VALUE, VALUES, Awaiting

if TYPE_CHECKING:
    from benchmarks.measurement import Subject


class Yokedcache:
    """See `Peer`."""

    package = "yokedcache"
    how = "invalidate_tags"

    def __init__(self, url: str) -> None:
        logging.getLogger("yokedcache").setLevel(logging.ERROR)
        self._loop = Awaiting()
        self._cache = YokedCache(redis_url=url)
        self._loop.run(self._cache.connect())

    def tagged_hit(self) -> Subject:
        """See `Peer.tagged_hit`."""

        @cached(cache=self._cache, ttl=TTL, tags=["product:42", "catalog", "brand:7"])  # type: ignore[untyped-decorator]
        async def product(product_id: int) -> str:
            return VALUES[product_id]

        return self._loop.subject(lambda: product(42))

    def near_hit(self) -> None:
        """See `Peer.near_hit`: its memory is a substitute for a server, not a level before one."""

    def store_one(self) -> None:
        """See `Peer.store_one`."""
        self._loop.run(self._cache.set(f"{CROWD}:0", VALUE[:20], ttl=TTL, tags=[CROWD]))

    def alive(self, number: int) -> bool:
        """See `Peer.alive`."""
        return self._loop.run(self._cache.get(f"{CROWD}:{number}")) is not None

    def invalidate(self, count: int) -> None:  # noqa: ARG002
        """See `Peer.invalidate`."""
        self._loop.run(self._cache.invalidate_tags([CROWD]))

    def close(self) -> None:
        """See `Peer.close`."""
        self._loop.run(self._cache.disconnect())
        self._loop.close()
