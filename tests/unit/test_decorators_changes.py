"""`evicts` and `cache_put`: functions that change what others have cached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from staleproof import MISSING, ConfigurationError, Policy
from tests.unit.both_faces import Face

BOUNDED = Policy(staleness=60)


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces."""
    return Face(awaited=request.param, policy=BOUNDED)


@pytest.fixture
def product(face: Face) -> Any:
    """A cached function, already called with 1 and 2."""

    def product(product_id: int) -> list[int]:
        return [product_id]

    cached = face.cache.cacheable("product:{product_id}", tags=["product:{product_id}", "catalog"])(
        face.coloured(product)
    )
    for each in (1, 2):
        face.do(cached(each))
    return cached


def left(face: Face, product: Any) -> list[int]:
    """Which of 1 and 2 are still cached."""
    return [each for each in (1, 2) if face.do(product.peek(each)) is not MISSING]


class TestEvicts:
    """What a call makes stale."""

    @pytest.mark.parametrize(
        ("options", "rest"),
        [
            ({"key": "product:{product_id}"}, [2]),
            ({"key": lambda product_id: f"product:{product_id}"}, [2]),
            ({"key": ["product:{product_id}", "product:{other}"]}, []),
            ({"tags": ["product:{product_id}"]}, [2]),
            ({"tags": ["catalog"]}, []),
            ({"tags": ["product:{result}"]}, [1]),
            ({"key": "product:{result}"}, [1]),
            ({"key": ["product:{result}"], "tags": ["product:{product_id}"]}, []),
            ({"all": True}, []),
            ({"key": "product:{product_id}", "when": lambda product_id: product_id > 1}, [1, 2]),
            ({"key": "product:{product_id}", "when": lambda result, product_id: result > product_id}, [2]),
            ({"key": "product:{product_id}", "timing": "before"}, [2]),
            ({"key": "product:{product_id}", "timing": "commit"}, [2]),
        ],
    )
    def test_it_evicts_what_it_names(self, face: Face, product: Any, options: Any, rest: list[int]) -> None:
        """Keys by template or function, tags, the result, everything; as far as `when` agrees."""

        def change(product_id: int, other: int = 2) -> int:
            return product_id + 1

        changing = face.cache.evicts(**options)(face.coloured(change))
        assert face.do(changing(1)) == 2
        assert left(face, product) == rest

    def test_the_key_of_another_function(self, face: Face, product: Any) -> None:
        """By parameters of the same names; digests too."""

        def change(note: str, product_id: int) -> None:
            """Nothing."""

        face.do(face.cache.evicts(key=product.key)(face.coloured(change))("x", 1))
        assert left(face, product) == [2]

    def test_after_only_on_success(self, face: Face, product: Any) -> None:
        """What failed has changed nothing; before it ran nobody knew."""

        def fail(product_id: int) -> None:
            raise KeyError

        for timing, rest in (("after", [1, 2]), ("commit", [1, 2]), ("before", [2])):
            failing = face.cache.evicts("product:{product_id}", timing=timing)(face.coloured(fail))
            with pytest.raises(KeyError):
                face.do(failing(1))
            assert left(face, product) == rest

    def test_the_order_of_things(self, face: Face, product: Any) -> None:
        """`before` is gone when the function runs, `after` is not yet."""
        seen: list[Any] = []

        def look(product_id: int) -> None:
            seen.append(face.cache.statistics.invalidations)

        for timing in ("before", "after"):
            face.do(face.cache.evicts("product:{product_id}", timing=timing)(face.coloured(look))(1))
        assert seen == [1, 1]
        assert face.cache.statistics.invalidations == 2

    def test_an_object_that_changes_meanwhile_is_evicted_under_both_names(self, face: Face) -> None:
        """What it was called before, and what it is called now; also if it had no name before."""
        for slug in ("old", "new"):
            face.do(face.cache.put(f"page:{slug}", 1))

        def rename(page: Any) -> None:
            page.slug = "new"

        renaming = face.cache.evicts("page:{page.slug}")(face.coloured(rename))
        face.do(renaming(SimpleNamespace(slug="old")))
        assert [face.do(face.cache.get(f"page:{slug}")) for slug in ("old", "new")] == [MISSING, MISSING]
        face.do(face.cache.put("page:new", 1))
        face.do(renaming(SimpleNamespace()))
        assert face.do(face.cache.get("page:new")) is MISSING

    def test_soft(self, face: Face) -> None:
        """Old values may be served while new ones are loaded, where the policy says so."""
        loads: list[int] = []

        def load(number: int) -> int:
            loads.append(number)
            return len(loads)

        policy = Policy(staleness=None, stale_while_revalidate=60)
        cached = face.cache.cacheable("n:{number}", tags=["n"], policy=policy)(face.coloured(load))
        soft = face.cache.evicts(tags=["n"], soft=True)(face.coloured(lambda: None))
        hard = face.cache.evicts(tags=["n"])(face.coloured(lambda: None))
        assert face.do(cached(1)) == 1
        face.do(soft())
        assert face.do(cached(1)) == 1
        face.do(hard())
        assert face.do(cached(1)) > 1

    def test_row_versions(self, face: Face) -> None:
        """A lagging replica's older row is served, not stored."""

        def load(number: int) -> int:
            return 4

        def change(number: int) -> int:
            return 5

        cached = face.cache.cacheable("n:{number}", tags=["n:{number}"], row_version=int)(face.coloured(load))
        changing = face.cache.evicts(tags=["n:{number}"], row_version=lambda result: result, lag="2s")
        face.do(changing(face.coloured(change))(1))
        face.do(cached(1))
        assert face.do(cached.peek(1)) is MISSING
        face.clock.advance(3)
        face.do(cached(1))
        assert face.do(cached.peek(1)) == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "names nothing"),
            ({"all": True, "tags": ["t"]}, "all=True forgets everything"),
            ({"key": "k", "timing": "later"}, "timing='later' is none of"),
            ({"key": "k:{wrong}"}, "unknown field 'wrong'"),
            ({"tags": ["t:{wrong}"]}, "unknown field 'wrong'"),
            ({"tags": "t"}, r"write tags=\['t'\]"),
            ({"key": "k:{result}", "timing": "before"}, "not there yet"),
            ({"key": "k", "timing": "before", "row_version": int, "lag": 1}, "does not have"),
            ({"key": "k", "row_version": int}, "go together"),
            ({"key": "k", "lag": 1}, "go together"),
            ({"key": "k", "when": lambda wrong: wrong}, "when takes 'wrong'"),
            ({"key": "k", "when": lambda result: result, "timing": "before"}, "when takes 'result'"),
        ],
    )
    def test_mistakes_are_said_at_decoration(self, face: Face, options: Any, message: str) -> None:
        """With the function's name."""

        def change(number: int) -> None:
            """Nothing."""

        with pytest.raises(ConfigurationError, match=f"change: .*{message}"):
            face.cache.evicts(**options)(face.coloured(change))

    def test_a_parameter_called_result(self, face: Face) -> None:
        """It hides the result: a template that names either is refused, one that names neither works."""

        def change(result: int) -> None:
            """Nothing."""

        with pytest.raises(ConfigurationError, match="rename the parameter"):
            face.cache.evicts("k:{result}")(face.coloured(change))
        face.do(face.cache.evicts("k", when=lambda result: result > 1)(face.coloured(change))(1))
        assert face.cache.statistics.invalidations == 0
        face.do(face.cache.evicts("k", when=lambda result: result > 1)(face.coloured(change))(2))
        assert face.cache.statistics.invalidations == 1

    def test_stacked(self, face: Face, product: Any) -> None:
        """Several on one function, over two caches; the outermost one last."""
        other = face.another("other")
        face.do(other.put("product:1", 1))

        def change(product_id: int) -> int:
            return product_id

        stacked = other.evicts("product:{product_id}")(
            face.cache.evicts("product:{product_id}")(face.coloured(change))
        )
        assert face.do(stacked(1)) == 1
        assert left(face, product) == [2]
        assert face.do(other.get("product:1")) is MISSING


class TestStacks:
    """Several decorators on one function."""

    def test_two_caches(self, face: Face) -> None:
        """The outer one answers first; each has its own handles, the outer's on top."""
        loads: list[int] = []

        def load(number: int) -> int:
            loads.append(number)
            return number

        other = face.another("other")
        inner = face.cache.cacheable("n:{number}")(face.coloured(load))
        outer = other.cacheable("m:{number}")(inner)
        assert [face.do(outer(1)), face.do(outer(1))] == [1, 1]
        assert (len(loads), outer.key(1), inner.key(1)) == (1, "m:1", "n:1")
        face.do(outer.invalidate(1))
        assert face.do(outer(1)) == 1
        assert len(loads) == 1  # the inner one had it
        for each in (outer, inner):
            face.do(each.invalidate(1))
        face.do(outer(1))
        assert len(loads) == 2

    def test_cacheable_over_evicts(self, face: Face, product: Any) -> None:
        """What is evicted is evicted by loads, not by hits."""

        def change(product_id: int) -> int:
            return product_id

        stacked = face.cache.cacheable("c:{product_id}")(
            face.cache.evicts("product:{product_id}")(face.coloured(change))
        )
        face.do(stacked(1))
        assert left(face, product) == [2]
        for each in (product, stacked):
            face.do(each(1))
        assert left(face, product) == [1, 2]


class TestPut:
    """What a call stores."""

    def test_it_always_runs_and_is_read_by_others(self, face: Face, product: Any) -> None:
        """The result replaces what is cached, near copies included; with the same tags it falls with them."""
        runs: list[int] = []

        def update(product_id: int, price: int) -> list[int]:
            runs.append(product_id)
            return [product_id, price]

        tags = ["product:{product_id}", "catalog"]
        putting = face.cache.cache_put("product:{product_id}", tags=tags)(face.coloured(update))
        assert face.do(putting(1, 10)) == [1, 10]
        assert face.do(product(1)) == [1, 10]
        assert face.do(putting(1, 11)) == face.do(product(1)) == [1, 11]
        assert len(runs) == 2
        face.do(face.cache.invalidate("catalog"))
        assert face.do(product(1)) == [1]

    def test_it_may_name_the_result(self, face: Face) -> None:
        """A created row has its id only then."""

        def create(name: str) -> dict[str, Any]:
            return {"id": 7, "name": name}

        putting = face.cache.cache_put("row:{result.id}", tags=["row:{result.id}"])(face.coloured(create))
        face.do(putting("x"))
        assert face.do(face.cache.get("row:7", tags=["row:7"])) == {"id": 7, "name": "x"}

    def test_tags_of_the_result(self, face: Face) -> None:
        """`tags_from` guards what is put as it guards what is loaded."""

        def create(number: int) -> dict[str, int]:
            return {"id": number, "brand": 9}

        by_brand = {"tags_from": lambda row: [f"brand:{row['brand']}"]}
        putting = face.cache.cache_put("row:{number}", **by_brand)(face.coloured(create))
        reading = face.cache.cacheable("row:{number}", **by_brand)(face.coloured(create))
        face.do(putting(1))
        assert face.do(reading.peek(1)) == {"id": 1, "brand": 9}
        face.do(face.cache.invalidate("brand:9"))
        assert face.do(reading.peek(1)) is MISSING

    def test_when_and_unless(self, face: Face) -> None:
        """Of parameters and result; the function runs all the same."""

        def update(number: int) -> int:
            return -number

        wary = face.cache.cache_put(
            "n:{number}", when=lambda number, result: number != result, unless=lambda result: result < -1
        )(face.coloured(update))
        assert [face.do(wary(each)) for each in (0, 1, 2)] == [0, -1, -2]
        assert [face.do(face.cache.get(f"n:{each}")) for each in (0, 1, 2)] == [MISSING, -1, MISSING]

    def test_it_waits_for_the_commit(self, face: Face) -> None:
        """In a transaction nothing is stored before its end, and nothing at all if it fails."""

        def update(number: int) -> int:
            return number

        putting = face.cache.cache_put("n:{number}", timing="commit")(face.coloured(update))

        def run(*, fail: bool) -> None:
            with face.cache.transaction():
                putting(1)
                assert face.cache.get("n:1") is MISSING
                if fail:
                    raise KeyError

        async def run_awaited(*, fail: bool) -> None:
            async with face.cache.transaction():
                await putting(1)
                assert await face.cache.get("n:1") is MISSING
                if fail:
                    raise KeyError

        attempt = run_awaited if face.awaited else run
        with pytest.raises(KeyError):
            face.do(attempt(fail=True))
        assert face.do(face.cache.get("n:1")) is MISSING
        face.do(attempt(fail=False))
        assert face.do(face.cache.get("n:1")) == 1
        face.do(putting(2))
        assert face.do(face.cache.get("n:2")) == 2

    def test_mistakes_are_said_at_decoration(self, face: Face) -> None:
        """With the function's name."""

        def update(number: int) -> int:
            return number

        for options, message in (
            ({"key": "k", "timing": "before"}, "neither 'after' nor 'commit'"),
            ({"key": "k:{wrong}"}, "unknown field 'wrong'"),
        ):
            with pytest.raises(ConfigurationError, match=f"update: .*{message}"):
                face.cache.cache_put(**options)(face.coloured(update))
        with pytest.raises(ConfigurationError, match="coroutine function"):
            Face(awaited=not face.awaited).cache.cache_put("k")(face.coloured(update))


class TestSlips:
    """What would evict nothing, or fail behind the change, is said before."""

    def test_a_key_of_another_cache_is_refused(self, face: Face) -> None:
        """At decoration, naming both; a key of one's own cache is taken."""
        there = face.another("there")

        def product(name: str) -> str:
            return name

        theirs = there.cacheable("p:{name}")(face.coloured(product))
        ours = face.cache.cacheable("p:{name}")(face.coloured(product))

        def change(name: str) -> None:
            """Nothing."""

        with pytest.raises(ConfigurationError, match="'there', and this one, of 'shop'"):
            face.cache.evicts(key=theirs.key)(face.coloured(change))
        face.cache.evicts(key=ours.key)(face.coloured(change))

    def test_a_template_that_cannot_be_rendered_fails_before_the_change(self, face: Face) -> None:
        """Where it names arguments alone; no row is changed that nothing would evict then."""
        changed: list[object] = []

        def change(name: object) -> None:
            changed.append(name)

        with pytest.raises(ConfigurationError):
            face.do(
                face.cache.evicts("p:{name}", tags=["of:{result.owner}"])(face.coloured(change))(object())
            )
        assert changed == []
