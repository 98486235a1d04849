"""What the tests of the Redis provider share: one way to open providers of either face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.testing import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def blocking(url: str, namespace: str) -> Any:
    return RedisProvider.from_url(url, namespace=namespace)


def awaiting(url: str, namespace: str) -> Any:
    return Blocking(AsyncRedisProvider.from_url(url, namespace=namespace))


@pytest.fixture(params=[blocking, awaiting], ids=["blocking", "awaiting"])
def connect(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Callable[[str], Any]]:
    """Open providers of one face, in one namespace, and close them after the test."""
    opened = []

    def connect(url: str) -> Any:
        opened.append(request.param(url, fresh_namespace))
        return opened[-1]

    yield connect
    for provider in opened:
        getattr(provider, "shut", provider.close)()
