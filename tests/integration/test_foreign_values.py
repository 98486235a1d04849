"""What somebody else wrote under our keys is a miss that heals, never an exception: a cache server is shared."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
import redis

from staleproof import Cache, Policy
from staleproof.keys import Keyspace
from staleproof.policies.guard import GUARD_BYTES
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.tags import ROOT, tag_id
from staleproof.testing import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis


def blocking(url: str, namespace: str) -> Any:
    return RedisProvider.from_url(url, namespace=namespace)


def awaiting(url: str, namespace: str) -> Any:
    return Blocking(AsyncRedisProvider.from_url(url, namespace=namespace))


@pytest.fixture(params=[blocking, awaiting], ids=["blocking", "awaiting"])
def cache(request: pytest.FixtureRequest, valkey_url: str, fresh_namespace: str) -> Iterator[Cache]:
    """A cache over one face of the provider; waiting for a lease is given up at once, which would show."""
    provider = request.param(valkey_url, fresh_namespace)
    yield Cache(provider, policy=Policy(patience=0))
    getattr(provider, "shut", provider.close)()


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """The other program."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def keys(fresh_namespace: str) -> Keyspace:
    """Where things lie."""
    return Keyspace(fresh_namespace)


def read(cache: Cache) -> str:
    """Read through, under a tag and a late tag."""
    return cache.get_or_load("k", lambda: "value", tags=["t"], tags_from=lambda _: ["late"])


def heals(cache: Cache) -> bool:
    """Say whether a read answers and leaves behind what the next ones are answered from."""
    before = cache.statistics.loads
    values = [read(cache) for _ in range(3)]
    return values == ["value"] * 3 and cache.statistics.loads <= before + 1


WRITES: dict[str, Callable[[redis.Redis, bytes], Any]] = {
    "list": lambda client, name: client.rpush(name, "x"),
    "hash": lambda client, name: client.hset(name, "a", "b"),
    "set": lambda client, name: client.sadd(name, "x"),
    "sorted set": lambda client, name: client.zadd(name, {"x": 1}),
    "stream": lambda client, name: client.xadd(name, {"a": "b"}),
}
TYPES = pytest.mark.parametrize("other", WRITES)


def overwrite(client: redis.Redis, name: bytes, other: str) -> None:
    """Put a value of another type under *name*."""
    client.delete(name)
    WRITES[other](client, name)


@pytest.mark.parametrize("text", [b"", b"x", b"x" * 5, b"x" * 7, b"x" * 9, b"x" * 10_000], ids=len)
@pytest.mark.parametrize("tag", ["root", "named", "late"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_versions_of_another_length(
    cache: Cache, client: redis.Redis, keys: Keyspace, text: bytes, tag: str, *, warm: bool
) -> None:
    """A version that no entry can carry is replaced before the load."""
    if warm:
        read(cache)
    which = {"root": ROOT, "named": tag_id("t"), "late": tag_id("late")}[tag]
    client.set(keys.version(which), text)
    assert heals(cache)
    assert client.strlen(keys.version(which)) == 8
    cache.invalidate("t")
    assert heals(cache)


@TYPES
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_versions_of_another_type(
    cache: Cache, client: redis.Redis, keys: Keyspace, other: str, *, warm: bool
) -> None:
    """A list where a version should be is replaced too."""
    if warm:
        read(cache)
    for tag in (ROOT, tag_id("t"), tag_id("late")):
        overwrite(client, keys.version(tag), other)
    assert heals(cache)
    overwrite(client, keys.version(tag_id("t")), other)
    cache.invalidate("t")
    assert heals(cache)


@TYPES
def test_entries_of_another_type(cache: Cache, client: redis.Redis, keys: Keyspace, other: str) -> None:
    """An entry is written over whatever lies there, or evicted, as if it were ours."""
    overwrite(client, keys.entry("k"), other)
    assert heals(cache)
    overwrite(client, keys.entry("k"), other)
    cache.put("k", "put", tags=["t"])
    stored: Any = cache.get("k", tags=["t"])
    assert stored == "put"
    overwrite(client, keys.entry("k"), other)
    cache.evict("k")
    assert not client.exists(keys.entry("k"))


def test_entries_of_other_programs(cache: Cache, client: redis.Redis, keys: Keyspace) -> None:
    """Text, noise, a truncated entry and one that claims thousands of tags are misses, each counted, each healed."""
    read(cache)
    whole: Any = client.get(keys.entry("k"))
    count = 65_535
    huge = struct.pack("<BBHI", 0xE1, 0, count, 2) + os.urandom(14 * count) + bytes(24) + b"\x01"
    cuts = [whole[:length] for length in range(0, len(whole), 7)]
    for raw in (b"", b"text", os.urandom(200), huge, whole[:8] + bytes(500), *cuts):
        client.set(keys.entry("k"), raw)
        assert heals(cache)


@TYPES
def test_guards_of_another_type(cache: Cache, client: redis.Redis, keys: Keyspace, other: str) -> None:
    """A guard that cannot be read is made anew before the load, and fences again."""
    overwrite(client, keys.guard, other)
    assert heals(cache)
    assert client.strlen(keys.guard) == GUARD_BYTES


@pytest.mark.parametrize("length", [0, 5, GUARD_BYTES - 1, GUARD_BYTES, GUARD_BYTES + 4])
def test_guards_of_another_length(cache: Cache, client: redis.Redis, keys: Keyspace, length: int) -> None:
    """A short, long or empty guard, and one without an epoch, is made anew."""
    client.set(keys.guard, bytes(length))
    assert heals(cache)
    client.set(keys.guard, b"x" * length)
    cache.invalidate("t", "late")
    assert heals(cache)


@pytest.mark.parametrize(
    "text", [b"", b"zz", b"-3", b"1.5", b" 7", b"\xd9\xa3", b"9" * 30, b"0x10"], ids=repr
)
def test_fences_that_are_no_number(cache: Cache, client: redis.Redis, keys: Keyspace, text: bytes) -> None:
    """Under a fence that cannot be read nothing is stored (P6), and every read is answered; without it all is well."""
    client.set(keys.min_version(tag_id("t")), text)
    assert [read(cache), read(cache)] == ["value", "value"]
    assert cache.statistics.unstored == {"lagging": 2}
    assert cache.get_or_load("row", lambda: 1, tags=["t"], row_version=lambda _: 2**63 - 1) == 1
    client.delete(keys.min_version(tag_id("t")))
    assert heals(cache)


@TYPES
def test_fences_of_another_type(cache: Cache, client: redis.Redis, keys: Keyspace, other: str) -> None:
    """A list where a fence should be is no fence."""
    overwrite(client, keys.min_version(tag_id("t")), other)
    assert heals(cache)


@TYPES
def test_an_invalidation_replaces_a_guard_of_another_type(
    cache: Cache, client: redis.Redis, keys: Keyspace, other: str
) -> None:
    """A list where the guard should be stops no invalidation: a cache without late tags would never mend it."""
    overwrite(client, keys.guard, other)
    cache.invalidate("t")
    assert heals(cache)


@TYPES
def test_an_invalidation_replaces_a_fence_of_another_type(
    cache: Cache, client: redis.Redis, keys: Keyspace, other: str
) -> None:
    """A list where the row fence should be stops no invalidation."""
    overwrite(client, keys.min_version(tag_id("t")), other)
    cache.invalidate("t", row_version=3, lag="1m")
    assert client.get(keys.min_version(tag_id("t"))) == b"3"


def test_a_fence_of_thousands_of_digits(cache: Cache, client: redis.Redis, keys: Keyspace) -> None:
    """Python refuses to read such a number: it is a fence that cannot be read, like any other text."""
    client.set(keys.min_version(tag_id("t")), b"9" * 5_000)
    assert read(cache) == "value"


@TYPES
def test_leases_of_another_type(cache: Cache, client: redis.Redis, keys: Keyspace, other: str) -> None:
    """A list where a lease should be is nobody's lease: the load goes on and is stored."""
    overwrite(client, keys.lease("k"), other)
    assert heals(cache)
