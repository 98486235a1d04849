"""The laws of counting: whatever a cache is asked for and whatever fails, each thing is counted once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof import (
    AsyncCache,
    Cache,
    CacheError,
    NearCache,
    Policy,
    ProviderRejectedError,
    ProviderUnavailableError,
    loading,
)
from staleproof.cache.counters import MODES, OCCASIONS, UNSTORED, Counters
from staleproof.policies.judgement import REASONS
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEYS = ("a", "b", "c")
QUESTIONS = {"read", "read_following", "read_many", "begin", "begin_many", "snapshot", "store", "store_many"}
QUESTIONS |= {"release", "expire", "journal", "journal_end"}
FAULTS: dict[str, type[Exception] | None] = {
    "fine": None,
    "away": ProviderUnavailableError,
    "full": ProviderRejectedError,
}


class Faulty:
    """A provider in front of another, whose next answers are given: they come, or fail in one of two ways."""

    def __init__(self, inner: Any, awaits: bool) -> None:
        self._inner = inner
        self._awaits = awaits
        self.namespace = inner.namespace
        self.next: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in QUESTIONS:
            return method
        return self._wrapped_async(method, name) if self._awaits else self._wrapped(method, name)

    def _check(self, name: str) -> None:
        fault = FAULTS[self.next.pop(0) if self.next else "fine"]
        writes = name not in {"read", "read_following", "read_many", "journal", "journal_end"}
        if fault is ProviderUnavailableError or (fault is not None and writes):
            raise fault("as planned")

    def _wrapped(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._check(name)
            return method(*args, **kwargs)

        return ask

    def _wrapped_async(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def ask(*args: Any, **kwargs: Any) -> Any:
            self._check(name)
            return await method(*args, **kwargs)

        return ask


class SourceError(Exception):
    """What the source raises."""


class Source:
    """A source that counts its reads, fails when told, and may say that a value is not to be stored."""

    def __init__(self) -> None:
        self.calls = self.failures = self.values = 0
        self.mood = "well"

    def load(self) -> Any:
        self.calls += 1
        if self.mood == "failing":
            self.failures += 1
            raise SourceError
        if self.mood == "skipping":
            loading().skip()
        self.values += 1
        return object() if self.mood == "unstorable" else {"n": self.calls}

    def load_many(self, keys: Sequence[str]) -> dict[str, Any]:
        self.calls += 1
        if self.mood == "failing":
            self.failures += 1
            raise SourceError
        kept = keys[1:] if self.mood == "skipping" else keys
        self.values += len(kept)
        return {key: object() if self.mood == "unstorable" else key * 3 for key in kept}


class Stand:
    """One face over a faulty server, with its own count of what was asked."""

    def __init__(self, policy: Policy, awaits: bool) -> None:
        self.awaits = awaits
        self.clock = ManualClock()
        self.source = Source()
        self.reads = self.refreshes = 0
        inner: Any = MemoryProvider("laws", clock=self.clock)
        self.server = Faulty(AsyncMemoryProvider(inner=inner) if awaits else inner, awaits)
        make: Any = AsyncCache if awaits else Cache
        near = NearCache(2, clock=self.clock)
        self.cache = make(self.server, policy=policy, near=near, clock=self.clock, background=False)
        self.runner = asyncio.Runner() if awaits else None

    def close(self) -> None:
        if self.runner is not None:
            self.runner.close()

    def do(self, action: Callable[[], Any]) -> None:
        """Do something, which may fail in any foreseen way."""
        try:
            if self.runner is None:
                action()
            else:
                self.runner.run(action())
        except (CacheError, SourceError):
            return

    def loader(self, load: Callable[..., Any]) -> Callable[..., Any]:
        async def loaded(*args: Any) -> Any:
            return load(*args)

        return loaded if self.awaits else load

    # --- steps -------------------------------------------------------------------------------------

    def read(self, key: str) -> None:
        self.reads += 1
        load = self.loader(self.source.load)
        self.do(lambda: self.cache.get_or_load(key, load, tags=["t"]))

    def read_revealing(self, key: str) -> None:
        self.reads += 1
        load = self.loader(self.source.load)
        self.do(lambda: self.cache.get_or_load(f"r{key}", load, tags_from=lambda _: ["revealed"]))

    def read_many(self) -> None:
        self.reads += len(KEYS)
        load = self.loader(self.source.load_many)
        self.do(lambda: self.cache.get_or_load_many(KEYS, load, tags=["t"]))

    def get(self, key: str) -> None:
        self.reads += 1
        self.do(lambda: self.cache.get(key, tags=["t"]))

    def get_many(self) -> None:
        self.reads += len(KEYS)
        self.do(lambda: self.cache.get_many(KEYS, tags=["t"]))

    def look(self, key: str) -> None:
        for ask in (self.cache.exists, self.cache.ttl, self.cache.touch):
            self.do(partial(ask, key, tags=["t"]))

    def put(self, key: str) -> None:
        self.do(lambda: self.cache.put(key, 7, tags=["t"]))

    def put_many(self) -> None:
        self.do(lambda: self.cache.put_many(dict.fromkeys(KEYS, "xyz"), tags=["t"]))

    def add(self, key: str) -> None:
        self.do(lambda: self.cache.increment(key, tags=["t"]))

    def refresh(self, key: str) -> None:
        load = self.loader(self.source.load)
        self.do(lambda: self.cache.reload(self.cache.call(key, ["t"]), load))

    def invalidate(self, soft: bool) -> None:
        self.do(lambda: self.cache.invalidate("t", soft=soft))

    def evict(self, key: str) -> None:
        self.do(lambda: self.cache.evict(key))


STEPS: list[Callable[[Stand], None]] = [
    *(lambda it, key=key: it.read(key) for key in KEYS),
    lambda it: it.read_revealing("a"),
    Stand.read_many,
    lambda it: it.get("a"),
    Stand.get_many,
    lambda it: it.look("a"),
    lambda it: it.put("a"),
    Stand.put_many,
    lambda it: it.add("a"),
    lambda it: it.refresh("a"),
    lambda it: it.invalidate(soft=True),
    lambda it: it.invalidate(soft=False),
    lambda it: it.evict("b"),
    lambda it: it.clock.advance(8),
    lambda it: it.clock.advance(45),
    *(
        lambda it, mood=mood: setattr(it.source, "mood", mood)
        for mood in ("well", "failing", "skipping", "unstorable")
    ),
    *(
        lambda it, faults=faults: setattr(it.server, "next", list(faults))
        for faults in (
            ["away"],
            ["full"],
            ["fine", "away"],
            ["fine", "full"],
            ["fine", "fine", "away"],
            ["fine", "fine", "fine", "away"],
            ["away"] * 6,
        )
    ),
]
PLAIN = Policy(ttl="1m", patience=0)
POLICIES = {
    "plain": PLAIN,
    "near": PLAIN.but(staleness=0),
    "lagging": PLAIN.but(staleness=5),
    "stale": PLAIN.but(stale_while_revalidate="20s", stale_if_error="1m", retry_after="10s"),
    "tended": PLAIN.but(refresh_ahead=0.1, idle="30s"),
    "last resort": PLAIN.but(fallback="stale", stale_if_error="1h"),
    "error": PLAIN.but(fallback="error"),
    "choosy": PLAIN.but(min_uses=2, max_bytes=6),
}


READS = STEPS[:5]
TICKS = STEPS[15:17]
OFTEN = st.sampled_from([STEPS[0], *READS, *TICKS])


def check_laws(statistics: Counters, stand: Stand) -> None:
    """Raise if something was not counted, or twice."""
    unstored = sum(statistics.unstored.values())
    assert statistics.reads == stand.reads
    assert statistics.loads == stand.source.calls
    assert statistics.load_failures == stand.source.failures
    assert statistics.loaded == stand.source.values
    assert statistics.loaded + statistics.puts == statistics.stored + unstored
    assert statistics.stale == sum(statistics.stale_served.values())
    assert statistics.stale + statistics.waits <= sum(statistics.misses.values())
    assert statistics.refresh_failures <= statistics.refreshes <= statistics.loads
    assert 0 <= statistics.hit_ratio <= 1


@pytest.mark.parametrize("awaits", [False, True], ids=["blocking", "awaiting"])
@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=40)
@given(steps=st.lists(OFTEN | OFTEN | st.sampled_from(STEPS), min_size=10, max_size=60))
def test_each_thing_is_counted_once(policy: str, awaits: bool, steps: list[Callable[[Stand], None]]) -> None:
    """Reads, loader calls, values and stale answers add up after any steps and faults, on both faces."""
    stand = Stand(POLICIES[policy], awaits)
    try:
        for step in steps:
            step(stand)
            check_laws(stand.cache.statistics, stand)
    finally:
        stand.close()
    statistics = stand.cache.statistics
    assert set(statistics.misses) == set(REASONS)
    assert set(statistics.unstored) <= set(UNSTORED)
    assert set(statistics.stale_served) <= set(OCCASIONS)
    assert set(statistics.fallbacks) <= set(MODES)


@pytest.mark.parametrize("policy", ["plain", "near", "lagging"])
@settings(max_examples=40)
@given(steps=st.lists(OFTEN | st.sampled_from(STEPS[12:15]), max_size=30))
def test_a_miss_of_one_reader_is_a_load(policy: str, steps: list[Callable[[Stand], None]]) -> None:
    """Without stale values and with one reader, every read that missed called the loader, many keys once."""
    stand = Stand(POLICIES[policy], awaits=False)
    for step in steps:
        before = stand.cache.statistics.snapshot()
        step(stand)
        added = stand.cache.statistics.since(before)
        assert added.loads == min(1, sum(added.misses.values()))
        assert added.loaded == sum(added.misses.values())
