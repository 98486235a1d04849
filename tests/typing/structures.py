"""Uses of data structures that must type-check, and uses that must not; see `decorated.py`."""

from __future__ import annotations

from typing import assert_type

from staleproof import AsyncCache, Cache, Missing, Policy
from staleproof.cache.structures import AsyncSortedSet, Nearby, Position, Record, SortedSet


def blocking(cache: Cache) -> None:
    """Handles of a blocking cache know their elements."""
    board = cache.sorted_set("leaderboard:{game}", member=str, tags=["game:{game}"], policy=Policy(ttl="1d"))
    assert_type(board(7), SortedSet[str])
    assert_type(board(game=7).add("ann", 12.5), bool)
    assert_type(board(7).top(3), list[tuple[str, float]])
    assert_type(board(7).rank("ann"), int | None)
    assert_type(board(7).pinned(), SortedSet[str])
    assert_type(board(7).ttl(), float | None)
    board(7).add(1, 2)  # type: ignore[arg-type]
    board(7).add("ann")  # type: ignore[call-arg]
    board(7).add("ann", 1, only="odd")  # type: ignore[arg-type]
    board(7).push("ann")  # type: ignore[attr-defined]
    cache.sorted_set("k")  # type: ignore[call-arg]
    assert_type(cache.list("k", value=int)().pop_left(wait="1s"), int | Missing)
    assert_type(cache.list("k", value=dict[str, int])().range(), list[dict[str, int]])
    table = cache.hash("k", field=str, value=int)()
    assert_type(table.all(), dict[str, int])
    assert_type(table.incr("a"), int)
    table.set("a", "b")  # type: ignore[arg-type]
    members = cache.set("k", member=int)()
    assert_type(members.union(members), set[int])
    assert_type(list(members.scan()), list[int])
    assert_type(cache.counter("k")().incr(), int)
    assert_type(cache.counter("k", kind=float)().incr(0.5), float)
    cache.counter("k")().incr("1")  # type: ignore[arg-type]
    assert_type(cache.hyperloglog("k", member=str)().count(), int)
    assert_type(cache.bitmap("k")().first(), int | None)
    assert_type(cache.stream("k", value=str)().after(), list[Record[str]])
    places = cache.geo("k", member=str)()
    assert_type(places.near(1, 2, radius=3), list[Nearby[str]])
    assert_type(places.position("a"), Position | None)
    places.near(1, 2, radius=3, unit="yd")  # type: ignore[arg-type]


async def awaiting(cache: AsyncCache) -> None:
    """Those of an asyncio cache do too, and are awaited."""
    board = cache.sorted_set("leaderboard:{game}", member=str)
    assert_type(board(7), AsyncSortedSet[str])
    assert_type(await board(7).add("ann", 12.5), bool)
    assert_type(await board(7).top(), list[tuple[str, float]])
    assert_type(await board(7).pinned(), AsyncSortedSet[str])
    await board(7).add(1, 2)  # type: ignore[arg-type]
    assert_type(await cache.hash("k", field=str, value=int)().get("a"), int | Missing)
    assert_type(await cache.counter("k")().incr(), int)
    assert_type([each async for each in cache.set("k", member=int)().scan()], list[int])
    await board(7).invalidate()
