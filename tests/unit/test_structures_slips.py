"""Slips in the making of structures are told at once, by name, with the fix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest

from staleproof import AsyncCache, Cache, Policy
from staleproof.errors import CodecError, ConfigurationError
from staleproof.ports import structures
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memcached import MemcachedProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.memory_structures.vocabulary import COMMANDS
from staleproof.providers.tiered import TieredProvider

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    name: str
    number: int


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass
class Changing:
    x: int


@dataclass(frozen=True)
class Measured:
    x: float


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryProvider(), policy=Policy(ttl="1h"))


TEXT: Any = str
SLIPS: dict[str, tuple[Callable[[Cache], Any], str]] = {
    "no ttl": (lambda cache: cache.counter("k", policy=Policy(ttl=None)), "needs a policy with a ttl"),
    "one text for members": (lambda cache: cache.set("k", member=str)().contains_many("ann"), "pass a list"),
    "one text for scores": (lambda cache: cache.sorted_set("k", member=str)().scores("ann"), "pass a list"),
    "one text for fields": (
        lambda cache: cache.hash("k", field=str, value=int)().get_many("a"),
        "pass a list",
    ),
    "unknown policy": (lambda cache: cache.counter("k", policy="hot"), "no policy is called 'hot'"),
    "unknown field": (lambda cache: cache.counter("k:{a}", tags=["t:{b}"]), "unknown field 'b'"),
    "broken template": (lambda cache: cache.counter("k:{a"), "brace"),
    "one text": (lambda cache: cache.counter("k", tags="t"), "pass a list of tags"),
    "too few": (lambda cache: cache.counter("k:{a}:{b}")(1), "a value for each of its fields: a, b"),
    "too many": (lambda cache: cache.counter("k:{a}")(1, 2), "got 2 in order"),
    "twice": (lambda cache: cache.counter("k:{a}")(1, a=1), "by name: a"),
    "another": (lambda cache: cache.counter("k:{a}")(b=1), "by name: b"),
    "too long": (lambda cache: cache.counter("k:{a}")("x" * 5_000), "hash long parts"),
    "no text": (lambda cache: cache.counter("k:{a}")([1]), "cannot be made of list"),
    "dict": (lambda cache: cache.set("k", member=dict), "equal elements must be written alike"),
    "changing": (lambda cache: cache.set("k", member=Changing), "frozen dataclass"),
    "floats within": (lambda cache: cache.hash("k", field=Measured, value=int), "field=.*without floats"),
    "floats in tuples": (lambda cache: cache.geo("k", member=tuple[float, str]), "member=.*without floats"),
    "counter of texts": (lambda cache: cache.counter("k", kind=TEXT), "counts int or float"),
    "no bits": (lambda cache: cache.bitmap("k", bits=0), "bits=0"),
    "no length": (lambda cache: cache.stream("k", value=str, maxlen=0), "maxlen=0"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told(slip: str, cache: Cache) -> None:
    """A structure that could not work is refused when it is made, not when it is used."""
    make, message = SLIPS[slip]

    with pytest.raises(ConfigurationError, match=message):
        make(cache)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (str, ["", "a", "ü", "\x00"]),
        (int, [0, -1, 2**80]),
        (float, [0.0, -1.5, float("inf")]),
        (bytes, [b"", b"\xff"]),
        (bool, [True, False]),
        (UUID, [UUID(int=1)]),
        (date, [date(2026, 1, 2)]),
        (Colour, [Colour.RED]),
        (Pair, [Pair("a", 1)]),
        (Point, [Point(1, 2)]),
        (tuple[int, ...], [(), (1, 2)]),
        (tuple[str, Colour], [("a", Colour.RED)]),
    ],
    ids=str,
)
def test_members_come_back_as_they_were(kind: Any, members: list[Any], cache: Cache) -> None:
    """A member is found by an equal one, and read back equal and of its type."""
    made = cache.set("k", member=kind)()
    assert made.add(*members, *members) == len(members)
    found = made.members()
    assert found == set(members)
    assert {type(each) for each in found} == {type(each) for each in members}
    assert all(made.contains(each) for each in members)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (str, 1),
        (str, "\ud800"),
        (int, True),
        (int, 1.0),
        (int, 10**5_000),
        (float, float("nan")),
        (float, "1"),
        (bytes, bytearray(b"x")),
        (bytes, b"x" * (2**24 + 1)),
        (Colour, "red"),
        (Point, Pair("a", 1)),
        (tuple[int, ...], ("a",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_members_that_do_not_fit_are_refused(kind: Any, wrong: Any, cache: Cache) -> None:
    """What could not be found again by its equal is an error, which tells no value."""
    with pytest.raises(CodecError) as refused:
        cache.set("k", member=kind)().add(wrong)
    assert len(str(refused.value)) < 300


def test_equal_floats_are_one_member(cache: Cache) -> None:
    """Zero has two signs and one place, and an integer is the float that it is equal to."""
    made = cache.set("k", member=float)()
    assert made.add(0.0, -0.0, 0, 1, 1.0) == 2
    assert made.members() == {0.0, 1.0}


def test_what_a_release_cannot_read_is_told(cache: Cache) -> None:
    """Elements that somebody else wrote otherwise are an error of the codec, not a wrong value."""
    cache.set("k", member=str)().add("x")
    with pytest.raises(CodecError):
        cache.set("k", member=int)().members()


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (int, b"1_0"),
        (int, b" 1"),
        (int, b"+1"),
        (int, b"01"),
        (float, b"1"),
        (float, b"nan"),
        (bool, b"2"),
        (date, b"20240101"),
    ],
)
def test_a_member_that_would_not_be_found_again_is_told(kind: Any, raw: bytes, cache: Cache) -> None:
    """What somebody else wrote, and what reads as a member that we write otherwise, is no member of ours."""
    cache.set("k", member=bytes)().add(raw)
    with pytest.raises(CodecError, match="a stored element is no"):
        cache.set("k", member=kind)().members()


@pytest.mark.parametrize("cursor", ["\u0663", "1" * 21, "-1", " 1", "1\n", ""])
def test_a_cursor_that_is_none_is_told(cursor: str, cache: Cache) -> None:
    """On every provider alike, and before a server is asked."""
    with pytest.raises(ConfigurationError, match="cursor="):
        cache.set("k", member=str)().page(cursor)


def test_memcached_has_none() -> None:
    """A provider that has no structures says so, and what has."""
    provider = MemcachedProvider.from_url("memcached://127.0.0.1:1/", namespace="n")
    for over in (provider, TieredProvider(provider)):
        cache = Cache(over, near=False)
        with pytest.raises(ConfigurationError, match="need Valkey, Redis or the memory provider"):
            cache.counter("k")().incr()


def test_a_policy_that_was_replaced_counts_from_then_on(cache: Cache) -> None:
    """The life is that of the policy as it is when something is written."""
    cache.adopt(policies={"hot": Policy(ttl="1m")})
    handle = cache.counter("k", policy="hot")()
    handle.incr()
    cache.adopt(policies={"hot": Policy(ttl="1h")})
    handle.incr()
    assert 3_500 < (handle.ttl() or 0) <= 3_600


def test_operations_are_counted_by_kind(cache: Cache) -> None:
    """What the server answered is counted by the kind of structure, and none of it as a read."""
    before = cache.statistics.snapshot()
    cache.counter("secret:{n}")(1).incr()
    cache.set("secret:{n}", member=str)(2).members()
    counted = cache.statistics.since(before)
    assert counted.operations == {"counter": 1, "set": 1}
    assert counted.reads == 0
    assert "secret" not in str(counted.as_dict())


def test_memory_knows_every_command() -> None:
    """The memory provider has what a provider may be asked, and nothing else."""
    assert {*COMMANDS, "PTTL"} == structures.COMMANDS


async def test_an_asyncio_handle_is_awaited() -> None:
    """Operations of an asyncio cache are coroutines, and handles tell what they are."""
    cache = AsyncCache(AsyncMemoryProvider(), policy=Policy(ttl="1h"))
    handle = cache.sorted_set("k:{n}", member=str, tags=["t:{n}"])(1)
    assert await handle.add("ann", 1)
    assert await (await handle.pinned()).top() == [("ann", 1.0)]
    assert (handle.key, handle.tags, repr(handle)) == ("k:1", ("t:1",), "AsyncSortedSet('k:1')")
    await handle.invalidate()
    assert await handle.size() == 0
