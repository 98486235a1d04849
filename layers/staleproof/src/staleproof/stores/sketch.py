"""Sketch: about how often each of very many keys was seen of late, in a few bytes a key.

A count-min sketch with conservative update: a key has two counters among many, shares them with others, and was seen at
most as often as the smaller of them says. After ten times as many sightings as there are entries all counters are
halved, so that what was popular once is forgotten. Both ideas are from G. Einziger, R. Friedman, B. Manes, "TinyLFU: A
Highly Efficient Cache Admission Policy", ACM Transactions on Storage 13 (2017).

Counters are whole bytes that stop at 15: a `bytearray` is halved by one `translate`, in C, where counters of four bits
would cost several steps of Python at every sighting.
"""

from __future__ import annotations

MOST = 15
SPREAD = 8
"""Counters an entry: with fewer, strangers share more of them."""

SAMPLE = 10
"""Sightings an entry between two halvings."""

_HALVED = bytes(value // 2 for value in range(256))
_LEAST = 64
_OTHER = 31
"""Bits of a key's hash that the first counter's place leaves to the other's."""


class Sketch:
    """Estimates of how often keys were seen. Its owner's lock guards it."""

    __slots__ = ("_counters", "_entries", "_mask", "_seen")

    def __init__(self) -> None:
        self._entries = _LEAST
        self._counters = bytearray(SPREAD * _LEAST)
        self._mask = len(self._counters) - 1
        self._seen = 0

    def fit(self, entries: int) -> None:
        """Be wide enough for so many *entries*; what was seen is kept."""
        while self._entries < entries:
            self._entries *= 2
            self._counters *= 2  # a longer mask tells apart keys that shared a counter, from here on
            self._mask = len(self._counters) - 1

    def see(self, key: object) -> None:
        """Count one sighting of *key*."""
        place = hash(key)
        one, other = place & self._mask, place >> _OTHER & self._mask
        counters = self._counters
        seen, also = counters[one], counters[other]
        if seen <= also and seen < MOST:
            counters[one] = seen + 1
        if also <= seen and also < MOST:
            counters[other] = also + 1
        self._seen += 1
        if self._seen >= SAMPLE * self._entries:
            self._halve()

    def estimate(self, key: object) -> int:
        """Return how often *key* was seen of late, or somewhat more; 15 stands for any greater number."""
        place = hash(key)
        return min(self._counters[place & self._mask], self._counters[place >> _OTHER & self._mask])

    def _halve(self) -> None:
        self._counters = self._counters.translate(_HALVED)
        self._seen //= 2
