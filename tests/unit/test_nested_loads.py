"""Cached functions inside loaders: what is built from a cached value is forgotten with it. And what a loader finds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import MISSING, AsyncCache, Cache, Policy, depends, loading
from staleproof.cache import loading as loads
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.tags import tag_id
from tests.unit.both_faces import FACES, Face

if TYPE_CHECKING:
    from collections.abc import Callable

NESTED = Policy(ttl="1h", staleness="1m")
APART = NESTED.but(inherit_tags=False)


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Face:
    """Each face of a cache."""
    return Face(awaited=request.param)


def shop(cache: Cache, policy: Policy = NESTED) -> tuple[Any, Any]:
    """A team, and a page that is built from it."""

    @cache.cacheable("team:{number}", tags=["team:{number}"], policy=NESTED)
    def team(number: int) -> str:
        depends("people")
        return f"team {number}"

    @cache.cacheable("page:{number}", policy=policy)
    def page(number: int) -> str:
        return f"page of {team(number)}"

    return team, page


@pytest.mark.parametrize("warm", [True, False], ids=["hit", "miss"])
@pytest.mark.parametrize("tag", ["team:1", "people"], ids=["named", "revealed"])
def test_what_is_built_from_a_cached_value_goes_with_it(tag: str, *, warm: bool) -> None:
    """Whether the inner call hits or loads, and whether its decorator names the tag or its load reveals it."""
    cache = Cache(MemoryProvider("nested"))
    team, page = shop(cache)
    if warm:
        team(1)
        team(1)
    page(1)
    assert page.peek(1) == "page of team 1"
    cache.invalidate("unrelated")
    assert page.peek(1) == "page of team 1"
    cache.invalidate(tag)
    assert page.peek(1) is MISSING
    page(1)
    assert page.peek(1) == "page of team 1"
    assert page.peek(2) is MISSING


def test_near_copies_go_too() -> None:
    """A copy of the outer value in the process carries the inner one's tags as well."""
    cache = Cache(MemoryProvider("nested"))
    team, page = shop(cache)
    team(1)
    page(1)
    page(1)
    assert cache.statistics.near_hits
    cache.invalidate("team:1")
    before = cache.statistics.loads
    page(1)
    assert cache.statistics.loads == before + 2


def test_every_load_around_depends() -> None:
    """Not the innermost alone."""
    cache = Cache(MemoryProvider("nested"))
    _team, page = shop(cache)

    @cache.cacheable("site", policy=NESTED)
    def site() -> str:
        return f"site with {page(1)}"

    for _ in range(2):  # everything is loaded; then the page alone is there
        site()
        assert site.peek() is not MISSING
        cache.invalidate("team:1")
        assert site.peek() is MISSING
        page(1)


@pytest.mark.parametrize("others", ["get", "get_many", "get_or_load", "get_or_load_many", "cacheable_many"])
def test_every_way_to_read_passes_tags_on(others: str) -> None:
    """Values that were put, and those of many keys."""
    cache = Cache(MemoryProvider("nested"), policy=NESTED)
    cache.put("k", 1, tags=["t"])

    @cache.cacheable_many("k{number}", each="wanted", tags=["t"])
    def numbers(wanted: list[int]) -> dict[int, int]:
        return dict.fromkeys(wanted, 1)

    ways: dict[str, Callable[[], Any]] = {
        "get": lambda: cache.get("k", tags=["t"]),
        "get_many": lambda: cache.get_many(["k"], tags=["t"]),
        "get_or_load": lambda: cache.get_or_load("other", lambda: 1, tags=["t"]),
        "get_or_load_many": lambda: cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1), tags=["t"]),
        "cacheable_many": lambda: numbers([1, 2]),
    }  # fmt: skip

    @cache.cacheable("outer")
    def outer() -> str:
        return str(ways[others]())

    for _ in range(2):
        outer()
        assert outer.peek() is not MISSING
        cache.invalidate("t")
        assert outer.peek() is MISSING
        cache.put("k", 1, tags=["t"])


def test_an_invalidation_half_way_leaves_nothing_old() -> None:
    """P1: the guard was bumped before the outer load began, the tag is rotated after the inner hit: no hit follows.

    The current version would bless the old value; the one that the hit was judged by does not.
    """
    provider = MemoryProvider("nested")
    cache = Cache(provider)
    team, _ = shop(cache)
    rotated: list[bool] = []

    @cache.cacheable("page")
    def page() -> str:
        built = f"page of {team(1)}"
        if not rotated:
            rotated.append(provider._cells.versions.delete(provider.keys.version(tag_id("team:1"))))
            cache.get_or_load("other", lambda: 1, tags=["team:1"])  # somebody makes a new version at once
        return built

    team(1)
    provider._cells.bump([tag_id("team:1")])
    page()
    assert rotated == [True]
    assert page.peek() is MISSING
    assert cache.statistics.unstored["tag"] == 1
    page()
    assert page.peek() is not MISSING


def test_two_hits_with_an_invalidation_between_are_not_stored_together() -> None:
    """One of them is outdated."""
    cache = Cache(MemoryProvider("nested"))
    cache.put("a", 1, tags=["t"])
    cache.put("b", 1, tags=["t"])
    seen: list[int] = []

    @cache.cacheable("sum")
    def total() -> int:
        first = cache.get("a", tags=["t"])
        if not seen:
            seen.append(1)
            cache.invalidate("t")
            cache.put("b", 2, tags=["t"])
        return int(first) + int(cache.get("b", tags=["t"]))

    assert total() == 3
    assert total.peek() is MISSING
    assert cache.statistics.unstored["nested"] == 1


def test_a_policy_may_leave_the_tags_out() -> None:
    """`inherit_tags=False`: what is read inside is the loader's own business."""
    cache = Cache(MemoryProvider("nested"))
    team, page = shop(cache, APART)
    team(1)
    page(1)
    cache.invalidate("team:1")
    assert page.peek(1) == "page of team 1"


def test_tags_of_another_namespace_or_provider_do_not_pass() -> None:
    """They would be versions of something else; the outer value is stored without them."""
    other, cache = Cache(MemoryProvider("other")), Cache(MemoryProvider("nested"))
    twin = Cache(MemoryProvider("nested"))
    other.put("k", 1, tags=["t"])
    twin.put("k", 1, tags=["t"])

    @cache.cacheable("outer")
    def outer() -> str:
        return f"{other.get('k', tags=['t'])} {twin.get('k', tags=['t'])}"

    outer()
    assert outer.peek() == "1 1"
    other.invalidate("t")
    assert outer.peek() == "1 1"


def test_a_value_of_too_many_tags_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read of it would ask for all of them; it is served, and counted."""
    monkeypatch.setattr(loads, "MAX_INHERITED", 10)
    cache = Cache(MemoryProvider("nested"))
    team, page = shop(cache)

    @cache.cacheable("all")
    def everything() -> str:
        return ", ".join(team(number) for number in range(20))

    everything()
    everything()
    assert everything.peek() is MISSING
    assert cache.statistics.unstored["nested"] == 2
    assert page(1) == page.peek(1)


def test_tasks_pass_tags_on() -> None:
    """Also of calls that a loader makes at once."""
    cache = AsyncCache(AsyncMemoryProvider("nested"))

    @cache.cacheable("team:{number}", tags=["team:{number}"])
    async def team(number: int) -> str:
        await asyncio.sleep(0)
        return f"team {number}"

    @cache.cacheable("page")
    async def page() -> list[str]:
        return await asyncio.gather(*(team(number) for number in (1, 2, 3, 3)))

    async def scenario() -> None:
        for number in (1, 2, 3):
            await team(number - 1)
            await page()
            assert await page.peek() is not MISSING
            await cache.invalidate(f"team:{number}")
            assert await page.peek() is MISSING

    asyncio.run(scenario())


@FACES
def test_a_refresh_finds_what_was_stored(face: Face) -> None:
    """`loading().stale` is the old value, however fresh, and `MISSING` where there is none; it may be kept."""
    found: list[Any] = []

    def document() -> str:
        found.append(loading().stale)
        if len(found) == 3:
            loading().not_modified()
        return f"version {len(found)}"

    cached = face.cache.cacheable("document", policy=Policy(ttl="1m"))(face.coloured(document))
    assert face.do(cached.refresh()) == "version 1"
    assert face.do(cached.refresh()) == "version 2"
    face.clock.advance(40)
    assert face.do(cached.refresh()) == "version 2"
    face.clock.advance(40)
    assert face.do(cached()) == "version 2"
    assert found == [MISSING, "version 1", "version 2"]
