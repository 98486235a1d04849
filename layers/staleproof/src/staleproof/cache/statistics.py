"""What a cache did, counted.

Plain integers: an increment is one bytecode step away from its read, which is close enough to exact under
threads, and costs the hit path next to nothing.
"""

from __future__ import annotations

from staleproof.policies.judgement import REASONS


class Statistics:
    """Counters of one cache since it was made, of the calls that load what is missing: a mere look is not counted.

    Attributes:
        near_hits: reads served from a copy in the process.
        hits: reads served from the cache server.
        misses: reads that the cache could not answer at once, by reason.
        loads: loader calls; *waits* of them were avoided by waiting for another's.
        stored, unstored: what became of loaded values; unstored ones were served all the same, by reason.
        invalidations: calls that invalidated something.
    """

    __slots__ = ("hits", "invalidations", "loads", "misses", "near_hits", "stored", "unstored", "waits")

    def __init__(self) -> None:
        self.near_hits = 0
        self.hits = 0
        self.misses: dict[str, int] = dict.fromkeys(REASONS, 0)
        self.loads = 0
        self.waits = 0
        self.stored = 0
        self.unstored: dict[str, int] = {}
        self.invalidations = 0

    def missed(self, reason: str) -> None:
        """Count a miss."""
        self.misses[reason] = self.misses.get(reason, 0) + 1

    def left_unstored(self, reason: str) -> None:
        """Count a value that was served but could not be stored."""
        self.unstored[reason] = self.unstored.get(reason, 0) + 1

    @property
    def reads(self) -> int:
        """All reads."""
        return self.near_hits + self.hits + sum(self.misses.values())

    @property
    def hit_ratio(self) -> float:
        """The share of reads that needed no load; 0 before the first."""
        reads = self.reads
        return (self.near_hits + self.hits) / reads if reads else 0.0

    def as_dict(self) -> dict[str, object]:
        """Return every counter by name."""
        counters: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return {**counters, "hit_ratio": self.hit_ratio}
