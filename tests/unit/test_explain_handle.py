"""`explain` beside a cached function: of a plain function and of a method, blocking and awaited."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.both_faces import FACES, Face


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Face:
    return Face(awaited=request.param)


@FACES
def test_a_function_explains_its_calls(face: Face) -> None:
    """Before, after, and once a tag was invalidated, with the tag's text."""
    cached: Any = face.cache.cacheable("product:{number}", tags=["catalog"])(face.coloured(_product))
    assert face.do(cached.explain(42)).outcome != "hit"
    face.do(cached(42))
    assert "HIT" in str(face.do(cached.explain(42)))
    face.do(face.cache.invalidate("catalog"))
    words = str(face.do(cached.explain(42)))
    assert "STALE" in words
    assert "catalog" in words


@FACES
def test_a_method_explains_the_calls_of_its_object(face: Face) -> None:
    """The handle is bound, as the others are."""

    class Shop:
        product: Any = face.cache.cacheable("shop:{number}")(
            face.coloured(lambda self, number: _product(number))
        )

    shop = Shop()
    face.do(shop.product(7))
    assert "HIT" in str(face.do(shop.product.explain(7)))
    assert "HIT" not in str(face.do(shop.product.explain(number=8)))


def _product(number: int) -> dict[str, int]:
    return {"number": number}
