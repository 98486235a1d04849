"""What a cache did, counted.

Plain integers: an increment is one bytecode step away from its read, which is close enough to exact under
threads, and costs the hit path next to nothing.
"""

from __future__ import annotations

from typing import Any

from staleproof.policies.judgement import REASONS

_COUNTS = (
    "near_hits",
    "hits",
    "stale",
    "loads",
    "load_failures",
    "waits",
    "stored",
    "invalidations",
    "refreshes",
    "refresh_failures",
    "refreshes_dropped",
    "load_us",
    "saved_us",
    "bytes_read",
    "bytes_written",
)
_BY_REASON = ("misses", "unstored", "stale_served", "fallbacks")


class Statistics:
    """Counters of one cache since it was made, of the calls that load what is missing: a mere look is not counted.

    Attributes:
        near_hits: reads served from a copy in the process.
        hits: reads served from the cache server.
        misses: reads that the cache could not answer at once, by reason: `absent`, `expired`, `tag`, `unreadable`,
            `retagged`, `codec`, `unreachable`, `breaker`.
        stale: those of the misses that were served a stale value; `stale_served` has them by occasion: `revalidating`,
            `error`, `slow`, `resting`.
        loads: loader calls; *waits* of them were avoided by waiting for another's. `load_failures` raised.
        stored, unstored: what became of loaded values; unstored ones were served all the same, by reason: `lease`,
            `guard`, `lagging`, `patience`, `provider`, `recursion`, `skipped`, `unless`, `admission`, `size`, `tag`.
        invalidations: calls that invalidated something.
        fallbacks: reads while the server could not be reached, by what happened: `load`, `stale`, `error`, `deferred`.
        refreshes: loads ahead of need, in the background or by one reader; `refresh_failures` raised, and
            `refreshes_dropped` found no worker free.
        load_us, saved_us: microseconds spent in loaders, and what hits on the server saved of them.
        bytes_read, bytes_written: of entries, on the server.
    """

    near_hits: int
    hits: int
    stale: int
    loads: int
    load_failures: int
    waits: int
    stored: int
    invalidations: int
    refreshes: int
    refresh_failures: int
    refreshes_dropped: int
    load_us: int
    saved_us: int
    bytes_read: int
    bytes_written: int
    misses: dict[str, int]
    unstored: dict[str, int]
    stale_served: dict[str, int]
    fallbacks: dict[str, int]

    __slots__ = (*_COUNTS, *_BY_REASON)

    def __init__(self) -> None:
        for name in _COUNTS:
            setattr(self, name, 0)
        for name in _BY_REASON:
            setattr(self, name, {})
        self.misses = dict.fromkeys(REASONS, 0)

    def missed(self, reason: str) -> None:
        """Count a miss."""
        self.misses[reason] = self.misses.get(reason, 0) + 1

    def left_unstored(self, reason: str) -> None:
        """Count a value that was served but could not be stored."""
        self.unstored[reason] = self.unstored.get(reason, 0) + 1

    def served_stale(self, occasion: str) -> None:
        """Count a stale value that was served on purpose."""
        self.stale += 1
        self.stale_served[occasion] = self.stale_served.get(occasion, 0) + 1

    def fell_back(self, mode: str) -> None:
        """Count what was done because the server could not be reached."""
        self.fallbacks[mode] = self.fallbacks.get(mode, 0) + 1

    @property
    def reads(self) -> int:
        """All reads."""
        return self.near_hits + self.hits + sum(self.misses.values())

    @property
    def hit_ratio(self) -> float:
        """The share of reads that needed no load; 0 before the first."""
        reads = self.reads
        return (self.near_hits + self.hits + self.stale) / reads if reads else 0.0

    @property
    def saved_seconds(self) -> float:
        """Load time that hits on the server saved, in seconds."""
        return self.saved_us / 1_000_000

    def as_dict(self) -> dict[str, Any]:
        """Return every counter by name, and the hit ratio."""
        counters = {name: getattr(self, name) for name in _COUNTS}
        return {
            **counters,
            **{name: dict(getattr(self, name)) for name in _BY_REASON},
            "hit_ratio": self.hit_ratio,
        }
