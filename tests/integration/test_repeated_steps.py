"""A reply that is lost: the server has done the step, the client does it again, and nothing is different for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof import Cache
from staleproof.keys import Keyspace
from staleproof.tags import ROOT, tag_id
from staleproof.testing.examples import MINE, MINUTE, OTHERS, invalidation
from tests.integration.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.valkey import Valkey

pytestmark = pytest.mark.redis

A = tag_id("a")


@pytest.fixture
def line(valkey: Valkey) -> Iterator[Proxy]:
    """The way to the server, on which replies can be lost."""
    with Proxy(valkey.port) as line:
        yield line


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """The server itself."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def provider(connect: Callable[[str], Any], line: Proxy) -> Any:
    """A provider whose connection has been used, so that a failure on it is tried once more."""
    provider = connect(line.url)
    provider.put("warm", b"1", MINUTE)
    provider.begin("warm", [ROOT], MINE, MINUTE, MINUTE, guard=False)
    provider.store("warm", b"1", MINUTE, MINE)  # the server knows the scripts
    provider.release("warm", MINE)
    return provider


def anything(_: bytes) -> bool:
    return True


def creates_the_guard(request: bytes) -> bool:
    return b":guard\r\n" in request and request.startswith((b"*3\r\n$3\r\nSET\r\n", b"*5\r\n$4\r\nEVAL\r\n"))


@pytest.mark.parametrize("lost", [anything, creates_the_guard], ids=["snapshot", "guard"])
def test_a_load_begun_twice_is_begun_once(
    provider: Any, line: Proxy, client: redis.Redis, lost: Callable[[bytes], bool]
) -> None:
    """The lease is recognised as ours, and what is returned is what stands on the server."""
    keys = Keyspace(provider.namespace)
    line.lose_reply(lost)
    begun = provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=True)
    assert line.lost == 1
    assert begun.leased
    assert client.get(keys.lease("key")) == MINE
    assert list(begun.snapshot.versions) == [client.get(keys.version(ROOT)), client.get(keys.version(A))]
    assert begun.snapshot.guard == client.get(keys.guard)
    assert not provider.begin("key", [ROOT], OTHERS, MINUTE, MINUTE, guard=False).leased


def test_a_version_that_was_used_and_rotated_does_not_come_back(
    provider: Any, line: Proxy, client: redis.Redis
) -> None:
    """Between the two runs others may have stored under what the first one offered, and invalidated it."""
    name = Keyspace(provider.namespace).version(A)
    used: list[Any] = []

    def meanwhile() -> None:
        used.append(client.get(name))
        client.unlink(name)

    line.lose_reply(anything, meanwhile)
    begun = provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
    assert line.lost == 1
    assert list(begun.snapshot.versions) == [client.get(name)]
    assert used != list(begun.snapshot.versions)
    assert begun.leased


def test_a_store_done_twice_is_done_once(provider: Any, line: Proxy, client: redis.Redis) -> None:
    """The value is there, the lease is free, nothing is left staged; the repetition may say that it came too late."""
    keys = Keyspace(provider.namespace)
    provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
    line.lose_reply(anything)
    provider.store("key", b"value", MINUTE, MINE)
    assert line.lost == 1
    assert provider.read("key", []).entry == b"value"
    assert client.get(keys.lease("key")) is None
    assert not client.exists(keys.entry("key") + b":s" + MINE)
    assert client.pttl(keys.entry("key")) > 0


def test_a_repeated_store_takes_nothing_from_a_later_holder(
    provider: Any, line: Proxy, client: redis.Redis
) -> None:
    """Between the two runs somebody else may have loaded: the second run neither overwrites nor frees."""
    keys = Keyspace(provider.namespace)
    provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)

    def meanwhile() -> None:
        client.delete(keys.entry("key"))
        client.set(keys.lease("key"), OTHERS)

    line.lose_reply(anything, meanwhile)
    assert not provider.store("key", b"value", MINUTE, MINE)
    assert provider.read("key", []).entry is None
    assert client.get(keys.lease("key")) == OTHERS


def test_a_put_done_twice_is_done_once(provider: Any, line: Proxy, client: redis.Redis) -> None:
    """The value is there, for as long as was asked, and no lease stands."""
    keys = Keyspace(provider.namespace)
    provider.begin("key", [ROOT], OTHERS, MINUTE, MINUTE, guard=False)
    line.lose_reply(anything)
    provider.put("key", b"value", MINUTE)
    assert line.lost == 1
    assert provider.read("key", []).entry == b"value"
    assert 0 < client.pttl(keys.entry("key")) <= MINUTE
    assert client.get(keys.lease("key")) is None


def test_an_invalidation_done_twice_invalidates(provider: Any, line: Proxy, client: redis.Redis) -> None:
    """Versions, keys and leases are gone, the row fence stands, and a follower meets the same event, at worst twice."""
    keys = Keyspace(provider.namespace)
    provider.begin("key", [ROOT, A], OTHERS, MINUTE, MINUTE, guard=True)
    provider.put("gone", b"value", MINUTE)
    cursor = provider.journal_end()
    line.lose_reply(anything)
    event = invalidation("a", keys=("key", "gone"), row_version=7, lag_ms=MINUTE)
    (place,) = provider.invalidate([event])
    assert line.lost == 1
    assert client.mget(keys.version(A), keys.lease("key"), keys.entry("gone")) == [None] * 3
    assert client.get(keys.min_version(A)) == b"7"
    page = provider.journal(cursor, 10)
    assert page.contiguous
    assert {record.id for _, record in page.records} == {event.id}
    assert page.last == place


def test_a_release_done_twice_frees_only_ours(provider: Any, line: Proxy, client: redis.Redis) -> None:
    """Whoever takes the lease between the two runs keeps it."""
    keys = Keyspace(provider.namespace)
    provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
    line.lose_reply(anything)
    provider.release("key", MINE)
    assert line.lost == 1
    assert client.get(keys.lease("key")) is None
    provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
    line.lose_reply(anything, lambda: client.set(keys.lease("key"), OTHERS))
    provider.release("key", MINE)
    assert client.get(keys.lease("key")) == OTHERS


def test_a_lost_reply_to_the_guards_creation_hides_no_bump(
    connect: Callable[[str], Any], line: Proxy, valkey_url: str, client: redis.Redis
) -> None:
    """A guard that is made twice would fence nothing in between: the second run keeps what stands (P1).

    A slow load begins after the guard was made; its late tag is invalidated; then the guard is made again.
    """
    source = ["old"]
    loading, enough = threading.Event(), threading.Event()
    slow, writer = Cache(connect(valkey_url)), Cache(connect(valkey_url))

    def load() -> str:
        value = source[0]
        loading.set()
        enough.wait(10)
        return value

    def read(cache: Cache, loader: Callable[[], str]) -> str:
        return cache.get_or_load("k", loader, tags_from=lambda _: ["late"])

    thread = threading.Thread(target=read, args=(slow, load))

    def meanwhile() -> None:
        thread.start()
        loading.wait(10)
        source[0] = "new"
        writer.invalidate("late")

    maker = Cache(connect(line.url))
    maker.get("warm")
    client.delete(Keyspace(maker.namespace).guard)
    line.lose_reply(creates_the_guard, meanwhile)
    maker.get_or_load("other", lambda: 1, tags_from=lambda _: ["x"])
    enough.set()
    thread.join()
    assert line.lost == 1
    assert read(writer, lambda: source[0]) == "new"
