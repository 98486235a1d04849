"""Uses that must type-check, and uses that must not: mypy and pyright read this file, nothing runs it.

An `ignore` that is not needed is an error under mypy's strict mode, so each marked line proves that it is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from staleproof import (
    MISSING,
    AsyncCache,
    Cache,
    Missing,
    Policy,
    after_commit,
    ambient,
    bounded,
    cacheable,
    cacheable_many,
    commit_with,
    evicts,
    formatter,
)


def blocking(cache: Cache) -> None:
    """The blocking face keeps arguments, result and handles."""

    @cache.cacheable("square:{number}", tags=["squares"], tags_from=lambda value: [f"value:{value}"])
    def square(number: int, *, note: str = "") -> int:
        return number * number

    assert_type(square(2), int)
    assert_type(square(number=2, note="x"), int)
    assert_type(square.peek(2), int | Missing)
    assert_type(square.refresh(2), int)
    assert_type(square.key(2), str)
    assert_type(square.tags(2), tuple[str, ...])
    square.invalidate(2)
    square("2")  # type: ignore[arg-type]
    square()  # type: ignore[call-arg]
    square(2, note=3)  # type: ignore[arg-type]
    square.invalidate("2")  # type: ignore[arg-type]
    square.key()  # type: ignore[call-arg]
    square.forget(2)  # type: ignore[attr-defined]
    assert_type(cache.get_or_load("k", lambda: 1.5), float)
    assert_type(cache.get("k", kind=str), str | Missing)
    cache.invalidate("a", keys=["b"], row_version=3, lag="2s")
    cache.invalidate("a", row_version=3, lag=timedelta(seconds=2))
    cache.touch("k", timedelta(minutes=1))
    cache.touch("k", b"1s")  # type: ignore[arg-type]
    Policy(
        ttl=timedelta(minutes=1), ttl_from=lambda _: timedelta(1), consistency=bounded(timedelta(seconds=2))
    )
    Policy(ttl=b"1s")  # type: ignore[arg-type]
    cache.invalidate(1)  # type: ignore[arg-type]


async def awaiting(cache: AsyncCache) -> None:
    """The asyncio face does too."""

    @cache.cacheable("square:{number}", policy=Policy(ttl="1h", staleness=0))
    async def square(number: int) -> int:
        return number * number

    assert_type(await square(2), int)
    assert_type(await square.peek(2), int | Missing)
    assert_type(await square.refresh(2), int)
    await square("2")  # type: ignore[arg-type]
    await square.invalidate()  # type: ignore[call-arg]

    @cache.cacheable("square:{number}")  # type: ignore[arg-type]
    def not_awaitable(number: int) -> int:
        return number


Policy(ttl=[])  # type: ignore[arg-type]
Policy("10m")  # type: ignore[call-arg]


def keys(cache: Cache) -> None:
    """Keys are templates, functions or nothing; conditions are functions; a policy may be named."""

    @cache.cacheable(lambda number: f"n:{number}", when=lambda number: number > 0, unless=lambda n: n < 0)
    def called(number: int) -> int:
        return number

    @cache.cacheable(policy="hot", provider="side")
    def digested(number: int, *more: str, **rest: float) -> int:
        return number

    assert_type(called(1), int)
    assert_type(digested(1, "a", x=1.0), int)
    digested("1")  # type: ignore[arg-type]
    digested(1, 2)  # type: ignore[arg-type]
    cache.cacheable(5)  # type: ignore[arg-type]
    cache.cacheable("k", tags=5)  # type: ignore[arg-type]
    cache.cacheable("k", policy=5)  # type: ignore[arg-type]
    cache.cacheable("k", wen=None)  # type: ignore[call-arg]


shop_cache = Cache.named("shop")
shop_async_cache = AsyncCache.named("shop")


@shop_cache.defaults(prefix="shop", tags=["shop"], policy=Policy())
class Shop:
    """Methods of every kind."""

    @shop_cache.cacheable("product:{product_id}")
    def product(self, product_id: int, *, note: str = "") -> float:
        return product_id

    @shop_cache.cacheable("below:{number}")
    @classmethod
    def below(cls, number: int) -> float:
        return number

    @classmethod
    @shop_cache.cacheable("above:{number}")
    def above(cls, number: int) -> float:
        return number

    @shop_cache.cacheable("static:{number}")
    @staticmethod
    def static(number: int) -> float:
        return number

    @shop_async_cache.cacheable("later:{number}")
    async def later(self, number: int) -> float:
        return number

    @shop_async_cache.cacheable("later-class:{number}")
    @classmethod
    async def later_class(cls, number: int) -> float:
        return number

    @shop_cache.cacheable_many("item:{item}")
    def items(self, items: list[int], *, note: str = "") -> dict[int, float]:
        return dict.fromkeys(items, 1.0)

    @shop_cache.evicts("product:{product_id}")
    def rename(self, product_id: int) -> str:
        return str(product_id)

    @shop_cache.evicts("product:{number}")
    @shop_cache.cacheable("both:{number}")
    def both(self, number: int) -> float:
        return number


def methods(shop: Shop) -> None:
    """A method and its handles are bound to the object; through the class the object comes first."""
    assert_type(shop.product(1), float)
    assert_type(shop.product(product_id=1, note="x"), float)
    assert_type(shop.product.key(1), str)
    assert_type(shop.product.peek(1), float | Missing)
    assert_type(shop.product.refresh(1, note=""), float)
    assert_type(shop.product.tags(1), tuple[str, ...])
    shop.product.invalidate(1)
    assert_type(Shop.product(shop, 1), float)
    assert_type(Shop.product.key(shop, 1), str)
    shop.product("1")  # type: ignore[arg-type]
    shop.product()  # type: ignore[call-arg]
    shop.product(1, note=2)  # type: ignore[arg-type]
    shop.product.key("1")  # type: ignore[arg-type]
    shop.product.invalidate()  # type: ignore[call-arg]
    shop.product.forget(1)  # type: ignore[attr-defined]
    Shop.product.key(1)  # type: ignore[call-arg, arg-type]
    assert_type(shop.both(1), float)
    assert_type(shop.both.key(1), str)
    shop.both("1")  # type: ignore[arg-type]
    assert_type(shop.rename(1), str)
    shop.rename("1")  # type: ignore[arg-type]


def class_and_static_methods(shop: Shop) -> None:
    """They take no object."""
    assert_type(Shop.below(1), float)
    assert_type(shop.below(1), float)
    assert_type(Shop.below.key(1), str)
    assert_type(Shop.above(1), float)
    Shop.below("1")  # type: ignore[arg-type]
    Shop.below.key()  # type: ignore[call-arg]
    Shop.above("1")  # type: ignore[arg-type]
    assert_type(Shop.static(1), float)
    assert_type(Shop.static.key(1), str)
    Shop.static("1")  # type: ignore[arg-type]
    Shop.static.key()  # type: ignore[call-arg]


async def coroutine_methods(shop: Shop) -> None:
    """The same, awaited."""
    assert_type(await shop.later(1), float)
    assert_type(shop.later.key(1), str)
    assert_type(await shop.later.peek(1), float | Missing)
    await shop.later.invalidate(1)
    await shop.later("1")  # type: ignore[arg-type]
    await shop.later.refresh()  # type: ignore[call-arg]
    assert_type(await Shop.later_class(1), float)
    assert_type(await Shop.later_class.refresh(1), float)
    await Shop.later_class("1")  # type: ignore[arg-type]


def many(cache: Cache, shop: Shop) -> None:
    """A function from ids to values keeps its arguments; its handles take the same."""

    @cache.cacheable_many("product:{product_id}", each="product_ids")
    def products(product_ids: list[int], currency: str = "EUR") -> dict[int, float]:
        return dict.fromkeys(product_ids, 1.0)

    assert_type(products([1]), dict[int, float])
    assert_type(products([1], currency="USD"), dict[int, float])
    assert_type(products.key(1), str)
    assert_type(products.peek([1]), dict[int, float])
    assert_type(products.refresh([1]), dict[int, float])
    products.invalidate([1])
    products(1)  # type: ignore[arg-type]
    products(["1"])  # type: ignore[list-item]
    products.key("1")  # type: ignore[arg-type]
    products.invalidate()  # type: ignore[call-arg]
    assert_type(shop.items([1], note=""), dict[int, float])
    shop.items(["1"])  # type: ignore[list-item]

    @cache.cacheable_many("product:{product_id}")  # type: ignore[arg-type]
    def listed(product_ids: list[int]) -> list[int]:
        return product_ids


def changes(cache: Cache) -> None:
    """What puts and what evicts keeps its very type."""

    @cache.cache_put("order:{result}", timing="commit")
    def create(name: str) -> int:
        return len(name)

    @cache.evicts(["order:{number}", lambda number: f"n:{number}"], tags=["orders"], timing="before")
    def remove(number: int) -> None:
        """Nothing."""

    assert_type(create("x"), int)
    create(1)  # type: ignore[arg-type]
    remove(1)
    remove("1")  # type: ignore[arg-type]
    cache.evicts("k", timing="later")  # type: ignore[arg-type]
    cache.cache_put("k", timing="before")  # type: ignore[arg-type]
    with cache.transaction() as block, ambient(tenant="acme"):
        block.invalidate("t", keys=["k"], row_version=3, lag="2s")
        block.invalidate(1)  # type: ignore[arg-type]
    commit_with(lambda callback: callback())
    after_commit(lambda: None)


async def awaited_changes(cache: AsyncCache) -> None:
    """On an asyncio cache only coroutine functions change anything."""

    @cache.evicts("order:{number}")
    async def remove(number: int) -> str:
        return str(number)

    assert_type(await remove(1), str)
    await remove("1")  # type: ignore[arg-type]

    @cache.evicts("order:{number}")  # type: ignore[type-var]
    def blocking_remove(number: int) -> None:
        """Nothing."""

    async with cache.transaction() as block:
        block.invalidate("t")
    with cache.transaction():  # type: ignore[attr-defined]
        pass


@cacheable("order:{number}", cache="orders")
def order(number: int) -> float:
    """A blocking function of a cache that is found by name."""
    return number


@cacheable("order:{number}", cache="orders")
async def later_order(number: int) -> float:
    """A coroutine function of one."""
    return number


@cacheable_many("order:{number}", cache="orders")
async def later_orders(numbers: list[int]) -> dict[int, float]:
    """Many of them."""
    return dict.fromkeys(numbers, 1.0)


@evicts("order:{number}", cache="orders")
def remove_order(number: int) -> int:
    """A change."""
    return number


async def by_name() -> None:
    """Functions of both colours keep their types."""
    assert_type(order(1), float)
    assert_type(order.peek(1), float | Missing)
    assert_type(await later_order(1), float)
    assert_type(await later_orders([1]), dict[int, float])
    assert_type(remove_order(1), int)
    order("1")  # type: ignore[arg-type]
    await later_order("1")  # type: ignore[arg-type]
    await later_orders(["1"])  # type: ignore[list-item]
    cacheable("order:{number}")  # type: ignore[call-arg]


@formatter("slug_of_types")
def slug(value: Any) -> str:
    """A formatter stays a function."""
    return str(value)


assert_type(slug(1), str)
formatter(1)  # type: ignore[arg-type]


def looks(cache: Cache) -> None:
    """What is missing is narrowed away, by identity and by truth; kinds may be unions, and type many too."""
    found = cache.get("k", kind=list[int])
    if found is MISSING:
        return
    assert_type(found, list[int])
    assert_type(cache.get("k", kind=list[int]) or [1], list[int])
    assert_type(cache.get_many(["k"], kind=int), dict[str, int])
    cache.get("k", kind=int | None)
    cache.put("k", 1, kind=int | None)


async def awaited_looks(cache: AsyncCache) -> None:
    """The asyncio face does too."""
    found = await cache.get("k", kind=int)
    if found is not MISSING:
        assert_type(found, int)
    assert_type(await cache.get_many(["k"], kind=int), dict[str, int])
    await cache.get("k", kind=int | None)
