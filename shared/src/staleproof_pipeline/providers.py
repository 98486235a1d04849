"""The cache server's namespaces: one provider each, made when first asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from staleproof.ports import Follower, Provider

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_NAMESPACES = 256
"""Providers kept; a peer may name any namespace."""


class Journaled(Provider, Follower, Protocol):
    """A provider whose journal links can follow."""


class Providers:
    """Providers by namespace.

    Args:
        make: makes the provider of a namespace; nothing is connected yet.
    """

    def __init__(self, make: Callable[[str], Journaled]) -> None:
        self.get: Callable[[str], Journaled] = lru_cache(maxsize=MAX_NAMESPACES)(make)


def of_url(url: str, *, timeout: float, horizon: float) -> Providers:
    """Return the namespaces of the server at *url*, which share its connections.

    Args:
        url: of the server; it may say who to be, see `staleproof.aws.address`.
        timeout: seconds to wait for it.
        horizon: seconds that a journal reaches back for near caches.

    Raises:
        ConfigurationError: the URL cannot be read.
    """
    if url.startswith("memory://"):
        from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415 - only what is used is imported

        return Providers(MemoryProvider)
    from staleproof import aws  # noqa: PLC0415
    from staleproof.providers.redis import RedisProvider  # noqa: PLC0415

    connections = aws.connections(url, timeout=timeout)
    horizon_ms = round(horizon * 1_000)
    return Providers(lambda namespace: RedisProvider(connections, namespace, horizon_ms=horizon_ms))
