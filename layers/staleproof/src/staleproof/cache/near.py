"""The near cache: decoded values in this process, as fresh as the journal says; see `staleproof.near.store`.

Where a server has no journal, a copy is as fresh as the moment at which its read was asked: it is served for
`staleness` from then on, and then read again. What this process itself invalidates goes at once, and what it read
before does not settle after; a counter of its own invalidations stands in for the place in the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.near.copies import Copy as PlainCopy
from staleproof.near.store import DEFAULT_MAX_COPIES, NEVER, NearStore, Position
from staleproof.stores.latch import deferring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.call import Call
    from staleproof.clock import Instant
    from staleproof.events import Invalidation
    from staleproof.ports import JournalId, JournalPage
    from staleproof.tags import TagId

__all__ = ["DEFAULT_MAX_COPIES", "NEVER", "Copy", "NearCache", "Position"]


class Copy(PlainCopy):
    """The value that *call* read, for *life* seconds or for ever."""

    __slots__ = ()

    def __init__(
        self, value: Any, ids: Sequence[TagId], call: Call, now: Instant, life: float | None
    ) -> None:
        super().__init__(value, ids, now, life, tags=call.tags, kind=call.codec.kind, shelf=call.shelf)


class AgedCopy(PlainCopy):
    """A copy that knows when its read was asked."""

    __slots__ = ("asked",)

    def __init__(self, copy: PlainCopy, asked: Instant) -> None:
        for name in PlainCopy.__slots__:
            setattr(self, name, getattr(copy, name))
        self.asked = asked


class NearCache(NearStore):
    """In-process copies that follow one namespace's journal; for the arguments see `NearStore`.

    A copy weighs what its stored entry has in bytes: not what the value takes in memory, but known for nothing.
    Values that are held weakly take the slower of two ways to a hit, without a round trip all the same.

    Attributes:
        follows: whether there is a journal; without one values are not held weakly.
    """

    follows = True
    _forgotten = 1

    def get(self, call: Call, now: Instant) -> PlainCopy | None:
        """Return the copy that *call* may have if its read began at *now*."""
        if not self.follows and not call.policy.staleness:
            return None  # a coarse clock may show no time between two reads with an invalidation between
        return self._found(call, call.policy.staleness or 0.0, now)

    def at_hand(self, call: Call) -> PlainCopy | None:
        """Return the copy that *call* may have without asking, if it begins now; a bound of 0 always asks."""
        return self.get(call, self.clock.now()) if call.policy.staleness else None

    def last_resort(self, call: Call, bound: float, now: Instant) -> PlainCopy | None:
        """Return the copy for *call* while the server is away: one that was fresh at most *bound* seconds before *now*.

        That is, the near cache was in step with the journal then; and the copy's own life is not over.
        """
        return self._found(call, bound, now)

    def position(self) -> Position:
        """See `NearStore.position`."""
        if self.follows:
            return super().position()
        with self._lock:
            return Position(self._generation, f"{self._forgotten}-0", self.clock.now())

    def advance(self, asked: Position, page: JournalPage) -> None:
        """See `NearStore.advance`."""
        if self.follows:
            super().advance(asked, page)

    def forget(self, invalidation: Invalidation, place: JournalId) -> None:
        """See `NearStore.forget`."""
        if self.follows:
            super().forget(invalidation, place)
        else:
            self._forget_alone(invalidation)

    @deferring
    def _forget_alone(self, invalidation: Invalidation) -> None:
        with self._lock:
            self._forgotten += 1
            self._apply(invalidation, (self._forgotten, 0))

    def insert(self, key: str, copy: PlainCopy, ticket: Position, weight: int = 0) -> bool:
        """See `NearStore.insert`."""
        return super().insert(key, copy if self.follows else AgedCopy(copy, ticket.asked), ticket, weight)

    def _weakened(self, key: str, copy: PlainCopy) -> PlainCopy:
        return super()._weakened(key, copy) if self.follows else copy

    def _found(self, call: Call, bound: float, now: Instant) -> PlainCopy | None:
        synced = self.synced  # before the look-up: see "order of reads"
        if self.follows and now.elapsed(synced) > bound:
            return None
        copy = self.copies.get(call.key)
        if copy is None or copy.is_over(now):
            return None
        if not self.follows and (not isinstance(copy, AgedCopy) or now.elapsed(copy.asked) > bound):
            return None
        if copy.tags != call.tags or copy.kind is not call.codec.kind:
            return None
        copy.used = True
        return copy.held()
