"""Decorated methods: everything is bound to the object, whichever way the method is made."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from dataclasses import dataclass
from types import MethodType
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from staleproof import MISSING, AsyncCache, Cache, ConfigurationError, Policy
from staleproof.decorators.methods import Bound, Method
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider

cache = Cache(MemoryProvider("methods"), policy=Policy(staleness=60))
async_cache = AsyncCache(AsyncMemoryProvider("methods"), policy=Policy(staleness=60))


class Shop:
    """Methods of every kind, each counting its loads."""

    loads: list[Any] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant

    def __cache_key__(self) -> str:
        return self.tenant

    @cache.cacheable("product:{self.tenant}:{product_id}", tags=["shop:{self.tenant}"])
    def product(self, product_id: int, *, note: str = "") -> str:
        """A product."""
        self.loads.append(product_id)
        return f"{self.tenant} {product_id}{note}"

    @cache.cacheable()
    def digested(self, product_id: int) -> str:
        self.loads.append(product_id)
        return f"{self.tenant} {product_id}"

    @cache.cacheable("named:{cls.__name__}:{number}")
    @classmethod
    def below(cls, number: int) -> str:
        cls.loads.append(number)
        return f"{cls.__name__} {number}"

    @classmethod
    @cache.cacheable("above:{cls.__name__}:{number}")
    def above(cls, number: int) -> str:
        cls.loads.append(number)
        return f"{cls.__name__} {number}"

    @cache.cacheable("static-below:{number}")
    @staticmethod
    def static_below(number: int) -> int:
        Shop.loads.append(number)
        return number

    @staticmethod
    @cache.cacheable("static-above:{number}")
    def static_above(number: int) -> int:
        Shop.loads.append(number)
        return number

    @property
    @cache.cacheable("total:{self.tenant}")
    def total(self) -> int:
        self.loads.append("total")
        return 7

    @async_cache.cacheable("later:{self.tenant}:{number}")
    async def later(self, number: int) -> str:
        await asyncio.sleep(0)
        self.loads.append(number)
        return f"{self.tenant} {number}"

    @async_cache.cacheable("later-class:{number}")
    @classmethod
    async def later_class(cls, number: int) -> str:
        await asyncio.sleep(0)
        cls.loads.append(number)
        return f"{cls.__name__} {number}"

    @cache.evicts("product:{self.tenant}:{product_id}")
    def rename(self, product_id: int) -> None:
        """Change a product."""

    @cache.evicts(key=product.key)
    def remove(self, product_id: int) -> None:
        """Remove a product."""

    @cache.evicts(tags=["shop:{self.tenant}"])
    @cache.cacheable("both:{self.tenant}:{number}")
    def both(self, number: int) -> int:
        self.loads.append(number)
        return number


class Branch(Shop):
    """A subclass, which shares nothing that depends on the class."""


class Lonely:
    """A class without subclasses, whose class method has the decorators the other way around."""

    @classmethod
    @cache.cacheable("lonely:{cls.__name__}:{number}")
    def above(cls, number: int) -> int:
        return number


@pytest.fixture(autouse=True)
def _empty() -> None:
    Shop.loads.clear()
    cache.clear()
    asyncio.run(async_cache.clear())


def test_a_method_is_cached_for_its_object() -> None:
    """By what the template names of it; keywords and defaults as ever."""
    one, other = Shop("a"), Shop("b")
    assert [one.product(1), one.product(product_id=1), other.product(1), Shop("a").product(1)] == [
        "a 1",
        "a 1",
        "b 1",
        "a 1",
    ]
    assert len(Shop.loads) == 2
    assert one.product(2, note="!") == "a 2!"


def test_handles_are_bound() -> None:
    """Each takes what the method takes."""
    shop = Shop("a")
    shop.product(1)
    assert shop.product.key(1) == "product:a:1"
    assert shop.product.tags(1) == ("shop:a",)
    assert shop.product.peek(1) == "a 1"
    assert Shop("b").product.peek(1) is MISSING
    shop.product.invalidate(product_id=1)
    assert shop.product.peek(1) is MISSING
    assert shop.product.refresh(1) == "a 1"
    assert shop.product.peek(1) == "a 1"


def test_through_the_class_the_object_comes_first() -> None:
    """As for any method of Python's."""
    shop = Shop("a")
    assert Shop.product(shop, 1) == "a 1"
    assert Shop.product.key(shop, 1) == "product:a:1"
    assert Shop.product.peek(shop, 1) == "a 1"


def test_a_digest_takes_the_object_by_its_value() -> None:
    """`__cache_key__` says what that is; without it the object is refused, with the fix."""
    one, again, other = Shop("a"), Shop("a"), Shop("b")
    assert one.digested.key(1) == again.digested.key(1) != other.digested.key(1)
    assert [one.digested(1), again.digested(1), other.digested(1)] == ["a 1", "a 1", "b 1"]
    assert Shop.loads == [1, 1]

    class Plain:
        @cache.cacheable()
        def digested(self, number: int) -> int:
            return number

    with pytest.raises(ConfigurationError, match=r"argument 'self'.*Plain has no value.*__cache_key__"):
        Plain().digested(1)


@pytest.mark.parametrize("name", ["below", "above"])
def test_a_class_method_is_bound_to_its_class(name: str) -> None:
    """Reached by the class, a subclass or an object."""
    for owner in (Shop, Shop("x"), Branch):
        method = getattr(owner, name)
        expected = "Branch" if owner is Branch else "Shop"
        assert method(1) == method(1) == f"{expected} 1"
        assert method.key(1).endswith(f":{expected}:1")
        assert method.peek(1) == f"{expected} 1"
    assert Shop.loads == [1, 1]
    Shop.below.invalidate(1)
    assert Shop.below.peek(1) is MISSING
    assert Branch.below.refresh(2) == "Branch 2"


def test_a_class_method_whose_descriptor_is_passed_by() -> None:
    """From Python 3.13 on `@classmethod` binds what it wraps itself; handles then find the class by their own name."""
    passed_by: Any = MethodType(vars(Lonely)["above"].__func__, Lonely)
    assert passed_by(1) == 1
    assert passed_by.key(1) == "lonely:Lonely:1"
    assert passed_by.peek(1) == 1
    passed_by.invalidate(1)
    assert passed_by.peek(1) is MISSING

    undecided: Any = MethodType(vars(Shop)["above"].__func__, Branch)
    assert undecided(1) == "Branch 1"
    with pytest.raises(ConfigurationError, match="put @classmethod below"):
        undecided.key(1)


@pytest.mark.parametrize("name", ["static_below", "static_above"])
def test_a_static_method_takes_no_object(name: str) -> None:
    """Reached by the class or by an object."""
    for owner in (Shop, Shop("x"), Branch):
        method = getattr(owner, name)
        assert method(1) == 1
        assert method.key(1).endswith(":1")
        assert method.peek(1) == 1
    assert Shop.loads == [1]
    getattr(Shop, name).invalidate(1)
    assert getattr(Shop, name).peek(1) is MISSING


def test_a_property_is_cached() -> None:
    """It has no handles, for it is its value."""
    assert [Shop("a").total, Shop("a").total, Shop("b").total] == [7, 7, 7]
    assert len(Shop.loads) == 2


async def test_coroutine_methods() -> None:
    """The same, awaited; and still known as coroutine functions."""
    shop = Shop("a")
    assert [await shop.later(1), await shop.later(1)] == ["a 1", "a 1"]
    assert shop.later.key(1) == "later:a:1"
    assert await shop.later.peek(1) == "a 1"
    await shop.later.invalidate(1)
    assert await shop.later.peek(1) is MISSING
    assert await shop.later.refresh(1) == "a 1"
    assert [await Shop.later_class(1), await Branch.later_class(1)] == ["Shop 1", "Shop 1"]
    assert await Shop.later_class.peek(1) == "Shop 1"
    assert inspect.iscoroutinefunction(shop.later)
    assert inspect.iscoroutinefunction(Shop.later)


def test_what_evicts_is_an_ordinary_method() -> None:
    """It needs no handles; stacked over a cached method, that one's handles stay bound."""
    shop = Shop("a")
    for change in (shop.rename, shop.remove):
        shop.product(1)
        change(1)
        assert shop.product.peek(1) is MISSING
    assert inspect.ismethod(shop.rename)
    shop.product(1)
    shop.both(5)
    assert shop.product.peek(1) is MISSING
    assert shop.both.peek(5) == 5
    shop.both.invalidate(5)
    assert shop.both.peek(5) is MISSING


def test_methods_look_as_they_are() -> None:
    """Names, docstrings and signatures survive; bound methods of one object are equal, and pickle by name."""
    shop = Shop("a")
    assert str(inspect.signature(shop.product)) == "(product_id: 'int', *, note: 'str' = '') -> 'str'"
    assert str(inspect.signature(Shop.below)) == "(number: 'int') -> 'str'"
    assert shop.product.__name__ == Shop.product.__name__ == "product"
    assert Shop.product.__doc__ == "A product."
    assert isinstance(vars(Shop)["product"], Method)
    assert shop.product == shop.product != Shop("a").product
    assert len({shop.product, shop.product}) == 1
    assert pickle.loads(pickle.dumps(Shop.product)) is Shop.product  # noqa: S301 - our own
    bound: Any = shop.product
    assert isinstance(bound, Bound)
    assert (bound.__self__, bound.__func__) == (shop, Shop.product)
    with pytest.raises(AttributeError):
        _ = bound.forget
    with pytest.raises(AttributeError):
        _ = bound.__wrapped__


def test_subclasses_may_override() -> None:
    """And call what they override."""

    class Outlet(Shop):
        @cache.cacheable("outlet:{self.tenant}:{product_id}")
        def product(  # pyright: ignore[reportIncompatibleVariableOverride] - parameters count as invariant
            self, product_id: int, *, note: str = ""
        ) -> str:
            return "outlet " + super().product(product_id)

    assert Outlet("a").product(1) == "outlet a 1"
    assert Outlet("a").product.key(1) == "outlet:a:1"
    assert Shop("a").product.peek(1) == "a 1"


def test_models_may_have_cached_methods() -> None:
    """A dataclass takes them as they are, a pydantic model when it is told that they are no fields."""

    class Item(BaseModel):
        model_config = ConfigDict(ignored_types=(Method,))
        number: int

        @cache.cacheable("item:{self.number}:{factor}")
        def price(self, factor: int) -> int:
            return self.number * factor

    @dataclass
    class Row:
        number: int

        @cache.cacheable()
        def price(self, factor: int) -> int:
            return self.number * factor

    for owner in (Item(number=2), Row(2)):
        assert owner.price(3) == owner.price(3) == 6
        assert owner.price.peek(3) == 6
    assert Row(2).price.key(3) == Row(2).price.key(3) != Row(3).price.key(3)


def test_a_function_outside_of_classes_stays_a_function() -> None:
    """Nothing stands between a caller and the hit path; put into a class later, its calls are still bound."""

    @cache.cacheable("plain:{number}")
    def plain(number: int) -> int:
        return number

    assert inspect.isfunction(plain)
    assert pickle.dumps(vars(Shop)["product"].wrapper)
