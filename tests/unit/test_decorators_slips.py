"""Decorators without their parentheses, handles with one id too few or too many, and functions that are let go."""

from __future__ import annotations

import gc
import weakref

import pytest

from staleproof import ConfigurationError
from tests.unit.both_faces import Face


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces."""
    return Face(awaited=request.param)


@pytest.mark.parametrize("kind", ["cacheable", "cache_put", "evicts"])
@pytest.mark.parametrize("args", [(), (1,), (1, 2)])
def test_a_decorator_without_parentheses_is_told_at_the_first_call(
    face: Face, kind: str, args: tuple[int, ...]
) -> None:
    """It took the function for `key=`; the message says what to write."""

    def function(*args: int) -> int:
        return len(args)

    bare = getattr(face.cache, kind)(face.coloured(function))
    with pytest.raises(ConfigurationError, match=r"function .* write @cache.cacheable\(\)"):
        face.do(bare(*args))


def test_one_id_and_many_are_not_mixed_up(face: Face) -> None:
    """What takes a list refuses one id; what takes one refuses a list; one id is explained."""

    def names(ids: list[int]) -> dict[int, str]:
        return {each: str(each) for each in ids}

    many = face.cache.cacheable_many("n:{id}", tags=["names"])(face.coloured(names))
    with pytest.raises(ConfigurationError, match="ids=1 is one id; pass a list"):
        face.do(many.invalidate(1))
    with pytest.raises(ConfigurationError, match="pass one id"):
        many.key([1, 2])
    assert face.do(many.explain(1)).outcome == "load"
    face.do(many([1]))
    assert face.do(many.explain(1)).outcome == "hit"


def test_a_function_that_is_let_go_is_forgotten(face: Face) -> None:
    """The cache holds no decorated function, and tells the living ones of new policies."""

    def function(number: int) -> int:
        return number

    plain = face.coloured(function)
    cached = face.cache.cacheable("f:{number}")(plain)
    gone = weakref.ref(cached)
    del cached
    gc.collect()
    assert gone() is None
