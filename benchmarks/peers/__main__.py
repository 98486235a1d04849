"""Measure every peer; one JSON object a line on standard output as each is done. Runs in the peers' environment."""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import lru_cache
from importlib.metadata import version
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import Comparison, Subject, calibrated, collector_paused, compare, one_slice
from benchmarks.peers.aiocache_peer import Aiocache
from benchmarks.peers.cashews_peer import Cashews
from benchmarks.peers.dogpile_peer import Dogpile
from benchmarks.peers.port import VALUE, VALUES
from benchmarks.peers.raw import Raw
from benchmarks.peers.yokedcache_peer import Yokedcache

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers.port import Peer

PEERS: tuple[Callable[[str], Peer], ...] = (Cashews, Aiocache, Dogpile, Yokedcache)
ROUNDS = {1_000: 3, 100_000: 1}


def figures(peer: Peer, raw: Raw, seconds: float) -> dict[str, Any]:
    """Return everything that is measured of one peer."""
    near = peer.near_hit()
    return {
        "peer": peer.package,
        "version": version(peer.package),
        "how": peer.how,
        "tagged_hit": _figures(compare(peer.tagged_hit(), raw.get(), seconds=seconds)),
        "near_hit": near and _figures(compare(near, memo(), seconds=seconds / 2)),
        **{f"invalidate_{count}": invalidation(peer, raw, count) for count in ROUNDS},
    }


def memo() -> Subject:
    """A hit of `lru_cache` behind a one-line typed function, as in our own row."""

    @lru_cache(maxsize=10_000)
    def memo(product_id: int) -> str:
        return VALUES[product_id]

    def memoised(product_id: int) -> str:
        return memo(product_id)

    def run(number: int) -> None:
        for _ in repeat(None, number):
            memoised(42)

    return Subject(run)


def invalidation(peer: Peer, raw: Raw, count: int) -> dict[str, float]:
    """Measure the invalidation of *count* entries, in SETs that are measured right before and after."""
    unit = calibrated(raw.set())
    taken: list[tuple[float, float]] = []
    for _ in range(ROUNDS[count]):
        peer.store_one()
        raw.multiply(count)
        if not peer.alive(count - 1):
            raise RuntimeError(f"entry {count - 1} of the crowd is not there before the invalidation")
        before = one_slice(unit, time.perf_counter_ns)
        with collector_paused():
            start = time.perf_counter_ns()
            peer.invalidate(count)
            took = time.perf_counter_ns() - start
        taken.append((took, (before + one_slice(unit, time.perf_counter_ns)) / 2))
        if peer.alive(0) or peer.alive(count - 1):
            raise RuntimeError("the crowd survived its invalidation")
    ours, reference = median(took for took, _ in taken), median(unit for _, unit in taken)
    ratio = median(took / unit for took, unit in taken)
    return {"ours": ours / 1_000, "reference": reference / 1_000, "ratio": ratio}


def _figures(measured: Comparison) -> dict[str, float]:
    return {"ours": measured.ours, "reference": measured.reference, "ratio": measured.ratio}


def main() -> int:
    """Measure the peers one after the other; one that fails is reported with its error, and the next goes on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--url", required=True, help="a Redis or Valkey server whose data may be destroyed")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="for each comparison (default: %(default)s)"
    )
    options = parser.parse_args()
    for make in PEERS:
        raw = Raw(options.url)
        raw.send([("FLUSHALL",)])
        raw.send([("SET", "raw", VALUE)])
        try:
            peer = make(options.url)
            line = figures(peer, raw, options.seconds)
            peer.close()
        except Exception as error:  # noqa: BLE001 - another package's; the others are measured all the same
            line = {"peer": make.__name__.lower(), "error": f"{type(error).__name__}: {error}"}
        raw.close()
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
