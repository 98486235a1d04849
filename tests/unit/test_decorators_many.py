"""`cacheable_many`: a function from ids to values, loaded with the missing ids alone."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - what is annotated is read at decoration
from dataclasses import dataclass
from typing import Any

import pytest

from staleproof import Cache, ConfigurationError, Policy
from staleproof.providers.memory import MemoryProvider
from tests.unit.both_faces import Face


@dataclass
class Product:
    id: int


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces."""
    return Face(awaited=request.param, policy=Policy(staleness=60))


@pytest.fixture
def loads() -> list[Any]:
    """What the function was called with."""
    return []


@pytest.fixture
def products(face: Face, loads: list[Any]) -> Any:
    """A function of many ids that knows those below 100."""

    def products(product_ids: list[int], currency: str = "EUR") -> dict[int, Product]:
        loads.append(list(product_ids))
        return {each: Product(each) for each in product_ids if each < 100}

    decorate = face.cache.cacheable_many("product:{product_id}", tags=["product:{product_id}", "catalog"])
    return decorate(face.coloured(products))


def test_only_what_is_missing_is_loaded(face: Face, products: Any, loads: list[Any]) -> None:
    """In the order asked for, each once; an empty list loads nothing."""
    assert face.do(products([3, 1, 3, 2])) == {3: Product(3), 1: Product(1), 2: Product(2)}
    assert list(face.do(products([1, 5, 2, 4]))) == [1, 5, 2, 4]
    assert face.do(products([])) == {}
    assert list(face.do(products(iter([5, 1])))) == [5, 1]
    assert loads == [[3, 1, 2], [5, 4]]


def test_what_the_function_leaves_out_is_left_out(face: Face, products: Any, loads: list[Any]) -> None:
    """And asked for again; the rest is kept."""
    for _ in range(2):
        assert face.do(products([1, 200])) == {1: Product(1)}
    assert loads == [[1, 200], [200]]


def test_handles_take_ids(face: Face, products: Any, loads: list[Any]) -> None:
    """Peek, invalidate and refresh take what the function takes; key and tags take one id in the list's place."""
    face.do(products([1, 2, 3]))
    assert products.key(7) == "product:7"
    assert products.key(product_ids=7, currency="USD") == "product:7"
    assert products.tags(7) == ("product:7", "catalog")
    assert face.do(products.peek([1, 9, 2])) == {1: Product(1), 2: Product(2)}
    face.do(products.invalidate([1, 9]))
    assert face.do(products.peek([1, 2])) == {2: Product(2)}
    assert face.do(products.refresh([2, 1])) == {2: Product(2), 1: Product(1)}
    assert face.do(products.peek([1, 2])) == {1: Product(1), 2: Product(2)}
    assert loads == [[1, 2, 3], [2, 1]]
    face.do(products.invalidate([]))
    assert face.do(products.peek([])) == {}


def test_one_text_is_no_list(face: Face, products: Any) -> None:
    """To Python it is one of letters."""
    with pytest.raises(ConfigurationError, match=r"product_ids='abc' is one text; pass a list: \['abc'\]"):
        face.do(products("abc"))


def test_tags_work(face: Face, products: Any, loads: list[Any]) -> None:
    """One member's tag forgets that member, a shared one all of them."""
    face.do(products([1, 2]))
    face.do(face.cache.invalidate("product:1"))
    face.do(products([1, 2]))
    face.do(face.cache.invalidate("catalog"))
    face.do(products([1, 2]))
    assert loads == [[1, 2], [1], [1, 2]]


def test_entries_are_those_of_the_single_function(face: Face, products: Any, loads: list[Any]) -> None:
    """The same template, tags and type of value: what one stores, the other serves."""

    def product(product_id: int) -> Product:
        loads.append(product_id)
        return Product(product_id)

    single = face.cache.cacheable("product:{product_id}", tags=["product:{product_id}", "catalog"])(
        face.coloured(product)
    )
    face.do(products([1, 2]))
    assert face.do(single(1)) == Product(1)
    assert face.do(single(3)) == Product(3)
    assert face.do(products([3, 2])) == {3: Product(3), 2: Product(2)}
    face.do(single.invalidate(2))
    assert face.do(products.peek([2, 3])) == {3: Product(3)}
    assert loads == [[1, 2], 3]


def test_other_parameters_count_where_templates_name_them(face: Face, loads: list[Any]) -> None:
    """They are passed on, defaults too."""

    def prices(ids: list[int], currency: str = "EUR", *, net: bool = False) -> dict[int, str]:
        loads.append((list(ids), currency, net))
        return {each: f"{each} {currency}" for each in ids}

    decorate = face.cache.cacheable_many("price:{currency}:{id}:{net}")
    cached = decorate(face.coloured(prices))
    assert face.do(cached([1], "USD")) == {1: "1 USD"}
    assert face.do(cached(ids=[1, 2])) == {1: "1 EUR", 2: "2 EUR"}
    assert face.do(cached([1, 2], currency="EUR", net=False)) == {1: "1 EUR", 2: "2 EUR"}
    assert loads == [([1], "USD", False), ([1, 2], "EUR", False)]
    assert cached.key(1, "USD", net=True) == "price:USD:1:true"


def test_none_is_a_value(face: Face, loads: list[Any]) -> None:
    """An id with nothing behind it, said so, is not asked for again; `unless` may have it otherwise."""

    def find(names: list[str]) -> dict[str, int | None]:
        loads.append(list(names))
        return dict.fromkeys(names)

    kept = face.cache.cacheable_many("kept:{name}")(face.coloured(find))
    unkept = face.cache.cacheable_many("unkept:{name}", unless=lambda value: value is None)(
        face.coloured(find)
    )
    for _ in range(2):
        assert face.do(kept(["a"])) == {"a": None}
    assert len(loads) == 1
    for _ in range(2):
        assert face.do(unkept(["a"])) == {"a": None}
    assert len(loads) == 3


def test_when(face: Face, loads: list[Any]) -> None:
    """Whole calls may pass the cache by."""

    def squares(numbers: list[int], *, fresh: bool = False) -> dict[int, int]:
        loads.append(list(numbers))
        return {each: each * each for each in numbers}

    cached = face.cache.cacheable_many("square:{number}", when=lambda fresh: not fresh)(
        face.coloured(squares)
    )
    for fresh in (True, False, False, True):
        assert face.do(cached([2, 3], fresh=fresh)) == {2: 4, 3: 9}
    assert len(loads) == 3


def test_ids_that_share_a_key_share_a_value(face: Face, loads: list[Any]) -> None:
    """`1` and `"1"` are one key: they are loaded once, and both are answered."""

    def squares(numbers: list[Any]) -> dict[Any, int]:
        loads.append(list(numbers))
        return {each: int(each) ** 2 for each in numbers}

    cached = face.cache.cacheable_many("square:{number}")(face.coloured(squares))
    assert face.do(cached([3, "3", 2])) == {3: 9, "3": 9, 2: 4}
    assert loads == [[3, 2]]


def test_on_methods() -> None:
    """Bound to the object, with its handles, whichever kind of method."""
    cache = Cache(MemoryProvider("many"))
    loads: list[Any] = []

    class Shop:
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        @cache.cacheable_many("item:{self.tenant}:{item}")
        def items(self, items: list[int]) -> dict[int, str]:
            loads.append(items)
            return {each: f"{self.tenant}{each}" for each in items}

        @cache.cacheable_many("class:{item}", each="wanted")
        @classmethod
        def of_class(cls, wanted: list[int]) -> dict[int, str]:
            loads.append(wanted)
            return dict.fromkeys(wanted, cls.__name__)

    shop = Shop("a")
    assert shop.items([1, 2]) == shop.items([1, 2]) == {1: "a1", 2: "a2"}
    assert shop.items.key(1) == "item:a:1"
    shop.items.invalidate([1])
    assert shop.items.peek([1, 2]) == {2: "a2"}
    assert Shop.of_class([1]) == shop.of_class([1]) == {1: "Shop"}
    assert Shop.of_class.key(1) == "class:1"
    assert len(loads) == 2


@pytest.mark.parametrize(
    ("key", "each", "message"),
    [
        ("all", None, "must name one member of the list"),
        ("a:{x}:{y}", None, "they name 'x', 'y'"),
        ("a:{things}", None, "must name one member of the list"),
        ("a:{item}", None, r"which parameter is the list of 'item'\? Name it: each='items'"),
        ("a:{item}", "wrong", "which parameter is the list"),
        (None, None, "needs a template"),
        (lambda things: "k", None, "needs a template"),
    ],
)
def test_mistakes_are_said_at_decoration(face: Face, key: Any, each: Any, message: str) -> None:
    """With the function's name and its parameters."""

    def load(things: list[int]) -> dict[int, int]:
        return {}

    with pytest.raises(ConfigurationError, match=f"load: .*{message}"):
        face.cache.cacheable_many(key, each=each)(face.coloured(load))


@pytest.mark.parametrize("plural", ["things", "thing_list", "all_things"])
def test_plurals_are_found(face: Face, plural: str) -> None:
    """`thing` is one of `things`; anything else is named by `each`."""
    scope: dict[str, Any] = {}
    exec(f"def load({plural}): return {{each: each for each in {plural}}}", scope)  # noqa: S102 - a test's own
    assert face.do(face.cache.cacheable_many("a:{thing}")(face.coloured(scope["load"]))([1])) == {1: 1}


def test_categories_are_a_plural(face: Face) -> None:
    """As English has it."""

    def load(categories: list[str]) -> dict[str, int]:
        return dict.fromkeys(categories, 1)

    assert face.do(face.cache.cacheable_many("c:{category}")(face.coloured(load))(["x"])) == {"x": 1}


def test_it_returns_a_dict(face: Face) -> None:
    """The annotation says what the values are; anything but a mapping is refused, at decoration or when it comes."""

    def listed(ids: list[int]) -> list[int]:
        return ids

    def lying(ids: list[int]) -> Mapping[int, int]:
        return ids  # type: ignore[return-value]

    with pytest.raises(ConfigurationError, match="return a dict from each id"):
        face.cache.cacheable_many("a:{id}")(face.coloured(listed))
    with pytest.raises(ConfigurationError, match="a list; return a dict by id"):
        face.do(face.cache.cacheable_many("a:{id}")(face.coloured(lying))([1]))
