"""cashews: tags are sets of keys, popped a hundred at a time when a tag is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cashews import Cache  # pyright: ignore[reportMissingImports] - lives in the peers' environment

from benchmarks.peers.port import CROWD, TTL, VALUE, VALUES, Awaiting

if TYPE_CHECKING:
    from benchmarks.measurement import Subject

TAGS = ["product:{product_id}", "catalog", "brand:7"]


class Cashews:
    """See `Peer`."""

    package = "cashews"
    how = "delete_tags"

    def __init__(self, url: str) -> None:
        self._loop = Awaiting()
        self._cache: Any = Cache()
        self._cache.setup(url)
        self._memory: Any = Cache()
        self._memory.setup("mem://")

    def tagged_hit(self) -> Subject:
        """See `Peer.tagged_hit`."""

        @self._cache(ttl=TTL, key="product:{product_id}", tags=TAGS)  # type: ignore[untyped-decorator]
        async def product(product_id: int) -> str:
            return VALUES[product_id]

        return self._loop.subject(lambda: product(42))

    def near_hit(self) -> Subject:
        """See `Peer.near_hit`."""

        @self._memory(ttl=TTL, key="product:{product_id}", tags=TAGS)  # type: ignore[untyped-decorator]
        async def product(product_id: int) -> str:
            return VALUES[product_id]

        return self._loop.subject(lambda: product(42))

    def store_one(self) -> None:
        """See `Peer.store_one`."""
        self._loop.run(self._cache.set(f"{CROWD}:0", VALUE[:20], expire=TTL, tags=[CROWD]))

    def alive(self, number: int) -> bool:
        """See `Peer.alive`."""
        return self._loop.run(self._cache.get(f"{CROWD}:{number}")) is not None

    def invalidate(self, count: int) -> None:  # noqa: ARG002
        """See `Peer.invalidate`."""
        self._loop.run(self._cache.delete_tags(CROWD))

    def close(self) -> None:
        """See `Peer.close`."""
        self._loop.run(self._cache.close())
        self._loop.run(self._memory.close())
        self._loop.close()
