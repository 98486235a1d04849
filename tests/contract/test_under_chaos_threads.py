"""The laws under chaos once more, among real threads: what one thread's scheduler can never bring about on purpose."""

from __future__ import annotations

import sys
import threading
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, Policy, ProviderError
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import Chaos, ChaosProvider, Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 4
SECONDS = 1.5
ROWS = 3


@pytest.fixture(autouse=True)
def hasty_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Source:
    """Rows with versions, and the least version that a read that begins now may return."""

    def __init__(self) -> None:
        self.versions = [0] * ROWS
        self.least = [0] * ROWS
        self.lock = threading.Lock()

    def change(self, row: int) -> int:
        with self.lock:
            self.versions[row] += 1
            return self.versions[row]

    def acknowledged(self, row: int, version: int) -> None:
        with self.lock:
            self.least[row] = max(self.least[row], version)


def read(cache: Cache, source: Source, row: int) -> int:
    return cache.get_or_load(
        f"key:{row}", lambda: source.versions[row], tags=[f"row:{row}"], tags_from=lambda _: ["late"]
    )


def work(cache: Cache, source: Source, seed: int, until: float, counted: list[int], wrong: list[str]) -> None:
    """Read and change at random; note every read that is older than it may be."""
    random = Random(seed)
    while time.monotonic() < until and not wrong:
        row = random.randrange(ROWS)
        if random.random() < 0.2:
            version = source.change(row)
            try:
                cache.invalidate(f"row:{row}") if random.random() < 0.5 else cache.evict(f"key:{row}")
            except ProviderError:
                continue
            source.acknowledged(row, version)
            continue
        least = source.least[row]
        value = read(cache, source, row)
        counted.append(1)
        if value < least:
            wrong.append(f"row {row}: read {value}, and {least} was the least")


@pytest.mark.slow
@pytest.mark.parametrize("staleness", [None, 0.0])
@pytest.mark.parametrize("fallback", ["load", "stale"])
@pytest.mark.parametrize(
    "shares", [{}, {"before": 0.05, "after": 0.05, "rejected": 0.05, "lost": 0.05}], ids=["calm", "chaos"]
)
def test_among_threads(staleness: float | None, fallback: Any, shares: dict[str, float]) -> None:
    """No read after an acknowledged invalidation returns what was before; reads and values are counted once."""
    source, server, wrong = Source(), MemoryProvider("threads"), list[str]()
    policy = Policy(staleness=staleness, fallback=fallback, patience=0.05, lease=0.5)
    caches = [
        Cache(
            ChaosProvider(server, Chaos(seed, Faults(**shares), evictions=0.02 if shares else 0)),
            policy=policy,
        )
        for seed in range(2)
    ]
    counted: list[list[int]] = [[] for _ in caches]
    until = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=work, args=(cache, source, seed * 100 + at, until, counted[seed], wrong))
        for seed, cache in enumerate(caches)
        for at in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    for cache, reads in zip(caches, counted, strict=True):
        statistics = cache.statistics
        assert statistics.reads == len(reads) > 50
        assert statistics.loaded + statistics.puts == statistics.stored + sum(statistics.unstored.values())
