"""Measure what could hold a process's values: a hit, a store, an eviction, a real trace, eight threads.

    PYTHONPATH=layers/staleproof/src python -m benchmarks.stores

Candidates whose package is not installed are left out (`pip install cachebox moka-py theine` has them all). Times are
divided by those of a bare `dict` in the same moments; see `docs/decisions/0015-local-stores.md`.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import Subject, compare
from benchmarks.stores.candidates import CANDIDATES, Held
from benchmarks.stores.trace import requests

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRIES = 10_000
SECONDS = 0.7
CAPACITIES = (250, 1_000, 4_000, 16_000)
THREADS, STEPS = 8, 40_000


def main() -> None:
    """Print one line a candidate."""
    trace = [key for key, _ in requests()]
    print(f"a trace of {len(trace):,} requests of {len(set(trace)):,} objects; {ENTRIES:,} entries otherwise")
    print(
        f"{'':20}{'hit':>8}{'replace':>9}{'evict':>8}  µs: hit, evict | trace µs | hit ratio at", *CAPACITIES
    )
    for name, make in CANDIDATES.items():
        try:
            make(1)
        except ImportError:
            continue
        print(f"{name:20}{speeds(make)} |{replayed(make, trace)} | {stormed(make)}", flush=True)


def speeds(make: Callable[[int], Held]) -> str:
    """Return the times of a hit, of a replacement and of a store that evicts."""
    keys = [f"object:{number}" for number in range(ENTRIES)]
    random.Random(1).shuffle(keys)
    held = make(ENTRIES)
    plain: dict[str, int] = {}
    for key in keys:
        held.set(key, 1)
        plain[key] = 1
    hit = compare(read(held.get, keys), read(plain.get, keys), seconds=SECONDS)
    replace = compare(write(held.set, keys), write(plain.__setitem__, keys), seconds=SECONDS)
    evict = compare(insert(held.set), write(plain.__setitem__, keys), seconds=SECONDS)
    ratios = f"{hit.ratio:8.1f}{replace.ratio:9.1f}{evict.ratio:8.1f}"
    return f"{ratios}  {hit.ours:6.2f}{evict.ours:8.2f}"


def read(get: Callable[[str], Any], keys: list[str]) -> Subject:
    """Read one key after the other, over and over."""
    source = cycle(keys)

    def run(number: int) -> None:
        for _, key in zip(range(number), source, strict=False):
            get(key)

    return Subject(run)


def write(put: Callable[[str, int], object], keys: list[str]) -> Subject:
    """Write one known key after the other, over and over."""
    source = cycle(keys)

    def run(number: int) -> None:
        for _, key in zip(range(number), source, strict=False):
            put(key, 1)

    return Subject(run)


def insert(put: Callable[[str, int], object]) -> Subject:
    """Write keys that were never there."""
    source = map("new:{}".format, count())

    def run(number: int) -> None:
        for _, key in zip(range(number), source, strict=False):
            put(key, 1)

    return Subject(run)


def replayed(make: Callable[[int], Held], trace: list[str]) -> str:
    """Return the time a request takes on the trace, and the hit ratio at each capacity."""
    ratios, spent = [], 0.0
    for capacity in CAPACITIES:
        get, put, _ = make(capacity)
        hits, start = 0, time.perf_counter()
        for key in trace:
            if get(key) is None:
                put(key, 1)
            else:
                hits += 1
        spent += time.perf_counter() - start
        ratios.append(hits / len(trace))
    each = spent / len(trace) / len(CAPACITIES) * 1e6
    return f"{each:6.2f} | " + " ".join(f"{ratio:.4f}" for ratio in ratios)


def stormed(make: Callable[[int], Held]) -> str:
    """Return what eight threads did to it: failures, the most entries seen above the bound, time a step."""
    capacity = 500
    held = make(capacity)
    failures: list[BaseException] = []
    above = [0] * THREADS

    def storm(number: int) -> None:
        chance = random.Random(number)
        try:
            for step in range(STEPS):
                key = f"object:{chance.randrange(1_000)}"
                if held.get(key) is None:
                    held.set(key, step)
                if not step % 64:
                    above[number] = max(above[number], held.entries() - capacity)
        except BaseException as error:  # noqa: BLE001 - that it fails is the finding
            failures.append(error)

    start = time.perf_counter()
    threads = [threading.Thread(target=storm, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each = (time.perf_counter() - start) / THREADS / STEPS * 1e6
    return f"{len(failures)} failed, {max(above)} above, {each:.2f} µs"


if __name__ == "__main__":
    sys.setswitchinterval(1e-4)
    main()
