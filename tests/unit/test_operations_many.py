"""Laws of operations on many values: get, load, put, evict, scan, and bulk loading with back-pressure; both faces."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import CodecError, ConfigurationError, Policy, ProviderUnavailableError
from staleproof.cache.bulk import Item, Progress
from staleproof.cache.storing import BATCH
from tests.unit.flight_stand import Caller, Gate
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["portal", "stand"]

NEAR = pytest.mark.parametrize("staleness", [None, 0, 5], ids=["no copies", "strict", "bounded"])


class Loader:
    """A source of many: it notes what it is asked for, and knows no key that begins with `no`."""

    def __init__(self, version: int = 1) -> None:
        self.asked: list[list[str]] = []
        self.version = version

    def __call__(self, keys: list[str]) -> dict[str, str]:
        self.asked.append(list(keys))
        return {key: f"{key}:{self.version}" for key in keys if not key.startswith("no")}


def of(keys: str, version: int = 1) -> dict[str, str]:
    return {key: f"{key}:{version}" for key in keys.split()}


# --- reading ----------------------------------------------------------------------------------------


def test_what_is_there_is_returned_by_key(stand: Callable[..., Stand]) -> None:
    """In the order of the question, each once; what is not there, or not fresh, is left out."""
    it = stand(ttl=10)
    it.cache.put_many({"a": 1, "b": None, "c": 3}, tags=["t"])
    assert it.cache.get_many(["c", "x", "a", "c", "b"], tags=["t"]) == {"c": 3, "a": 1, "b": None}
    assert list(it.cache.get_many(["c", "a"], tags=["t"])) == ["c", "a"]
    it.cache.evict("a")
    assert it.cache.get_many(["a", "b"], tags=["t"]) == {"b": None}
    it.cache.invalidate("t")
    assert it.cache.get_many(["a", "b", "c"], tags=["t"]) == {}
    assert it.cache.get_many([]) == {}


@NEAR
def test_what_is_missing_is_loaded_in_one_call(stand: Callable[..., Stand], staleness: Any) -> None:
    """Exactly the missing keys, each once and in order, whatever the question repeats; then none."""
    it = stand(ttl=10, staleness=staleness)
    load = Loader()
    assert it.cache.get_or_load_many(["b", "d"], load) == of("b d")
    assert it.cache.get_or_load_many(["a", "b", "c", "a", "d", "c"], load) == of("a b c d")
    assert it.cache.get_or_load_many(["a", "b", "c", "d"], load) == of("a b c d")
    assert load.asked == [["b", "d"], ["a", "c"]]
    it.clock.advance(10)
    assert it.cache.get_or_load_many(["a", "b"], load) == of("a b")
    assert load.asked[-1] == ["a", "b"]


def test_nothing_is_asked_for_nothing(stand: Callable[..., Stand]) -> None:
    """No key, no call."""
    it, load = stand(), Loader()
    assert it.cache.get_or_load_many([], load) == {}
    assert load.asked == []


def test_what_the_source_does_not_have_is_left_out(stand: Callable[..., Stand]) -> None:
    """It is asked for again at the next read, and keeps nobody waiting; what was not asked for is not kept."""
    it, load = stand(), Loader()
    more = lambda keys: {**load(keys), "unasked": "value"}  # noqa: E731
    assert it.cache.get_or_load_many(["a", "no1", "b"], more) == of("a b")
    assert it.lease("no1") is None
    assert it.cache.get_or_load_many(["a", "no1"], more) == of("a")
    assert load.asked == [["a", "no1", "b"], ["no1"]]
    assert it.entry("unasked") is None


def test_more_keys_than_one_round_trip_carries_are_one_call(stand: Callable[..., Stand]) -> None:
    """The loader gets them together, and each is stored."""
    it, load = stand(), Loader()
    keys = [f"k{number}" for number in range(2 * BATCH + 7)]
    assert len(it.cache.get_or_load_many(keys, load)) == len(keys)
    assert load.asked == [keys]
    assert len(it.cache.get_many(keys)) == len(keys)


@NEAR
def test_many_are_invalidated_like_one(stand: Callable[..., Stand], staleness: Any) -> None:
    """By a tag that all have, by a tag that one value reveals, by key."""
    it = stand(ttl="1h", staleness=staleness)
    load = Loader()

    def read() -> dict[str, str]:
        found: dict[str, str] = it.cache.get_or_load_many(
            ["a", "b", "c"], load, tags=["t"], tags_from=lambda value: [f"own:{value[0]}"]
        )
        return found

    read()
    read()
    for forget, gone in (
        (lambda: it.cache.invalidate("own:b"), "b"),
        (lambda: it.cache.evict_many(["a", "c"]), "a c"),
        (lambda: it.cache.invalidate("t"), "a b c"),
        (it.cache.clear, "a b c"),
    ):
        load.version += 1
        forget()
        found = read()
        assert [key for key, value in found.items() if value == f"{key}:{load.version}"] == gone.split()
        assert load.asked[-1] == gone.split()


def test_a_loader_of_many_that_fails_leaves_no_lease(stand: Callable[..., Stand]) -> None:
    """Its exception passes through, nothing is stored, and the next reader waits for nobody."""
    it = stand(lease=3_600, patience=3_600)

    def fail(_: list[str]) -> dict[str, str]:
        raise LookupError("from the application")

    with pytest.raises(LookupError):
        it.cache.get_or_load_many(["a", "b"], fail)
    assert it.lease("a") is None
    assert it.cache.get_or_load_many(["a", "b"], Loader()) == of("a b")


def test_overlapping_crowds_load_each_key_once(stand: Callable[..., Stand]) -> None:
    """Whoever has a key's lease loads it; the others wait for that key, and load their own meanwhile."""
    it = stand(patience=60)
    asked: list[str] = []
    all_inside = threading.Barrier(3)

    def load(keys: list[str]) -> dict[str, str]:
        asked.extend(keys)
        all_inside.wait(10)
        return {key: key for key in keys}

    groups = [[f"k{each}" for each in (*range(start, start + 5), f"own{start}")] for start in (0, 2, 4)]
    callers = [Caller(lambda keys=keys: it.cache.get_or_load_many(keys, load)) for keys in groups]  # type: ignore[misc]
    assert [each.result() for each in callers] == [{key: key for key in keys} for keys in groups]
    assert sorted(asked) == sorted({key for keys in groups for key in keys})


def test_many_wait_for_one_and_one_for_many(stand: Callable[..., Stand]) -> None:
    """A key that is loaded alone is not loaded in a crowd, and the other way round."""
    it = stand(patience=60)
    gate, load = Gate(lambda _: "alone"), Loader()
    alone = Caller(lambda: it.cache.get_or_load("a", gate))
    gate.wait_entered()
    together = Caller(lambda: it.cache.get_or_load_many(["a", "b"], load))
    while not load.asked:
        time.sleep(0.001)
    gate.open()
    assert alone.result() == "alone"
    assert together.result() == {"a": "alone", "b": "b:1"}
    assert load.asked == [["b"]]


def test_who_loses_patience_loads_what_is_left(stand: Callable[..., Stand]) -> None:
    """Unstored, and only what nobody has loaded."""
    it, load = stand(patience=0), Loader()
    it.take_lease("b")
    assert it.cache.get_or_load_many(["a", "no1", "b"], load) == of("a b")
    assert load.asked == [["a", "no1"], ["b"]]
    assert it.entry("b") is None
    assert dict(it.statistics.unstored) == {"patience": 1}


@pytest.mark.parametrize("step", ["read_many", "begin_many", "snapshot", "store_many"])
def test_a_server_that_fails_in_any_step_fails_no_reader_of_many(
    stand: Callable[..., Stand], step: str
) -> None:
    """The loader answers, with no key twice and never for none."""
    it, load = stand(), Loader()
    it.server.go(only={step})
    assert it.cache.get_or_load_many(["a", "b"], load, tags_from=lambda _: ["late"]) == of("a b")
    assert load.asked == [["a", "b"]]


# --- writing ----------------------------------------------------------------------------------------


def test_many_are_put_and_counted(stand: Callable[..., Stand]) -> None:
    """Each replaces what was there, also in other processes' copies; the count is of this call."""
    it = stand(ttl="1h", staleness=0)
    other = it.another()
    assert it.cache.put_many({"a": 1, "b": 2}, tags=["t"]) == 2
    assert other.cache.get_or_load_many(["a", "b"], Loader(), tags=["t"]) == {"a": 1, "b": 2}
    assert it.cache.put_many({"a": 3}, tags=["t"]) == 1
    assert other.cache.get_or_load_many(["a", "b"], Loader(), tags=["t"]) == {"a": 3, "b": 2}
    assert it.cache.put_many({}) == 0
    counts = [Caller(lambda n=n: it.cache.put_many({f"{n}:{m}": m for m in range(20)})) for n in range(5)]  # type: ignore[misc]
    assert [each.result() for each in counts] == [20] * 5


def test_one_value_of_many_that_cannot_be_stored(stand: Callable[..., Stand]) -> None:
    """It is told, and no key is kept busy; what was there before is gone, for it was invalidated."""
    it = stand(lease=3_600, patience=3_600)
    it.cache.put("a", "old")
    with pytest.raises(CodecError):
        it.cache.put_many({"a": 1, "b": object()})
    assert (it.lease("a"), it.lease("b"), it.entry("a")) == (None, None, None)
    assert it.cache.put_many({"a": 1}) == 1


def test_many_are_evicted(stand: Callable[..., Stand]) -> None:
    """Those, and no others; a load of one that is under way is not stored."""
    it = stand()
    it.cache.put_many({"a": 1, "b": 2, "c": 3})
    gate = Gate(lambda _: "too old")
    loading = Caller(lambda: it.cache.get_or_load("d", gate))
    gate.wait_entered()
    it.cache.evict_many(["a", "c", "d", "unknown"])
    gate.open()
    assert loading.result() == "too old"
    assert it.cache.get_many(["a", "b", "c", "d"]) == {"b": 2}


# --- scanning ---------------------------------------------------------------------------------------


def test_keys_are_found_by_their_beginning(stand: Callable[..., Stand]) -> None:
    """Each once, in no order, and of this namespace only; more than one page of them."""
    it = stand()
    keys = {f"user:{number}" for number in range(1_200)}
    it.cache.put_many(dict.fromkeys(keys | {"team:1", "us"}, 1))
    found = list(it.cache.scan("user:"))
    assert len(found) == len(keys)
    assert set(found) == keys
    assert set(it.cache.scan()) == keys | {"team:1", "us"}
    assert list(it.cache.scan("nobody")) == []


# --- bulk loading -----------------------------------------------------------------------------------


class Items:
    """A source of pairs that notes how far it was read."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self._count = count

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for number in range(self._count):
            self.taken += 1
            yield f"k{number}", number


def test_a_source_is_read_no_faster_than_the_server_stores(stand: Callable[..., Stand]) -> None:
    """A batch is taken when the last one is stored: never more than one ahead."""
    it, items = stand(), Items(95)
    told: list[Progress] = []

    def progress(made: Progress) -> None:
        told.append(made)
        assert items.taken == made.taken

    assert it.cache.load_all(items, batch=10, on_progress=progress).stored == 95
    assert [made.taken for made in told] == [*range(10, 91, 10), 95]
    assert [made.stored for made in told] == [made.taken for made in told]
    assert len(it.cache.get_many([f"k{number}" for number in range(95)])) == 95


def test_a_slow_server_holds_its_source_back(stand: Callable[..., Stand]) -> None:
    """While a batch is stored nothing is taken."""
    it, items = stand(), Items(100)
    store, seen = it.memory.store_many, []

    def slow(deposits: Any) -> Any:
        seen.append(items.taken)
        return store(deposits)

    it.memory.store_many = slow  # type: ignore[method-assign]
    it.cache.load_all(items, batch=25)
    assert seen == [25, 50, 75, 100]


def test_items_may_have_tags_of_their_own(stand: Callable[..., Stand]) -> None:
    """Each is invalidated by its own; of a key that comes twice the last value counts."""
    it = stand()
    made = it.cache.load_all([Item("a", 1, ["x"]), Item("b", 2, ["y"]), Item("a", 3, ["x"]), ("c", 4)])
    assert (made.taken, made.stored) == (4, 3)
    assert it.cache.get("a", tags=["x"]) == 3
    it.cache.invalidate("x")
    assert it.cache.exists("b", tags=["y"])
    assert not it.cache.exists("a", tags=["x"])


def test_a_rate_is_kept(stand: Callable[..., Stand]) -> None:
    """No batch begins before its time."""
    it = stand()
    began, moments = time.monotonic(), []
    it.core.clock.monotonic = time.monotonic
    it.cache.load_all(Items(40), batch=10, rate=400, on_progress=lambda _: moments.append(time.monotonic()))
    assert [moment - began >= place * 10 / 400 for place, moment in enumerate(moments)] == [True] * 4
    assert time.monotonic() - began >= 40 / 400


def test_progress_tells_how_fast_it_goes(stand: Callable[..., Stand]) -> None:
    """Items a second, by the cache's clock."""
    it = stand()

    def slowly() -> Iterator[tuple[str, int]]:
        for number in range(10):
            it.clock.advance(0.5)
            yield f"k{number}", number

    made = it.cache.load_all(slowly(), batch=5)
    assert (made.seconds, made.rate) == (pytest.approx(5), pytest.approx(2))
    assert Progress(0, 0, 0.0).rate == 0


def test_an_asynchronous_source(request: pytest.FixtureRequest) -> None:
    """An asyncio cache reads it as lazily."""
    it = Stand(request.getfixturevalue("portal"), Policy())
    taken: list[int] = []

    async def items() -> AsyncIterator[tuple[str, int]]:
        for number in range(25):
            taken.append(number)
            yield f"k{number}", number

    told: list[int] = []
    made = it.cache.load_all(items(), batch=10, on_progress=lambda made: told.append(len(taken)))
    assert made.stored == 25
    assert told == [10, 20, 25]


def test_a_source_that_fails_has_told_how_far_it_came(stand: Callable[..., Stand]) -> None:
    """What was stored stays; the exception passes through."""
    it = stand()

    def items() -> Iterator[tuple[str, int]]:
        yield from Items(25)
        raise LookupError("from the application")

    told: list[Progress] = []
    with pytest.raises(LookupError):
        it.cache.load_all(items(), batch=10, on_progress=told.append)
    assert told[-1].stored == 20
    assert len(it.cache.get_many([f"k{number}" for number in range(25)])) == 20


def test_a_server_that_goes_away_ends_it(stand: Callable[..., Stand]) -> None:
    """It is told, and what was stored before is known."""
    it, items = stand(), Items(100)
    told: list[Progress] = []

    def progress(made: Progress) -> None:
        told.append(made)
        if made.taken == 30:
            it.server.go()

    with pytest.raises(ProviderUnavailableError):
        it.cache.load_all(items, batch=10, on_progress=progress)
    assert (told[-1].stored, items.taken) == (30, 40)


@pytest.mark.parametrize("options", [{"batch": 0}, {"rate": 0}, {"rate": -1}])
def test_what_makes_no_sense_is_refused(stand: Callable[..., Stand], options: dict[str, Any]) -> None:
    """Before anything is taken."""
    it, items = stand(), Items(5)
    with pytest.raises(ConfigurationError):
        it.cache.load_all(items, **options)
    assert items.taken == 0


def test_nothing_is_loaded_while_the_cache_is_off(stand: Callable[..., Stand]) -> None:
    """A source is read to its end all the same; whoever counts its progress sees that nothing is stored."""
    it = stand()
    it.core.off = True
    assert it.cache.load_all(Items(20), batch=10).stored == 0
    it.core.off = False
    assert list(it.cache.scan()) == []


# --- loads within loads -----------------------------------------------------------------------------


def test_a_loader_of_many_that_asks_for_one_of_its_keys(stand: Callable[..., Stand]) -> None:
    """It waits for nobody: the inner load is for itself, and what the outer one brings is kept."""
    it = stand(lease=3_600, patience=3_600)

    def load(keys: list[str]) -> dict[str, str]:
        return {key: it.cache.get_or_load(key, lambda: "inner") + key for key in keys}

    expected = {"a": "innera", "b": "innerb"}
    assert Caller(lambda: it.cache.get_or_load_many(["a", "b"], load)).result() == expected
    assert it.cache.get_many(["a", "b"]) == expected
    assert dict(it.statistics.unstored) == {"recursion": 2}


def test_a_loader_of_one_that_asks_for_many_with_its_key(stand: Callable[..., Stand]) -> None:
    """It waits for nobody: its own key is loaded for itself, the others are kept."""
    it, inner = stand(lease=3_600, patience=3_600), Loader()

    def load() -> str:
        return "+".join(it.cache.get_or_load_many(["a", "b"], inner).values())

    assert Caller(lambda: it.cache.get_or_load("a", load)).result() == "a:1+b:1"
    assert it.cache.get_many(["a", "b"]) == {"a": "a:1+b:1", "b": "b:1"}
    assert sorted(inner.asked) == [["a"], ["b"]]


def test_a_loader_of_many_that_asks_for_the_same_again(stand: Callable[..., Stand]) -> None:
    """The inner question is answered by the inner loader, once."""
    it, inner = stand(lease=3_600, patience=3_600), Loader()
    load = lambda keys: it.cache.get_or_load_many(keys, inner)  # noqa: E731
    assert Caller(lambda: it.cache.get_or_load_many(["a", "b"], load)).result() == of("a b")
    assert inner.asked == [["a", "b"]]
    assert it.cache.get_many(["a", "b"]) == of("a b")
