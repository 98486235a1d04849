"""Decorated functions over a real server: what one cache writes, changes and forgets, another one sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from staleproof import MISSING, AsyncCache, Cache, Policy, ambient
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

TEMPLATE = "row:{@tenant}:{row_id:slot}"
TAGS = ["row:{@tenant}:{row_id}", "rows"]


@pytest.fixture
def caches(valkey_url: str, fresh_namespace: str) -> Iterator[list[Cache]]:
    """Two caches of one namespace, as in two processes."""
    made = [
        Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace), policy=Policy(staleness=0))
        for _ in range(2)
    ]
    yield made
    for each in made:
        each.close()


def test_one_and_many_and_changes(caches: list[Cache]) -> None:
    """One key and many, loads, puts and evictions, by either of two caches."""
    here, there = caches
    loads: list[int] = []

    @here.cacheable(TEMPLATE, tags=TAGS)
    def row(row_id: int) -> str:
        loads.append(row_id)
        return f"loaded {row_id}"

    @there.cacheable_many(TEMPLATE, tags=TAGS)
    def rows(row_ids: list[int]) -> dict[int, str]:
        loads.extend(row_ids)
        return {each: f"loaded {each}" for each in row_ids}

    @there.cache_put(TEMPLATE, tags=TAGS)
    def write(row_id: int, text: str) -> str:
        return text

    @there.evicts(TEMPLATE, timing="commit")
    def remove(row_id: int) -> None:
        """Nothing."""

    with ambient(tenant="acme"):
        assert row(1) == "loaded 1"
        assert rows([2, 1]) == {2: "loaded 2", 1: "loaded 1"}
        assert row(2) == "loaded 2"
        assert loads == [1, 2]
        write(1, "written")
        assert (row(1), rows.peek([1])) == ("written", {1: "written"})
        with there.transaction():
            remove(1)
            remove(2)
            assert row.peek(1) == "written"
        assert (row.peek(1), row.peek(2)) == (MISSING, MISSING)
        assert row(1) == "loaded 1"
        there.invalidate("rows")
        assert row.peek(1) is MISSING
    with ambient(tenant="other"):
        assert row(1) == "loaded 1"
        assert sorted(here.scan()) == ["row:acme:{1}", "row:other:{1}"]


async def test_awaited(valkey_url: str, fresh_namespace: str) -> None:
    """The asyncio face does the same."""
    cache = AsyncCache(AsyncRedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    loads: list[int] = []

    class Rows:
        """Methods of an application."""

        @cache.cacheable("row:{row_id}")
        async def row(self, row_id: int) -> str:
            loads.append(row_id)
            return f"loaded {row_id}"

        @cache.cacheable_many("row:{row_id}")
        async def rows(self, row_ids: list[int]) -> dict[int, str]:
            loads.extend(row_ids)
            return {each: f"loaded {each}" for each in row_ids}

        @cache.evicts("row:{row_id}", timing="commit")
        async def remove(self, row_id: int) -> None:
            """Nothing."""

    source = Rows()
    assert await source.row(1) == "loaded 1"
    assert await source.rows([1, 2]) == {1: "loaded 1", 2: "loaded 2"}
    assert loads == [1, 2]
    async with cache.transaction():
        await source.remove(1)
        assert await source.row.peek(1) == "loaded 1"
    assert await source.rows.peek([1, 2]) == {2: "loaded 2"}
    await cache.close()
