"""What a cache did, counted.

Theory of operation: plain integers in slots. Between reading a counter and writing it back stands no call, so that
under CPython's lock no other thread comes between either: counts are exact, and cost the hit path next to nothing.
Where there is no such lock they are close. What a cache holds is counted by its holder (the near cache, the provider,
the breaker) and joined only when somebody asks.

Laws, each kept by a test: a read is counted once, as a near hit, a hit or a miss of one reason; a value that was loaded
or put is counted once, as stored or as unstored for one reason; a stale value that was served is counted once, by its
occasion. Nothing here carries a key, a tag or a value: every name is one of a few, fit for a metric's dimension.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from staleproof.cache.counters import BY_REASON, COUNTS, Counters
from staleproof.errors import ConfigurationError
from staleproof.policies.judgement import REASONS

if TYPE_CHECKING:
    from staleproof.cache.core import Hit
    from staleproof.cache.near import NearCache
    from staleproof.policies.breaker import Breaker

GAUGES: Final = frozenset({"copies", "bytes", "entries", "open", "in_a_row"})
"""What the holders tell as it is now, not counted up: a difference shows it as it is."""


class Snapshot(Counters):
    """Counters as they were at one moment, or what was added to them between two."""

    __slots__ = ("_parts",)

    def __init__(self, figures: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> None:
        for name in ("namespace", *COUNTS, *BY_REASON):
            setattr(self, name, figures[name])
        self._parts = {name: dict(part) for name, part in parts.items()}

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """See `Counters.parts`."""
        return {name: dict(part) for name, part in self._parts.items()}

    def since(self, before: Snapshot) -> Snapshot:
        """Return what was added since *before*; of what is held, how much it is now.

        Raises:
            ConfigurationError: *before* is no snapshot, or another cache's.
        """
        if type(before) is not Snapshot or before.namespace != self.namespace:
            raise ConfigurationError(
                f"since({type(before).__name__}) needs a snapshot of the same cache: "
                "take before = cache.statistics.snapshot() first"
            )
        figures: dict[str, Any] = {name: getattr(self, name) - getattr(before, name) for name in COUNTS}
        figures |= {name: _added(getattr(self, name), getattr(before, name)) for name in BY_REASON}
        earlier = before.parts
        parts = {name: _added(part, earlier.get(name, {})) for name, part in self.parts.items()}
        return Snapshot({"namespace": self.namespace, **figures}, parts)


class Statistics(Counters):
    """The live counters of one cache since it was made.

    Args:
        namespace: the cache's.
        near: its near cache, or None.
        breaker: its breaker.
        reader_breaker: that of the reader endpoint.

    Attributes:
        provider: its provider; one with `statistics` of its own has a part here.
    """

    __slots__ = ("_breaker", "_near", "_reader_breaker", "provider")

    def __init__(
        self,
        namespace: str = "",
        near: NearCache | None = None,
        breaker: Breaker | None = None,
        reader_breaker: Breaker | None = None,
    ) -> None:
        self.namespace = namespace
        self._near = near
        self._breaker = breaker
        self._reader_breaker = reader_breaker
        self.provider: Any = None
        for name in COUNTS:
            setattr(self, name, 0)
        for name in BY_REASON:
            setattr(self, name, defaultdict(int))
        self.misses.update(dict.fromkeys(REASONS, 0))

    # --- counting ----------------------------------------------------------------------------------

    def hit(self, found: Hit) -> None:
        """Count a read that the server answered."""
        cost_us, size = found.cost_us, len(found.raw)
        self.hits += 1
        self.saved_us += cost_us
        self.bytes_read += size

    def missed(self, reason: str, reads: int = 1) -> None:
        """Count a miss, or several."""
        if reads:
            self.misses[reason] += reads

    def waited(self, found: Hit | None = None) -> None:
        """Count a miss that took what another loaded, and what of it came from the server."""
        size = 0 if found is None else found.size
        self.waits += 1
        self.bytes_read += size

    def left_unstored(self, reason: str, values: int = 1) -> None:
        """Count a value that was served but not stored, or several."""
        if values:
            self.unstored[reason] += values

    def kept(self, raw: bytes | None) -> None:
        """Count an entry that was stored under its lease, or None that the lease was lost."""
        if raw is None:
            self.left_unstored("lease")
            return
        size = len(raw)
        self.stored += 1
        self.bytes_written += size

    def served_stale(self, occasion: str) -> None:
        """Count a stale value that was served on purpose."""
        self.stale += 1
        self.stale_served[occasion] += 1

    def fell_back(self, mode: str, reads: int = 1) -> None:
        """Count what was done because the server could not be reached."""
        if reads:
            self.fallbacks[mode] += reads

    def operated(self, kind: str) -> None:
        """Count a question to a data structure that the server answered."""
        self.operations[kind] += 1

    # --- telling -----------------------------------------------------------------------------------

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """See `Counters.parts`."""
        found: dict[str, Any] = {}
        if self._near is not None:
            found["near"] = self._near.statistics
        provider = getattr(self.provider, "statistics", None)
        if provider is not None:
            found["provider"] = provider
        if self._breaker is not None:
            found["breaker"] = _of(self._breaker)
        if self._reader_breaker is not None and getattr(self.provider, "reader", None) is not None:
            found["reader_breaker"] = _of(self._reader_breaker)
        return {name: _figures(part) for name, part in found.items()}

    def snapshot(self) -> Snapshot:
        """Return everything as it is now, for `since`."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in ("namespace", *COUNTS)}
        figures |= {name: dict(getattr(self, name)) for name in BY_REASON}
        return Snapshot(figures, self.parts)

    def since(self, before: Snapshot) -> Snapshot:
        """Return what was added since *before*; see `Snapshot.since`."""
        return self.snapshot().since(before)


def _of(breaker: Breaker) -> dict[str, Any]:
    return {"opened": breaker.opened, "open": breaker.is_open, "in_a_row": breaker.in_a_row}


def _figures(part: Any) -> Any:
    """Return the statistics of a part, a mapping or a named tuple, as a dict; a figure as it is."""
    if hasattr(part, "_asdict"):
        part = part._asdict()
    return {name: _figures(each) for name, each in part.items()} if isinstance(part, Mapping) else part


def _added(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _difference(name, figure, before.get(name)) for name, figure in now.items()}


def _difference(name: str, figure: Any, before: Any) -> Any:
    if isinstance(figure, dict):
        return _added(figure, before or {})
    return figure if name in GAUGES or not isinstance(figure, int) else figure - (before or 0)
