"""Copies: what is held near, found by key and by tag, within bounds.

Recency is seen late: a hit only sets `Copy.used`, without a lock, because it is the library's hottest path. When room
is made, a copy that was to go and was used since it was last looked at is noted as used, and spared. What that
means for each order of eviction (`staleproof.stores.orders`):

=========  ==========================================================================================================
`lru`      second chance, as in an operating system's page cache: about the least recently used goes
`fifo`     exactly first in, first out
`lfu`      counts in how many rounds a copy was used, not how often: it goes by steadiness rather than by sheer number
`tinylfu`  the same rounds feed the sketch; newcomers still have to prove themselves against what was used of late
=========  ==========================================================================================================
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from staleproof.stores.orders import Order, order
from staleproof.tags import ROOT, TagId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Instant
    from staleproof.near.statistics import NearStatistics
    from staleproof.stores.bounds import Bounds

EVICTED: Final = "evicted"
REPLACED: Final = "replaced"
INVALIDATED: Final = "invalidated"
DISCARDED: Final = "discarded"
CLEARED: Final = "cleared"
UNUSED: Final = "unused"
FENCED: Final = "fenced"
REFUSED: Final = "refused"


class Copy:
    """One thing held in the process, until both clocks have passed its deadlines.

    Attributes:
        value: what is served.
        ids: all tags of the entry it came from, those that the value revealed included.
        tags, kind: what the read that brought it asked for: a different question's copy is no answer.
        shelf: where a decorated function's hit path looks, if the copy is its own.
        used: whether it was served since the last time room was made.
        weight: its bytes; what its stored entry has.
    """

    __slots__ = (
        "ids",
        "kind",
        "monotonic_deadline",
        "shelf",
        "tags",
        "used",
        "value",
        "wall_deadline",
        "weight",
    )

    def __init__(
        self,
        value: Any,
        ids: Sequence[TagId],
        now: Instant,
        life: float | None,
        *,
        tags: Sequence[TagId] = (),
        kind: Any = None,
        shelf: dict[str, Any] | None = None,
    ) -> None:
        self.value = value
        self.ids = ids
        self.tags = tags
        self.kind = kind
        self.shelf = shelf
        self.used = False
        self.weight = 0
        self.monotonic_deadline = float("inf") if life is None else now.monotonic + life
        self.wall_deadline = float("inf") if life is None else now.wall + life

    def is_over(self, now: Instant) -> bool:
        """Say whether its life is over."""
        return now.monotonic >= self.monotonic_deadline or now.wall >= self.wall_deadline

    def held(self) -> Copy | None:
        """Return a copy whose value cannot go away meanwhile, or None if it has."""
        return self


class WeakCopy(Copy):
    """A copy whose `value` is a weak reference. It lies on no shelf: the hit path takes values as they are."""

    __slots__ = ()

    def __init__(self, copy: Copy, dead: Callable[[weakref.ref[Any]], object]) -> None:
        for name in Copy.__slots__:
            setattr(self, name, getattr(copy, name))
        self.value = weakref.ref(copy.value, dead)
        self.shelf = None

    def held(self) -> Copy | None:
        """See `Copy.held`."""
        value = self.value()
        if value is None:
            return None
        copy = Copy.__new__(Copy)
        for name in Copy.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.value = value
        return copy


class Copies:
    """Copies by key, and which of them carry a tag. Their owner's lock guards them.

    Args:
        eviction: which order; see above.
        bounds: what may be held.
        released: told each copy that goes.
    """

    def __init__(self, eviction: str, bounds: Bounds, released: Callable[[Copy], object]) -> None:
        self.by_key: dict[str, Copy] = {}
        self.weight = 0
        self._by_tag: dict[TagId, set[str]] = {}
        self._bounds = bounds
        self._released = released
        self._order: Order = order(eviction, bounds)
        reasons = (EVICTED, REPLACED, INVALIDATED, DISCARDED, CLEARED, UNUSED, FENCED, REFUSED)
        self.counted: dict[str, int] = dict.fromkeys(reasons, 0)
        self._inserted = 0

    def fit(self, weight: int) -> bool:
        """Say whether a copy of this weight may be held at all."""
        return weight <= self._bounds.weight

    def add(self, key: str, copy: Copy) -> None:
        """Hold *copy* under *key*, and make room."""
        self.drop(key, REPLACED)
        self.by_key[key] = copy
        self.weight += copy.weight
        self._inserted += 1
        if copy.shelf is not None:
            copy.shelf[key] = copy
        for tag in copy.ids:
            if tag != ROOT:
                self._by_tag.setdefault(tag, set()).add(key)
        self._order.add(key, copy.weight)
        copy.used = True  # a newcomer is spared while room is made for it
        while self._bounds.exceeded(len(self.by_key), self.weight):
            self.evict()
        copy.used = False

    def drop(self, key: str, why: str) -> None:
        """Let go of *key*, if it is held."""
        copy = self.by_key.pop(key, None)
        if copy is None:
            return
        if copy.shelf is not None:
            copy.shelf.pop(key, None)
        for tag in copy.ids:
            keys = self._by_tag.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._by_tag[tag]
        self._order.remove(key)
        self._gone(copy, why)

    def drop_tag(self, tag: TagId) -> None:
        """Let go of every copy that carries *tag*, which the journal has named."""
        if tag == ROOT:
            self.clear(INVALIDATED)
        for key in self._by_tag.pop(tag, ()):
            self.drop(key, INVALIDATED)

    def clear(self, why: str) -> None:
        """Let go of everything."""
        for key, copy in self.by_key.items():
            if copy.shelf is not None:
                copy.shelf.pop(key, None)
            self._gone(copy, why)
        self.by_key.clear()
        self._by_tag.clear()
        self._order.clear()

    def evict(self) -> bool:
        """Let go of the copy that goes first; say whether there was one."""
        if not self.by_key:
            return False
        key = self._order.victim()
        for _ in range(len(self.by_key)):
            copy = self.by_key[key]
            if not copy.used:
                break
            copy.used = False
            self._order.used(key)
            key = self._order.victim()
        self.drop(key, EVICTED)
        return True

    def statistics(self) -> NearStatistics:
        """Return the counters."""
        from staleproof.near.statistics import NearStatistics  # noqa: PLC0415 - when somebody asks

        return NearStatistics(
            **self.counted, inserted=self._inserted, copies=len(self.by_key), bytes=self.weight
        )

    def _gone(self, copy: Copy, why: str) -> None:
        self.weight -= copy.weight
        self.counted[why] += 1
        self._released(copy)
