"""Defaults of classes, and caches that are found by name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

import staleproof
from staleproof import MISSING, AsyncCache, Cache, ConfigurationError, Policy
from staleproof.config import Settings
from staleproof.decorators import registry
from staleproof.providers.memory import MemoryProvider
from tests.unit.both_faces import Face

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces."""
    return Face(awaited=request.param, policies={"hot": Policy(staleness=60)})


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    before = dict(registry._caches)
    registry._caches.clear()  # what examples and docs have registered is none of these tests' business
    yield
    registry._caches.clear()
    registry._caches.update(before)


class TestDefaults:
    """`@cache.defaults(...)` on a class."""

    def shop(self, face: Face, **options: Any) -> Any:
        cache = face.cache
        other = face.another("other")

        def product(self: Any, product_id: int) -> int:
            return product_id

        def named(self: Any, product_id: int) -> int:
            return product_id

        def theirs(self: Any, product_id: int) -> int:
            return product_id

        def whole(cls: Any, product_id: int) -> int:
            return product_id

        def rename(self: Any, product_id: int) -> None:
            """Nothing."""

        def placed(function: Any, name: str) -> Any:
            function.__qualname__ = f"Shop.{name}"
            return face.coloured(function)

        body = {
            "product": cache.cacheable("{product_id}")(placed(product, "product")),
            "named": cache.cacheable("n:{product_id}", tags=["own"], policy=Policy(staleness=5))(
                placed(named, "named")
            ),
            "whole": cache.cacheable("w:{product_id}")(classmethod(placed(whole, "whole"))),
            "rename": cache.evicts("{product_id}")(placed(rename, "rename")),
            "theirs": other.cacheable("{product_id}")(placed(theirs, "theirs")),
            "plain": 5,
        }
        return cache.defaults(**options)(type("Shop", (), body))

    def test_methods_take_what_they_do_not_name(self, face: Face) -> None:
        """Prefix, tags and policy; of other caches nothing, of `evicts` the prefix."""
        shop_class = self.shop(face, prefix="product", tags=["shop", "id:{product_id}"], policy="hot")
        shop = shop_class()
        assert shop.product.key(1) == "product:1"
        assert shop.product.tags(1) == ("shop", "id:1")
        assert shop.named.key(1) == "product:n:1"
        assert shop.named.tags(1) == ("own",)
        assert shop_class.whole.key(1) == "product:w:1"
        assert shop.theirs.key(1) == "1"
        assert shop.theirs.tags(1) == ()
        for _ in range(2):
            face.do(shop.product(1))
        assert face.cache.statistics.near_hits == 1
        face.do(shop.rename(1))
        assert face.do(shop.product.peek(1)) is MISSING
        assert shop.plain == 5

    def test_a_prefix_may_have_fields(self, face: Face) -> None:
        """Every method must have them."""
        shop = self.shop(face, prefix="p:{product_id}")()
        assert shop.product.key(1) == "p:1:1"
        with pytest.raises(ConfigurationError, match="unknown field 'wrong'"):
            self.shop(face, prefix="{wrong}")

    def test_mistakes_name_the_method(self, face: Face) -> None:
        """Tags are templates over each method's parameters."""
        with pytest.raises(ConfigurationError, match=r"Shop\.product: template 't:\{wrong\}'"):
            self.shop(face, tags=["t:{wrong}"])

    def test_stacks_and_digests(self) -> None:
        """What lies under another decorator takes its defaults too; so do keys without a template."""
        cache = Cache(MemoryProvider("classes"))

        @cache.defaults(prefix="shop", tags=["all"])
        class Shop:
            """A class as one writes it."""

            @cache.evicts("e:{number}")
            @cache.cacheable("c:{number}")
            def stacked(self, number: int) -> int:
                return number

            @cache.cacheable(key=lambda number: f"called:{number}")
            def called(self, number: int) -> int:
                return number

            @cache.cacheable()
            @staticmethod
            def digested(number: int) -> int:
                return number

            @staticmethod
            @cache.cacheable("s:{number}")
            def above(number: int) -> int:
                return number

            @cache.cache_put("{result}")
            def put(self, number: int) -> int:
                return number

        shop = Shop()
        assert (shop.stacked(1), shop.stacked.key(1), shop.stacked.tags(1)) == (1, "shop:c:1", ("all",))
        assert shop.called.key(1) == "shop:called:1"
        assert Shop.digested.key(1).startswith(f"shop:{__name__}.TestDefaults.test_stacks_and_digests")
        assert (Shop.digested(1), Shop.digested.tags(1)) == (1, ("all",))
        assert (Shop.above.key(1), Shop.above(1)) == ("shop:s:1", 1)
        shop.put(7)
        assert cache.get("shop:7", tags=["all"]) == 7

    def test_a_strangers_decorator_in_between_is_left_alone(self) -> None:
        """It copied our marks; what it does would be lost."""
        cache = Cache(MemoryProvider("classes"))

        def doubled(function: Any) -> Any:
            @functools.wraps(function)
            def double(*args: Any) -> Any:
                return 2 * function(*args)

            return double

        @cache.defaults(prefix="shop")
        class Shop:
            """A class with a stranger's decorator."""

            @doubled
            @cache.cacheable("c:{number}")
            def method(self, number: int) -> int:
                return number

        assert Shop().method(2) == 4


def order(number: int) -> int:
    """A function of a module that knows no cache."""
    return number


class TestNames:
    """`staleproof.cacheable(..., cache="orders")`."""

    def test_a_cache_may_be_made_after_the_function(self, face: Face) -> None:
        """It is looked up at the first call; handles work, and templates were checked long before."""
        cached = staleproof.cacheable("order:{number}", cache="orders", tags=["orders"])(face.coloured(order))
        with pytest.raises(
            ConfigurationError, match=r"is called 'orders'; the named ones are: none; make it"
        ):
            face.do(cached(1))
        assert face.cache.register("orders") is face.cache
        assert type(face.cache).named("orders") is face.cache
        for _ in range(2):
            assert face.do(cached(1)) == 1
        assert face.cache.statistics.loads == 1
        assert cached.key(1) == "order:1"
        assert cached.tags(1) == ("orders",)
        assert face.do(cached.peek(1)) == 1
        face.do(cached.invalidate(1))
        assert face.do(cached.peek(1)) is MISSING
        assert face.do(cached.refresh(1)) == 1
        assert cached.__name__ == "order"

    def test_the_other_decorators(self, face: Face) -> None:
        """All of them may name their cache."""

        def orders(numbers: list[int]) -> dict[int, int]:
            return {each: each for each in numbers}

        many = staleproof.cacheable_many("order:{number}", cache="orders")(face.coloured(orders))
        put = staleproof.cache_put("order:{number}", cache="orders")(face.coloured(order))
        evict = staleproof.evicts("order:{number}", cache="orders")(face.coloured(order))
        face.cache.register("orders")
        assert face.do(many([1, 2])) == {1: 1, 2: 2}
        face.do(evict(1))
        assert face.do(many.peek([1, 2])) == {2: 2}
        face.do(put(1))
        assert face.do(many.peek([1, 2])) == {1: 1, 2: 2}

    def test_templates_are_checked_at_decoration(self, face: Face) -> None:
        """Without a cache; what depends on one is said at the first call."""
        with pytest.raises(ConfigurationError, match=r"order: template.*unknown field 'wrong'"):
            staleproof.cacheable("o:{wrong}", cache="orders")(face.coloured(order))
        late = staleproof.cacheable("o:{number}", cache="orders", policy="cold")(face.coloured(order))
        face.cache.register("orders")
        with pytest.raises(ConfigurationError, match="order: no policy is called 'cold'"):
            face.do(late(1))

    def test_an_unknown_name_lists_the_known_ones(self, face: Face) -> None:
        """Of the same face."""
        face.cache.register("orders")
        face.another("x").register("users")
        Face(awaited=not face.awaited).cache.register("others")
        with pytest.raises(ConfigurationError, match="'order'; the named ones are: orders, users"):
            type(face.cache).named("order")

    def test_a_cache_is_made_and_named_in_one_step(self, face: Face) -> None:
        """However it is made; a taken name is refused as `register` refuses it, and further providers have none."""
        kind, settings = type(face.cache), {"namespace": "n", "environ": {"STALEPROOF_FILE": "none"}}
        made = [
            kind(face.provider("a"), name="a", providers={"further": face.provider("b")}),
            kind.from_url("memory://", name="b", **settings),
            kind.from_env(settings["environ"], name="c", cache_url="memory://", namespace="n"),
            kind.from_settings(
                Settings.from_env({}, file="none", cache_url="memory://", namespace="n"), name="d"
            ),
        ]
        assert [kind.named(name) for name in "abcd"] == made
        assert kind(face.provider("a")) is not kind.named("a")
        with pytest.raises(ConfigurationError, match="a cache is called 'a' already"):
            kind(face.provider("a"), name="a")
        with pytest.raises(ConfigurationError, match="no name for a cache"):
            kind.from_url("memory://", name="", **settings)
        cached = staleproof.cacheable("order:{number}", cache="a")(face.coloured(order))
        assert face.do(cached(1)) == 1
        assert made[0].statistics.loads == 1

    def test_a_name_is_given_once(self, face: Face) -> None:
        """A second cache of the same name is refused, unless it is to replace the first: then functions follow."""
        cached = staleproof.cacheable("order:{number}", cache="orders")(face.coloured(order))
        first, second = face.cache.register("orders"), face.another("second")
        face.do(cached(1))
        with pytest.raises(ConfigurationError, match="already"):
            second.register("orders")
        first.register("orders")
        second.register("orders", replace=True)
        face.do(cached(1))
        assert (first.statistics.loads, second.statistics.loads) == (1, 1)
        for wrong in ("", 5):
            with pytest.raises(ConfigurationError, match="no name for a cache"):
                first.register(wrong)

    def test_a_cache_is_no_name(self) -> None:
        """Whoever has the cache decorates with it."""
        cache: Any = Face(awaited=False).cache
        with pytest.raises(ConfigurationError, match="is no name; decorate with the cache itself"):
            staleproof.cacheable("k", cache=cache)

    def test_methods(self) -> None:
        """They bind as ever."""
        Cache(Face(awaited=False).provider("m")).register("shop")

        class Shop:
            """A class that knows no cache."""

            def __init__(self, tenant: str) -> None:
                self.tenant = tenant

            @staleproof.cacheable("p:{self.tenant}:{number}", cache="shop")
            def product(self, number: int) -> str:
                return f"{self.tenant}{number}"

        assert Shop("a").product(1) == "a1"
        assert Shop("a").product.key(1) == "p:a:1"
        Shop("a").product.invalidate(1)
        assert Shop("a").product.peek(1) is MISSING

    def test_faces_are_apart(self) -> None:
        """A blocking cache and an asyncio one may have one name: the function says which is meant."""
        blocking, awaiting = Face(awaited=False), Face(awaited=True)
        for face in (blocking, awaiting):
            face.cache.register("both")
        for face in (blocking, awaiting):
            face.do(staleproof.cacheable("o:{number}", cache="both")(face.coloured(order))(1))
            assert face.cache.statistics.loads == 1
        assert isinstance(AsyncCache.named("both"), AsyncCache)
