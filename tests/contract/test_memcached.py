"""The contract on Memcached: one node and three, both faces."""

from __future__ import annotations

import time
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

import pytest

from local.memcached import Memcached
from local.supervisor import Supervisor
from staleproof.keys import Keyspace
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider
from staleproof.providers.memcached.wire import delete
from staleproof.testing import Blocking, ProviderContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.providers.memcached.view import View

NODES = 3


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Memcached]]:
    """Three nodes of this module's own."""
    with Supervisor() as owner:
        servers = [Memcached(owner, f"memcached-{number}") for number in range(NODES)]
        for server in servers:
            server.start()
        yield servers


def url(nodes: Sequence[Memcached]) -> str:
    return f"memcached://{','.join(node.host_and_port for node in nodes)}/"


def evicted(view: View, name: bytes) -> dict[str, list[bytes]]:
    """Return the requests that remove what a keyspace calls *name*: the guard on all nodes, or a tag's version."""
    keys = Keyspace(view.keys.namespace)
    if name == keys.guard:
        return {node: [delete(view.guard(node))] for node in view.nodes}
    tag = a2b_base64(name.removeprefix(keys.version(b"")))
    return {view.tag(tag).node: [delete(view.tag(tag).version)]}


@pytest.mark.memcached
class OnMemcached(ProviderContract):
    lacks = ("journal", "scan")
    finest = 1.0

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return lambda seconds: time.sleep(seconds + 0.2)  # the server's clock ticks once a second

    @pytest.fixture
    def used(self, nodes: list[Memcached]) -> list[Memcached]:
        return nodes

    @pytest.fixture
    def inner(self, used: list[Memcached], fresh_namespace: str) -> Iterator[MemcachedProvider]:
        provider = MemcachedProvider.from_url(url(used), namespace=fresh_namespace)
        yield provider
        provider.close()

    @pytest.fixture
    def evict(self, inner: MemcachedProvider) -> Callable[[bytes], None]:
        def step(name: bytes) -> Any:
            return lambda view: (yield evicted(view, name))

        return lambda name: inner.run(step(name))


class TestMemcached(OnMemcached):
    @pytest.fixture
    def used(self, nodes: list[Memcached]) -> list[Memcached]:
        return nodes[:1]

    @pytest.fixture
    def provider(self, inner: MemcachedProvider) -> MemcachedProvider:
        return inner


class TestMemcachedThree(OnMemcached):
    @pytest.fixture
    def provider(self, inner: MemcachedProvider) -> MemcachedProvider:
        return inner


class TestAsyncMemcached(OnMemcached):
    @pytest.fixture
    def used(self, nodes: list[Memcached]) -> list[Memcached]:
        return nodes[:1]

    @pytest.fixture
    def provider(self, used: list[Memcached], fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncMemcachedProvider.from_url(url(used), namespace=fresh_namespace))
        yield blocking
        blocking.shut()


class TestAsyncMemcachedThree(OnMemcached):
    @pytest.fixture
    def provider(self, used: list[Memcached], fresh_namespace: str) -> Iterator[Any]:
        blocking = Blocking(AsyncMemcachedProvider.from_url(url(used), namespace=fresh_namespace))
        yield blocking
        blocking.shut()
