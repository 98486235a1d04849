"""dogpile.cache: no tags; whoever invalidates a group must know its keys."""

from __future__ import annotations

from typing import Any

from dogpile.cache import make_region  # pyright: ignore[reportMissingImports] - lives in the peers' environment
from dogpile.cache.api import NO_VALUE  # pyright: ignore[reportMissingImports]

from benchmarks.measurement import Subject, repeated
from benchmarks.peers.port import CROWD, TTL, VALUE, VALUES


class Dogpile:
    """See `Peer`."""

    package = "dogpile.cache"
    how = "delete_multi of known keys"

    def __init__(self, url: str) -> None:
        self._region: Any = make_region().configure(
            "dogpile.cache.redis",
            expiration_time=TTL,
            arguments={"url": url, "redis_expiration_time": 2 * TTL},
        )
        self._memory: Any = make_region().configure("dogpile.cache.memory", expiration_time=TTL)

    def tagged_hit(self) -> Subject:
        """See `Peer.tagged_hit`."""

        @self._region.cache_on_arguments()  # type: ignore[untyped-decorator]
        def product(product_id: int) -> str:
            return VALUES[product_id]

        product(42)
        return Subject(repeated(lambda: product(42)))

    def near_hit(self) -> Subject:
        """See `Peer.near_hit`."""

        @self._memory.cache_on_arguments()  # type: ignore[untyped-decorator]
        def product(product_id: int) -> str:
            return VALUES[product_id]

        product(42)
        return Subject(repeated(lambda: product(42)))

    def store_one(self) -> None:
        """See `Peer.store_one`."""
        self._region.set(f"{CROWD}:0", VALUE[:20])

    def alive(self, number: int) -> bool:
        """See `Peer.alive`."""
        return self._region.get(f"{CROWD}:{number}") is not NO_VALUE

    def invalidate(self, count: int) -> None:
        """See `Peer.invalidate`."""
        self._region.delete_multi([f"{CROWD}:{number}" for number in range(count)])

    def close(self) -> None:
        """See `Peer.close`."""
        self._region.backend.reader_client.close()
