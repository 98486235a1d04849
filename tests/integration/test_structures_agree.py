"""The memory provider and a server agree on structures: the same operations, at random, have the same results."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staleproof import Cache, Policy
from staleproof.errors import CacheError, ProviderRejectedError
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import RedisProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

Operation = tuple[str, tuple[Any, ...], dict[str, Any]]

names = st.sampled_from(["a", "b", "c", "ü", ""])
some_names = st.lists(names, max_size=4)
scores = st.sampled_from([-1.5, 0.0, -0.0, 1.0, 2.0, 2.5, 1e17, float("inf"), float("-inf")])
small = st.integers(-5, 5)
stops = st.none() | small
counts = st.integers(0, 4)
limits = st.none() | st.integers(1, 3)
whole_numbers = st.sampled_from([-(2**63) + 1, -1, 0, 1, 2**53 + 1, 2**62, 2**63 - 1])
fractions = st.sampled_from([-0.5, 0.25, 1.0, 1024.125])  # a server adds with more digits than a float has
longitudes = st.sampled_from([-180.0, -12.3456, 0.0, 2.3522, 2.36, 179.9])
latitudes = st.sampled_from([-85.0, -33.86, 0.0, 48.8566, 48.86, 84.9])
units = st.sampled_from(["m", "km", "mi", "ft"])
radii = st.sampled_from([0.0, 100.0, 5_000.0, 3_000_000.0])


def op(name: str, *arguments: Any, **named: Any) -> st.SearchStrategy[Operation]:
    """An operation by name, with arguments that are drawn."""
    return st.tuples(st.just(name), st.tuples(*arguments), st.fixed_dictionaries(named))


def op_each(name: str, arguments: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Operation]:
    """An operation that takes any number of arguments."""
    return st.tuples(st.just(name), arguments.map(tuple), st.just({}))


ORDERS = st.booleans()
KINDS: dict[str, tuple[dict[str, Any], list[st.SearchStrategy[Operation]]]] = {
    "sorted_set": (
        {"member": str},
        [
            op("add", names, scores, only=st.sampled_from([None, "new", "known", "greater", "less"])),
            op("add_many", st.dictionaries(names, scores, max_size=4)),
            op("incr", names, scores),
            op("score", names),
            op("scores", some_names),
            op("rank", names, ascending=ORDERS),
            op("top", counts),
            op("range", small, stops, ascending=ORDERS),
            op("by_score", scores, scores, ascending=ORDERS, offset=counts, limit=st.none() | counts),
            op("count", scores, scores),
            op_each("remove", some_names),
            op("keep_top", counts),
            op("size"),
        ],
    ),
    "list": (
        {"value": str},
        [
            op_each("push_right", some_names),
            op_each("push_left", some_names),
            op("pop_left"),
            op("pop_right"),
            op("range", small, stops),
            op("at", small),
            op("trim", small, stops),
            op("size"),
        ],
    ),
    "hash": (
        {"field": str, "value": int},
        [
            op("set", names, whole_numbers),
            op("add", names, whole_numbers),
            op("set_many", st.dictionaries(names, whole_numbers, max_size=3)),
            op("incr", names, whole_numbers),
            op("get", names),
            op("get_many", some_names),
            op("all"),
            op("contains", names),
            op_each("delete", some_names),
            op("size"),
        ],
    ),
    "set": (
        {"member": str},
        [
            op_each("add", some_names),
            op_each("remove", some_names),
            op("contains", names),
            op("contains_many", some_names),
            op("members"),
            op("size"),
        ],
    ),
    "counter": (
        {"kind": int},
        [op("incr", whole_numbers), op("decr", whole_numbers), op("set", whole_numbers), op("get")],
    ),
    "bitmap": (
        {"bits": 64},
        [
            op("set", st.integers(0, 63), bit=ORDERS),
            op("get", st.integers(0, 63)),
            op("count", st.integers(0, 70), st.none() | st.integers(0, 70)),
            op("first", bit=ORDERS),
        ],
    ),
    "geo": (
        {"member": str},
        [
            op("add", names, longitudes, latitudes),
            op("position", names),
            op("distance", names, names, unit=units),
            op("near", longitudes, latitudes, radius=radii, unit=units, limit=limits),
            op("near_member", names, radius=radii, unit=units, limit=limits),
            op("inside", longitudes, latitudes, width=radii, height=radii, unit=units, limit=limits),
            op_each("remove", some_names),
            op("size"),
        ],
    ),
}
FLOATS = (
    {"kind": float},
    [op("incr", fractions), op("decr", fractions), op("set", fractions), op("get")],
)
EXAMPLES = int(os.environ.get("STALEPROOF_EXAMPLES", "25"))
steadily = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
STREAM_STEPS = ["append", "after", "range", "newest", "trim", "cut"]
BETWEEN = ["-", "-", "-", "invalidate", "clear"]


@pytest.fixture(scope="module")
def pair(valkey_url: str) -> Iterator[tuple[Cache, Cache]]:
    """A cache in memory, and one on a server."""
    policy = Policy(ttl="1h")
    namespace = f"t-{secrets.token_hex(8)}"
    remote = Cache(RedisProvider.from_url(valkey_url, namespace=namespace), policy=policy, near=False)
    yield Cache(MemoryProvider(namespace, max_entries=None), policy=policy, near=False), remote
    remote.close()


def outcome(handle: Any, operation: Operation) -> Any:
    """What an operation returns, or how it is refused."""
    name, arguments, named = operation
    try:
        return getattr(handle, name)(*arguments, **named)
    except ProviderRejectedError as error:
        return ProviderRejectedError, "WRONGTYPE" in str(error)
    except CacheError as error:
        return type(error), str(error)


def alike(one: Any, other: Any) -> bool:
    """Say whether two results are the same; of distances and positions, about."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or one == pytest.approx(other, rel=1e-9, abs=1e-3)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def compare(
    pair: tuple[Cache, Cache],
    make: Callable[[Cache, str], Callable[[str], Any]],
    steps: list[tuple[str, str, Operation]],
) -> None:
    """Do *steps* on both sides; each names a kind, what happens before, and the operation."""
    key = secrets.token_hex(8)
    for kind, between, operation in steps:
        results = []
        for cache in pair:
            if between == "invalidate":
                cache.invalidate(f"t:{key}")
            elif between == "clear":
                cache.clear()
            results.append(outcome(make(cache, kind)(key), operation))
        assert alike(*results), (operation, results)


def steps_of(kind: str, operations: list[st.SearchStrategy[Operation]]) -> st.SearchStrategy[Any]:
    """Some operations of one kind."""
    return st.lists(st.tuples(st.just(kind), st.sampled_from(BETWEEN), st.one_of(operations)), max_size=25)


def made(cache: Cache, kind: str, options: dict[str, Any]) -> Any:
    """Structures of *kind*."""
    return getattr(cache, kind)("k:{n}", tags=["t:{n}"], **options)


@pytest.mark.parametrize("kind", [*KINDS, "floats"])
def test_both_agree(kind: str, pair: tuple[Cache, Cache]) -> None:
    """Whatever is done to a structure, in whatever order, memory and server answer alike."""
    options, operations = FLOATS if kind == "floats" else KINDS[kind]
    kind = "counter" if kind == "floats" else kind

    @steadily
    @given(steps=steps_of(kind, operations))
    def agree(steps: Any) -> None:
        compare(pair, lambda cache, _: made(cache, kind, options), steps)

    agree()


def test_both_refuse_other_kinds_alike(pair: tuple[Cache, Cache]) -> None:
    """Operations of several kinds on one key are refused on both sides, or on none."""
    kinds = ["sorted_set", "list", "hash", "set", "counter"]
    mixed = st.lists(st.one_of([steps_of(kind, KINDS[kind][1]) for kind in kinds]), max_size=4)

    @steadily
    @given(parts=mixed)
    def agree(parts: Any) -> None:
        steps = [step for part in parts for step in part[:4]]
        compare(pair, lambda cache, kind: made(cache, kind, KINDS[kind][0]), steps)

    agree()


@steadily
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["append", "after", "range", "newest", "trim", "cut"]), counts), max_size=25
    )
)
def test_streams_agree(pair: tuple[Cache, Cache], steps: list[tuple[str, int]]) -> None:
    """Streams hold the same records in the same order, whatever their ids are."""
    key = secrets.token_hex(8)
    handles = [cache.stream("s:{n}", value=int, maxlen=6)(key) for cache in pair]
    ids: list[list[str]] = [[], []]
    for number, (step, count) in enumerate(steps):
        results: list[Any] = []
        for handle, known in zip(handles, ids, strict=True):
            place = known[-count] if 0 < count <= len(known) else None
            if step == "append":
                known.append(handle.append(number))
                results.append(len(known))
            elif step == "trim":
                results.append(handle.trim(maxlen=count))
            elif step == "cut":
                results.append(handle.trim(before=place or "0"))
            elif step == "after":
                results.append([record.value for record in handle.after(place, limit=count or None)])
            elif step == "range":
                results.append([record.value for record in handle.range(place, known[-1] if known else None)])
            else:
                results.append([record.value for record in handle.newest(count + 1)])
            results.append(handle.size())
        assert results[:2] == results[2:]


@steadily
@given(adds=st.lists(st.integers(1, 400), max_size=6), pops=counts)
def test_sketches_and_random_members_agree(pair: tuple[Cache, Cache], adds: list[int], pops: int) -> None:
    """Distinct members are counted about alike, and random members are some of those that are there."""
    key = secrets.token_hex(8)
    counted = [cache.hyperloglog("h:{n}", member=int)(key) for cache in pair]
    sets = [cache.set("s:{n}", member=int)(key) for cache in pair]
    for add in adds:
        for sketch, members in zip(counted, sets, strict=True):
            sketch.add(*range(add))
            members.add(*range(add))
    size = max(adds, default=0)
    assert all(sketch.count() == pytest.approx(size, rel=0.05, abs=1) for sketch in counted)
    for members in sets:
        drawn = members.random(pops)
        assert len(drawn) == len(set(drawn)) == min(pops, size)
        popped = {members.pop() for _ in range(min(pops, size))}
        assert popped | members.members() == set(range(size))
        assert members.size() == size - len(popped)
