"""Statistics of a store: what it did, and what it holds."""

from __future__ import annotations

from typing import NamedTuple


class StoreStatistics(NamedTuple):
    """What a store did since it was made, and what it holds, as of one moment.

    Attributes:
        hits, misses: of `get`; `peek` and `in` are not counted.
        stored: items that were taken in; each is held still, or counted once among the next four.
        evicted, expired, replaced, deleted: items that left, by reason.
        refused: items that were heavier than the whole bound.
        entries, bytes: what is held, by the store's own weighing.
    """

    hits: int
    misses: int
    stored: int
    evicted: int
    expired: int
    replaced: int
    deleted: int
    refused: int
    entries: int
    bytes: int

    @property
    def hit_ratio(self) -> float:
        """The share of `get` calls that found something; 0 before the first."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0
