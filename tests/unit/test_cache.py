"""What a cache promises its user, on both faces: the same laws, once called and once awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from staleproof import (
    MISSING,
    AsyncCache,
    Cache,
    CodecError,
    ConfigurationError,
    NearCache,
    Policy,
    ProviderUnavailableError,
)
from staleproof.ports import Observed
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.tags import tag_id
from staleproof.testing import ManualClock


@dataclass
class Product:
    id: int
    brand: int
    version: int = 1


class Shop:
    """A source that counts its reads and can change."""

    def __init__(self) -> None:
        self.loads = 0
        self.version = 1
        self.brand = 7

    def product(self, product_id: int) -> Product:
        self.loads += 1
        return Product(product_id, self.brand, self.version)


class Blocking:
    """The blocking face under test."""

    def __init__(self, clock: ManualClock, shop: Shop, policy: Policy, **options: Any) -> None:
        self.provider = MemoryProvider("shop", clock=clock)
        self.cache = Cache(self.provider, policy=policy, clock=clock)

        def product(product_id: int) -> Product:
            return shop.product(product_id)

        decorate = self.cache.cacheable(
            "product:{product_id}", tags=["product:{product_id}", "catalog"], **options
        )
        self.cached = decorate(product)

    def do(self, result: Any) -> Any:
        return result


class Awaiting:
    """The asyncio face under test, each call run to its end."""

    def __init__(self, clock: ManualClock, shop: Shop, policy: Policy, **options: Any) -> None:
        inner = AsyncMemoryProvider("shop", clock=clock)
        self.provider = inner.inner
        self.cache = AsyncCache(inner, policy=policy, clock=clock)

        async def product(product_id: int) -> Product:
            return shop.product(product_id)

        decorate = self.cache.cacheable(
            "product:{product_id}", tags=["product:{product_id}", "catalog"], **options
        )
        self.cached = decorate(product)

    def do(self, result: Any) -> Any:
        return asyncio.run(result)


FACES = pytest.mark.parametrize("face", [Blocking, Awaiting])
POLICIES = pytest.mark.parametrize("staleness", [None, 0, 5], ids=["no near cache", "strict", "bounded"])
Face = Callable[..., Any]


@FACES
@POLICIES
def test_a_value_is_loaded_once(face: Face, staleness: float | None) -> None:
    """Reads after the first are hits of the declared type, and counted."""
    shop = Shop()
    it = face(ManualClock(), shop, Policy(staleness=staleness))
    values = [it.do(it.cached(42)) for _ in range(3)]
    assert values == [Product(42, 7)] * 3
    assert shop.loads == 1
    statistics = it.cache.statistics
    assert (statistics.reads, statistics.misses["absent"], statistics.stored) == (3, 1, 1)
    assert statistics.hit_ratio == pytest.approx(2 / 3)


@FACES
@POLICIES
@pytest.mark.parametrize("how", ["catalog", "product:42", "key", "clear", "handle"])
def test_no_read_after_an_invalidation_sees_what_was_before(
    face: Face, staleness: float | None, how: str
) -> None:
    """By tag, by key, by handle or whole: the next read loads, in this process even within the bound (P1)."""
    shop = Shop()
    it = face(ManualClock(), shop, Policy(staleness=staleness))
    it.do(it.cached(42))
    shop.version = 2
    if how == "key":
        it.do(it.cache.evict("product:42"))
    elif how == "clear":
        it.do(it.cache.clear())
    elif how == "handle":
        it.do(it.cached.invalidate(42))
    else:
        it.do(it.cache.invalidate(how))
    assert it.do(it.cached(42)).version == 2


@FACES
def test_other_keys_keep_their_values(face: Face) -> None:
    """Invalidating one tag or key reloads nothing else."""
    shop = Shop()
    it = face(ManualClock(), shop, Policy())
    for product_id in (1, 2, 3):
        it.do(it.cached(product_id))
    it.do(it.cache.invalidate("product:1"))
    it.do(it.cached.invalidate(2))
    for product_id in (1, 2, 3):
        it.do(it.cached(product_id))
    assert shop.loads == 5


@FACES
@POLICIES
def test_tags_from_the_result_invalidate_too(face: Face, staleness: float | None) -> None:
    """A tag that only the value names is as good as one that the template names."""
    shop = Shop()
    it = face(
        ManualClock(), shop, Policy(staleness=staleness), tags_from=lambda value: [f"brand:{value.brand}"]
    )
    it.do(it.cached(42))
    it.do(it.cached(42))
    assert shop.loads == 1
    shop.brand, shop.version = 8, 2
    it.do(it.cache.invalidate("brand:7"))
    assert it.do(it.cached(42)).version == 2
    it.do(it.cache.invalidate("brand:7"))
    it.do(it.cached(42))
    assert shop.loads == 2
    it.do(it.cache.invalidate("brand:8"))
    it.do(it.cached(42))
    assert shop.loads == 3


@FACES
def test_a_reader_that_cannot_predict_the_tags_checks_them_all_the_same(face: Face) -> None:
    """A process that meets an entry for the first time asks again for the tags it carries."""
    shop, clock = Shop(), ManualClock()
    options: dict[str, Any] = {"tags_from": lambda value: [f"brand:{value.brand}"]}
    writer = face(clock, shop, Policy(), **options)
    reader = face(clock, shop, Policy(), **options)
    reader.cache.provider = writer.cache.provider
    writer.do(writer.cached(42))
    reader.do(reader.cached(42))
    assert shop.loads == 1
    writer.do(writer.cache.invalidate("brand:7"))
    reader.do(reader.cached(42))
    assert shop.loads == 2


@FACES
@POLICIES
def test_entries_expire(face: Face, staleness: float | None) -> None:
    """After its time to live a value is loaded anew, near copies included."""
    shop, clock = Shop(), ManualClock()
    it = face(clock, shop, Policy(ttl=3, staleness=staleness))
    it.do(it.cached(42))
    clock.advance(2.9)
    it.do(it.cached(42))
    assert shop.loads == 1
    clock.advance(0.2)
    it.do(it.cached(42))
    assert shop.loads == 2


@FACES
def test_handles(face: Face) -> None:
    """Key, tags, peek and refresh do what they say; none of them loads but refresh."""
    shop = Shop()
    it = face(ManualClock(), shop, Policy(staleness=5))
    assert it.cached.key(product_id=42) == "product:42"
    assert it.cached.tags(42) == ("product:42", "catalog")
    assert it.do(it.cached.peek(42)) is MISSING
    assert not MISSING
    assert shop.loads == 0
    it.do(it.cached(42))
    shop.version = 2
    assert it.do(it.cached.peek(42)).version == 1
    assert it.do(it.cached.refresh(42)).version == 2
    assert it.do(it.cached(42)).version == 2
    assert shop.loads == 2


@FACES
def test_none_is_a_value(face: Face) -> None:
    """A loader that finds nothing is asked once."""
    clock = ManualClock()
    it = face(clock, Shop(), Policy())
    loads = []

    def load() -> Any:
        loads.append(1)
        if face is Awaiting:
            return asyncio.sleep(0)
        return None

    for _ in range(3):
        assert it.do(it.cache.get_or_load("nothing", load)) is None
    assert len(loads) == 1
    assert it.do(it.cache.get("nothing")) is None
    assert it.do(it.cache.get("never")) is MISSING


@FACES
def test_a_loaders_error_passes_through_and_frees_the_lease(face: Face) -> None:
    """Nothing is stored, and the next call loads at once."""
    it = face(ManualClock(), Shop(), Policy())

    def fail() -> Any:
        if face is Awaiting:
            return asyncio.wait_for(asyncio.Event().wait(), 0)
        raise TimeoutError

    for _ in range(2):
        with pytest.raises(TimeoutError):
            it.do(it.cache.get_or_load("key", fail))
    assert it.cache.statistics.loads == 2


@FACES
def test_put_replaces_and_is_read_back(face: Face) -> None:
    """A put value is read with its tags, and falls with them."""
    it = face(ManualClock(), Shop(), Policy(staleness=5))
    it.do(it.cache.put("key", [1, 2], tags=["t"]))
    assert it.do(it.cache.get("key", tags=["t"], kind=list[int])) == [1, 2]
    it.do(it.cache.put("key", [3], tags=["t"]))
    assert it.do(it.cache.get("key", tags=["t"], kind=list[int])) == [3]
    it.do(it.cache.invalidate("t"))
    assert it.do(it.cache.get("key", tags=["t"])) is MISSING


@FACES
def test_an_unreadable_entry_is_a_counted_miss(face: Face) -> None:
    """Another program's bytes, and a value of another shape, are loaded over."""
    shop = Shop()
    it = face(ManualClock(), shop, Policy())
    it.provider.put("product:42", b"not ours", 0)
    assert it.do(it.cached(42)) == Product(42, 7)
    assert it.cache.statistics.misses["unreadable"] == 1
    it.do(it.cache.put("product:42", "no product", tags=["product:42", "catalog"]))
    assert it.do(it.cached(42)) == Product(42, 7)
    assert it.cache.statistics.misses["codec"] == 1


@FACES
def test_a_lagging_load_is_served_and_not_stored(face: Face) -> None:
    """While a row fence stands, only loads that show a row as new as the change are kept."""
    shop, clock = Shop(), ManualClock()
    it = face(clock, shop, Policy(), row_version=lambda value: value.version)
    it.do(it.cache.invalidate("product:42", row_version=2, lag="5s"))
    assert it.do(it.cached(42)).version == 1
    assert it.cache.statistics.unstored == {"lagging": 1}
    shop.version = 2
    it.do(it.cached(42))
    it.do(it.cached(42))
    assert shop.loads == 2


@FACES
def test_a_load_without_a_row_version_is_not_stored_while_the_source_lags(face: Face) -> None:
    """In doubt a value is served once, not kept."""
    shop, clock = Shop(), ManualClock()
    it = face(clock, shop, Policy())
    it.do(it.cache.invalidate("product:42", row_version=2, lag=5))
    it.do(it.cached(42))
    clock.advance(5.1)
    it.do(it.cached(42))
    it.do(it.cached(42))
    assert shop.loads == 2


@FACES
def test_a_server_that_cannot_store_costs_no_answer(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded value is served though the store failed, and that is counted."""
    it = face(ManualClock(), Shop(), Policy())

    def away(*_: Any) -> None:
        raise ProviderUnavailableError("away")

    monkeypatch.setattr(it.provider, "store", away)
    assert it.do(it.cached(42)) == Product(42, 7)
    assert it.cache.statistics.unstored == {"provider": 1}


@FACES
def test_a_value_that_cannot_be_stored_says_so(face: Face) -> None:
    """The error names the type and the way out; the lease is free again."""
    it = face(ManualClock(), Shop(), Policy())

    def load() -> Any:
        value = threading.Lock()
        if face is Awaiting:
            return asyncio.sleep(0, value)
        return value

    for _ in range(2):
        with pytest.raises(CodecError, match="lock cannot be stored"):
            it.do(it.cache.get_or_load("key", load))


def _double(x: int) -> int:
    return 2 * x


@FACES
@pytest.mark.parametrize("staleness", [0, 60])
def test_a_load_builds_on_nothing_that_lags(face: Face, staleness: float) -> None:
    """A near copy may lag by its bound; a value made of it, stored under current versions, would lag for ever."""
    clock, shop = ManualClock(), Shop()
    it = face(clock, shop, Policy(staleness=staleness))
    inner = it.cached

    def page() -> Any:
        if face is Blocking:
            return inner(42).version

        async def awaited() -> int:
            return int((await inner(42)).version)

        return awaited()

    def outer() -> Any:
        return it.do(it.cache.get_or_load("page", page, tags=["product:42"], policy=Policy()))

    assert it.do(inner(42)).version == 1
    shop.version = 2
    elsewhere = Cache(it.provider, clock=clock)
    elsewhere.invalidate("product:42")
    assert it.do(inner(42)).version == (1 if staleness else 2)  # a copy within its bound
    assert outer() == 2
    assert it.do(inner(42)).version == (1 if staleness else 2)  # the hit path is open again
    assert outer() == 2


class TestDecoration:
    """Whatever is wrong with a decoration is said when the module is imported."""

    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=1))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"key": "p:{wrong}"}, "unknown field 'wrong'; the parameters are: product_id"),
            ({"key": "p:{product_id}", "tags": ["t:{wrong}"]}, "unknown field 'wrong'"),
            ({"key": "p:{product_id}", "tags": "catalog"}, r"write tags=\['catalog'\]"),
            ({"key": "p:{product_id"}, "brace"),
        ],
    )
    def test_a_bad_template_names_function_and_fix(self, options: dict[str, Any], message: str) -> None:
        def product(product_id: int) -> int:
            return product_id

        with pytest.raises(ConfigurationError, match=f"product.*{message}"):
            self.cache.cacheable(**options)(product)

    def test_a_type_that_cannot_be_cached_is_refused(self) -> None:
        def product(product_id: int) -> Callable[[], int]:
            return lambda: product_id

        with pytest.raises(ConfigurationError, match=r"product.*cannot be cached.*Callable"):
            self.cache.cacheable("p:{product_id}")(product)

    def test_faces_refuse_each_others_functions(self) -> None:
        async def later(product_id: int) -> int:
            return product_id

        with pytest.raises(ConfigurationError, match="decorate it with an AsyncCache"):
            self.cache.cacheable("p:{product_id}")(later)
        with pytest.raises(ConfigurationError, match="decorate it with a Cache"):
            AsyncCache(AsyncMemoryProvider("shop")).cacheable("p:{x}")(_double)  # type: ignore[arg-type]

    def test_any_signature_keeps_its_shape(self) -> None:
        """Positional-only, keyword-only, defaults and stars bind as they do without the decorator."""

        @self.cache.cacheable("k:{a}:{b}:{c}:{d}")
        def function(a: int, /, b: int = 2, *rest: int, c: int, d: str = "x:y", **more: int) -> list[Any]:
            return [a, b, list(rest), c, d, more]

        for _ in range(2):
            assert function(1, c=3) == [1, 2, [], 3, "x:y", {}]
        assert function.key(1, 5, 6, c=3, d="z", e=9) == "k:1:5:3:z"
        assert function(1, 5, 6, c=3, d="z", e=9) == [1, 5, [6], 3, "z", {"e": 9}]
        with pytest.raises(TypeError):
            function(1)  # type: ignore[call-arg]
        assert function.__name__ == "function"
        assert function.__wrapped__ is not function

    def test_a_parameter_may_have_any_name(self) -> None:
        """Not even a name that the compiled hit path might use gets in its way."""

        @self.cache.cacheable("n:{near}:{self}:{copy}")
        def function(near: int, self: int, copy: int, _text: int = 4, monotonic: int = 5) -> int:
            return near + self + copy + _text + monotonic

        assert function(1, 2, 3) == function(1, 2, 3) == 15

    def test_tags_must_be_a_list(self) -> None:
        """A text is a list of letters to Python; nobody means that."""
        with pytest.raises(ConfigurationError, match="pass a list"):
            self.cache.get("key", tags="catalog")


@pytest.mark.parametrize(
    "fields",
    [{"row_version": -1}, {"row_version": 2**63}, {"row_version": "7"}, {"lag": "2h"}, {"lag": "soon"}],
)
def test_an_invalidation_that_peers_would_refuse_is_refused_at_once(fields: dict[str, Any]) -> None:
    """What a record may not carry is said to the caller, not found out in another region."""
    with pytest.raises(ConfigurationError):
        Cache(MemoryProvider("shop")).invalidate("t", **fields)
    with pytest.raises(ConfigurationError, match="region"):
        Cache(MemoryProvider("shop"), region="r" * 65)


def test_waiting_readers_take_what_the_leaseholder_stored() -> None:
    """Many threads on one cold key load once."""
    provider = MemoryProvider("shop")
    started, finish = threading.Event(), threading.Event()
    loads = []

    def load() -> int:
        loads.append(1)
        started.set()
        assert finish.wait(10)
        return 42

    caches = [Cache(provider, policy=Policy(staleness=None)) for _ in range(8)]
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda cache=cache: results.append(cache.get_or_load("key", load)))
        for cache in caches
    ]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    finish.set()
    for thread in threads:
        thread.join()
    assert results == [42] * len(caches)
    assert len(loads) == 1


def test_a_reader_out_of_patience_loads_for_itself_and_stores_nothing() -> None:
    """A dead or slow leaseholder holds nobody up for longer than the policy says, and is not overtaken."""
    provider = MemoryProvider("shop")
    provider.begin("key", [], b"somebody", 60_000, 60_000, guard=False)
    cache = Cache(provider, policy=Policy(patience=0.02))
    assert cache.get_or_load("key", lambda: 1) == 1
    assert cache.statistics.unstored == {"patience": 1}
    assert provider.read("key", [tag_id("t")]) == Observed(None, [None])


def test_a_cancelled_load_frees_its_lease() -> None:
    """A cancelled task leaves the key to the next one."""

    async def scenario() -> int:
        cache = AsyncCache(AsyncMemoryProvider("shop"))

        loading = asyncio.Event()

        async def for_ever() -> int:
            loading.set()
            await asyncio.Event().wait()
            return 0

        task = asyncio.create_task(cache.get_or_load("key", for_ever))
        await loading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def at_once() -> int:
            return 7

        return await cache.get_or_load("key", at_once)

    assert asyncio.run(scenario()) == 7


def test_a_near_cache_of_ones_own_is_used() -> None:
    """Its size bounds how many values the process holds."""
    near = NearCache(3)
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=60), near=near)

    @cache.cacheable("n:{number}")
    def square(number: int) -> int:
        return number * number

    assert [square(number) for number in range(9)] == [number * number for number in range(9)]
    assert len(near.copies) == 3
