"""The contract on Memcached: one node, three, and three after others came and went; both faces."""

from __future__ import annotations

import functools
import inspect
import time
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

import pytest

from local.memcached import Memcached
from local.memcached_discovery import DiscoveryEndpoint
from local.supervisor import Supervisor
from staleproof.keys import Keyspace
from staleproof.providers.memcached import AsyncMemcachedProvider, MemcachedProvider
from staleproof.providers.memcached.wire import delete
from staleproof.tags import ROOT
from staleproof.testing import Blocking, ProviderContract
from staleproof.testing.examples import MINUTE, OTHERS, A, B, invalidation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.providers.memcached.view import View

NODES = 4


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Memcached]]:
    """Four nodes of this module's own; most classes use three."""
    with Supervisor() as owner:
        servers = [Memcached(owner, f"memcached-{number}") for number in range(NODES)]
        for server in servers:
            server.start()
        yield servers


def listed(nodes: Sequence[Memcached]) -> list[str]:
    return [node.host_and_port for node in nodes]


def url(nodes: Sequence[Memcached]) -> str:
    return f"memcached://{','.join(listed(nodes))}/"


def evicted(view: View, name: bytes) -> dict[str, list[bytes]]:
    """Return the requests that remove what a keyspace calls *name*: the guard on all nodes, or a tag's version."""
    keys = Keyspace(view.keys.namespace)
    if name == keys.guard:
        return {node: [delete(view.guard(node))] for node in view.nodes}
    tag = a2b_base64(name.removeprefix(keys.version(b"")))
    return {view.tag(tag).node: [delete(view.tag(tag).version)]}


def patient(law: Callable[..., None]) -> Callable[..., None]:
    """Return *law* marked slow: its own copy, since other providers inherit it too."""

    @functools.wraps(law)
    def copy(self: ProviderContract, *args: Any, **kwargs: Any) -> None:
        law(self, *args, **kwargs)

    marked: Callable[..., None] = pytest.mark.slow(copy)
    return marked


@pytest.mark.memcached
class OnMemcached(ProviderContract):
    """The server's clock ticks once a second, so whatever waits for it takes seconds."""

    def __init_subclass__(cls) -> None:
        for name, law in inspect.getmembers(cls, inspect.isfunction):
            if name.startswith("test_") and "elapse" in inspect.signature(law).parameters:
                setattr(cls, name, patient(law))

    lacks = ("journal", "scan")
    finest = 1.0

    @pytest.fixture
    def elapse(self) -> Callable[[float], None]:
        return lambda seconds: time.sleep(seconds + 0.2)

    @pytest.fixture
    def used(self, nodes: list[Memcached]) -> list[Memcached]:
        return nodes[:3]

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


class OnChangedNodes(OnMemcached):
    """Three nodes out of four, after others came and went: what they stored before is there, and must not be seen."""

    @pytest.fixture
    def endpoint(self, nodes: list[Memcached]) -> Iterator[DiscoveryEndpoint]:
        with DiscoveryEndpoint(listed(nodes[:2])) as endpoint:
            yield endpoint


def changed(provider: Any, endpoint: DiscoveryEndpoint, nodes: list[Memcached]) -> None:
    """Use *provider* before each change of the ring, the last of which the contract's first step meets."""
    for members in (nodes[:2], nodes, nodes[1:3], nodes[:1] + nodes[2:], nodes[:3]):
        endpoint.change(listed(members))
        if provider.membership.view is not None:
            provider.membership.doubt(provider.membership.view)
        if members == nodes[:3]:
            return
        for number in range(20):
            key = f"key:{number}" if number else "key"
            provider.begin(key, [ROOT, A, B], OTHERS, MINUTE, MINUTE, guard=True)
            provider.store(key, b"of another ring", MINUTE, OTHERS)
            provider.begin(key, [ROOT, A, B], OTHERS, MINUTE, MINUTE, guard=True)
        provider.invalidate([invalidation("a", "b", "c", clear=True)])
        provider.invalidate([invalidation(keys=("key", *(f"key:{number}" for number in range(20))))])


class TestMemcachedChanged(OnChangedNodes):
    @pytest.fixture
    def inner(
        self, nodes: list[Memcached], endpoint: DiscoveryEndpoint, fresh_namespace: str
    ) -> Iterator[MemcachedProvider]:
        provider = MemcachedProvider.from_url(endpoint.url, namespace=fresh_namespace)
        changed(provider, endpoint, nodes)
        yield provider
        provider.close()

    @pytest.fixture
    def provider(self, inner: MemcachedProvider) -> MemcachedProvider:
        return inner


class TestAsyncMemcachedChanged(OnChangedNodes):
    @pytest.fixture
    def provider(
        self, nodes: list[Memcached], endpoint: DiscoveryEndpoint, fresh_namespace: str
    ) -> Iterator[Any]:
        blocking = Blocking(AsyncMemcachedProvider.from_url(endpoint.url, namespace=fresh_namespace))
        changed(blocking, endpoint, nodes)
        yield blocking
        blocking.shut()

    @pytest.fixture
    def inner(self, provider: Any, endpoint: DiscoveryEndpoint) -> Iterator[MemcachedProvider]:
        other = MemcachedProvider.from_url(endpoint.url, namespace=provider.namespace)
        yield other
        other.close()
