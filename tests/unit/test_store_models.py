"""Every order of eviction, against a model so plain that it can be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.stores import EVICTIONS, Store
from staleproof.stores.bounds import checked
from staleproof.stores.sketch import MOST, SAMPLE, Sketch
from staleproof.stores.tinylfu import PROTECTED, WINDOW, TinyLfu

KEYS = st.integers(0, 7)
SECONDS = st.one_of(st.none(), st.integers(1, 6))
MAX_ENTRIES, MAX_BYTES = 4, 20

STEPS = st.one_of(
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("set"), KEYS, st.integers(0, 22), SECONDS, SECONDS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("prolong"), KEYS, SECONDS),
    st.tuples(st.just("pass"), st.integers(1, 4)),
)


@dataclass
class Line:
    """One item of the model."""

    key: int
    value: tuple[int, int]
    end: float
    idle: float
    written: int
    used: int
    times: int = 1
    seen: float = 0.0

    def deadline(self) -> float:
        return min(self.end, self.seen + self.idle)


@dataclass
class Model:
    """A store as a list of lines, searched from end to end at every step."""

    eviction: str
    lines: list[Line] = field(default_factory=list)
    now: float = 0.0
    step: int = 0
    gone: list[tuple[int, Any, str]] = field(default_factory=list)

    def find(self, key: int) -> Line | None:
        return next((line for line in self.lines if line.key == key), None)

    def drop(self, line: Line, why: str) -> None:
        self.lines.remove(line)
        self.gone.append((line.key, line.value, why))

    def get(self, key: int) -> Any:
        line = self.find(key)
        if line is None:
            return None
        if line.deadline() <= self.now:
            self.drop(line, "expired")
            return None
        line.used, line.seen, line.times = self.step, self.now, line.times + 1
        return line.value

    def set(self, key: int, weight: int, ttl: float | None, idle: float | None) -> bool:
        old = self.find(key)
        if old is not None:
            self.drop(old, "replaced")
        if weight > MAX_BYTES:
            return False
        end = self.now + ttl if ttl else float("inf")
        line = Line(key, (weight, self.step), end, idle or float("inf"), self.step, self.step, seen=self.now)
        line.times = old.times + 1 if old else 1
        self.lines.append(line)
        for each in [each for each in self.lines if each.deadline() <= self.now]:
            self.drop(each, "expired")
        while len(self.lines) > MAX_ENTRIES or sum(each.value[0] for each in self.lines) > MAX_BYTES:
            self.drop(self.victim(), "evicted")
        return True

    def victim(self) -> Line:
        others = [line for line in self.lines if line.written != self.step] or self.lines
        orders = {
            "lru": lambda line: line.used,
            "fifo": lambda line: line.written,
            "lfu": lambda line: (line.times, line.used),
        }
        return min(others, key=orders[self.eviction])

    def delete(self, key: int) -> bool:
        line = self.find(key)
        if line is not None:
            self.drop(line, "deleted")
        return line is not None

    def prolong(self, key: int, ttl: float | None) -> None:
        line = self.find(key)
        if line is None or line.deadline() <= self.now or line.end == float("inf"):
            return
        line.end = float("inf") if ttl is None else max(line.end, self.now + ttl)
        line.seen = self.now


def perform(store: Store[int, Any], clock: ManualClock, model: Model, step: tuple[Any, ...]) -> None:
    """Do *step* to both, and compare what they answer."""
    what, *arguments = step
    model.step += 1
    if what == "pass":
        clock.freeze(arguments[0])
        model.now += arguments[0]
    elif what == "set":
        key, weight, ttl, idle = arguments
        kept = store.set(key, (weight, model.step), ttl=ttl, idle=idle)
        assert kept == model.set(key, weight, ttl, idle)
    else:
        assert getattr(store, what)(*arguments) == getattr(model, what)(*arguments)


@pytest.mark.parametrize("eviction", [each for each in EVICTIONS if each != "tinylfu"])
@settings(max_examples=150)
@given(steps=st.lists(STEPS, max_size=60))
def test_a_store_does_what_its_model_does(eviction: str, steps: list[tuple[Any, ...]]) -> None:
    """The same keys are held, the same are evicted for the same reasons, and each is told exactly once."""
    clock = ManualClock()
    told: list[tuple[int, Any, str]] = []
    store: Store[int, Any] = Store(
        eviction=eviction,
        max_entries=MAX_ENTRIES,
        max_bytes=MAX_BYTES,
        weigh=lambda _key, value: value[0],
        listener=lambda *each: told.append(each),
        clock=clock,
    )
    model = Model(eviction)
    for step in steps:
        perform(store, clock, model, step)
        held = {key: item.value for key, item in store._books.items.items()}
        assert held == {line.key: line.value for line in model.lines}
        assert Counter(told) == Counter(model.gone)


@pytest.mark.parametrize("eviction", EVICTIONS)
@settings(max_examples=100)
@given(steps=st.lists(STEPS, max_size=60))
def test_the_books_balance(eviction: str, steps: list[tuple[Any, ...]]) -> None:
    """After every step both bounds hold, and what was stored is held or was told to have left, once."""
    clock = ManualClock()
    told: list[tuple[int, Any, str]] = []
    store: Store[int, Any] = Store(
        eviction=eviction,
        max_entries=MAX_ENTRIES,
        max_bytes=MAX_BYTES,
        weigh=lambda _key, value: value[0],
        listener=lambda *each: told.append(each),
        clock=clock,
    )
    stored = []
    for number, (what, *arguments) in enumerate(steps):
        if what == "pass":
            clock.advance(*arguments)
        elif what == "set":
            key, weight, ttl, idle = arguments
            if store.set(key, (weight, number), ttl=ttl, idle=idle):
                stored.append((weight, number))
        else:
            getattr(store, what)(*arguments)
        statistics = store.statistics
        held = [item.value for item in store._books.items.values()]
        assert statistics.entries <= MAX_ENTRIES
        assert sum(weight for weight, _ in held) == statistics.bytes <= MAX_BYTES
        assert sorted(stored) == sorted([*held, *(value for _, value, _ in told)])
        left = {why: getattr(statistics, why) for why in ("evicted", "expired", "replaced", "deleted")}
        assert Counter(why for *_, why in told) == Counter(left)
        assert statistics.stored == statistics.entries + sum(left.values())


class Exact:
    """Sightings counted one by one, halved as a sketch's are."""

    def __init__(self) -> None:
        self.times: Counter[Any] = Counter()

    def fit(self, entries: int) -> None:
        """Nothing grows here."""

    def see(self, key: Any) -> None:
        self.times[key] += 1

    def estimate(self, key: Any) -> int:
        return self.times[key]


@dataclass
class Segments:
    """W-TinyLFU as three lists."""

    entries: int
    window: list[int] = field(default_factory=list)
    probation: list[int] = field(default_factory=list)
    protected: list[int] = field(default_factory=list)
    times: Counter[int] = field(default_factory=Counter)
    candidate: int = -1
    newest: int = -1

    def share(self, part: float) -> int:
        return max(1, int(self.entries * part))

    def settle(self) -> None:
        while len(self.protected) > self.share((1 - WINDOW) * PROTECTED):
            self.probation.append(self.protected.pop(0))
        while len(self.window) > self.share(WINDOW):
            self.candidate = self.window.pop(0)
            self.probation.append(self.candidate)

    def add(self, key: int) -> None:
        self.times[key] += 1
        self.candidate = -1
        self.newest = key
        self.window.append(key)
        self.settle()

    def used(self, key: int) -> None:
        self.times[key] += 1
        place = next(each for each in (self.window, self.probation, self.protected) if key in each)
        place.remove(key)
        (self.protected if place is self.probation else place).append(key)
        self.settle()

    def remove(self, key: int) -> None:
        next(each for each in (self.window, self.probation, self.protected) if key in each).remove(key)

    def victim(self) -> int:
        queues = (*self.probation, *self.protected, *self.window)
        if self.candidate not in self.probation:
            return next((key for key in queues if key != self.newest), self.newest)
        first = next((key for key in queues if key not in {self.candidate, self.newest}), self.candidate)
        return first if self.times[self.candidate] > self.times[first] else self.candidate


@settings(max_examples=200)
@given(entries=st.integers(1, 12), keys=st.lists(st.integers(0, 15), max_size=120))
@example(entries=2, keys=[1, 1, 1, 2, 2, 3, 1])
def test_tinylfu_does_what_its_model_does(entries: int, keys: list[int]) -> None:
    """Asked for the same keys, both keep the same ones."""
    order, model = TinyLfu(checked(entries, None), Exact()), Segments(entries)
    held: set[int] = set()
    for key in keys:
        if key in held:
            order.used(key)
            model.used(key)
            continue
        order.add(key, 0)
        model.add(key)
        held.add(key)
        while len(held) > entries:
            victim = order.victim()
            assert victim == model.victim()
            assert victim != key or len(held) == 1
            order.remove(victim)
            model.remove(model.victim())
            held.discard(victim)


def test_tinylfu_forgets_uses_beyond_those_that_wait() -> None:
    """Reads between two writes are noted without work, so at most so many; the last ones count."""
    store: Store[int, int] = Store(eviction="tinylfu", max_entries=100)
    for number in range(100):
        store.set(number, number)
    for _ in range(50_000):
        store.get(7)
    assert len(store._books._order._uses) <= 1_024  # type: ignore[attr-defined]
    for number in range(100, 1_000):
        store.set(number, number)
    assert store.peek(7) == 7


def test_a_scan_does_not_empty_a_tinylfu_store() -> None:
    """Keys that are asked for once do not push out those that are asked for often, as they do under lru."""
    held = {}
    for eviction in ("lru", "tinylfu"):
        store: Store[str, int] = Store(eviction=eviction, max_entries=100)
        for _ in range(5):
            for number in range(60):
                if store.get(f"hot:{number}") is None:
                    store.set(f"hot:{number}", number)
        for number in range(10_000):
            store.set(f"scan:{number}", number)
        held[eviction] = sum(f"hot:{number}" in store for number in range(60))
    assert held["lru"] == 0
    assert held["tinylfu"] >= 40  # all but those that were still in the window


@given(st.lists(st.integers(0, 40), max_size=300))
def test_a_sketch_never_says_too_little(keys: list[int]) -> None:
    """Until it forgets by halves, an estimate is at least the true number, and at most all sightings."""
    sketch = Sketch()
    for key in keys:
        sketch.see(key)
    for key, times in Counter(keys).items():
        assert min(times, MOST) <= sketch.estimate(key) <= min(len(keys), MOST)


def test_a_sketch_grows_without_forgetting_and_forgets_by_halves() -> None:
    """A wider sketch says of known keys what it said before; popularity fades."""
    sketch = Sketch()
    for _ in range(8):
        sketch.see("hot")
    sketch.fit(5_000)
    assert sketch.estimate("hot") == 8
    for number in range(8_192 * SAMPLE - 8):
        sketch.see(number)
    assert sketch.estimate("hot") < 15
    assert len(sketch._counters) == 8 * 8_192
