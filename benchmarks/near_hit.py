"""Row of a hit in the process: a decorated function within its staleness bound, beside the standard library's memo."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from benchmarks.measurement import Subject, compare
from benchmarks.stand import POLICY, VALUE, BenchmarkError

if TYPE_CHECKING:
    from benchmarks.stand import Stand

TAGS = ["product:{product_id}", "catalog", "brand:7"]


def vs_lru_cache(stand: Stand, seconds: float) -> Figures:
    """Compare a hit in the near cache with a hit of `lru_cache` behind a one-line typed Python function.

    Both loops call by name and with a constant, as `timeit` does, so that no wrapper of ours stands between.
    """
    rows = {42: VALUE}

    @stand.cache.cacheable("product:{product_id}", tags=TAGS, policy=POLICY.but(staleness="1h"))
    def product(product_id: int) -> bytes:
        return rows[product_id]

    @lru_cache(maxsize=10_000)
    def memo(product_id: int) -> bytes:
        return rows[product_id]

    def memoised(product_id: int) -> bytes:
        return memo(product_id)

    def ours(number: int) -> None:
        for _ in repeat(None, number):
            product(42)

    def reference(number: int) -> None:
        for _ in repeat(None, number):
            memoised(42)

    product(42)
    seen = stand.cache.statistics.near_hits
    reads = stand.round_trips(lambda: ours(100))
    if reads or stand.cache.statistics.near_hits != seen + 100:
        raise BenchmarkError("a near hit asked the server; it must answer from the process")
    return Figures.of(compare(Subject(ours), Subject(reference), seconds=seconds))
