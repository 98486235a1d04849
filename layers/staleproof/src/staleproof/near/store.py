"""The near store: copies in this process, as fresh as the journal says.

Theory of operation
-------------------
A frozen Lambda has no background thread to trust, so nothing here happens in the background. A near store
keeps a *cursor*, its place in the region's journal, and `synced`, the instant at which the question was *asked*
whose answer brought it there. A copy may be served if `synced` is no older than the read's staleness bound,
by the larger of two clocks; otherwise the reader first asks the journal for what came after the cursor and drops
what it names. So the bound holds whatever the process slept through.

* **Gap.** If the journal cannot show that nothing lies between the cursor and its answer (trimmed, deleted,
  re-created, an unreadable record), everything goes and a new *generation* begins. Answers to questions
  of an older generation change nothing.
* **Fenced fill.** A value read from the cache server just before an invalidation must not settle here just
  after it. A reader takes a *ticket*, the place in the journal, before it reads; `insert` refuses a copy of which the
  journal has named a tag or the key since. What was named is remembered in `Named`, bounded; a ticket
  older than what is remembered is refused.
* **Order of reads.** The unlocked hit path reads `shown` before it looks the copy up, and `advance` drops
  copies before it moves `synced`; so a copy found after a fresh `synced` has survived that answer. `shown` is `synced`,
  or `NEVER` while the hit path is closed (see `staleproof.cache.nesting`).
* **Weak copies** die at any moment, also while this very thread holds the lock. So their end only notes the key, and
  whoever takes the lock next buries it.
* **Values die** after the lock was released (`Latch`), since what their `__del__` does may come back here.

Values are shared objects: treat them as immutable.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakSet

from staleproof.clock import SYSTEM_CLOCK, Clock, Instant
from staleproof.near.copies import (
    CLEARED,
    DISCARDED,
    FENCED,
    INVALIDATED,
    REFUSED,
    Copies,
    Copy,
)
from staleproof.near.keeping import Keeping
from staleproof.near.named import Named
from staleproof.ports import JournalId, JournalPage, journal_order
from staleproof.records import Record
from staleproof.stores.bounds import checked
from staleproof.stores.latch import Latch, deferring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.near.budget import Budget
    from staleproof.near.statistics import NearStatistics
    from staleproof.tags import TagId

DEFAULT_MAX_COPIES = 10_000
NEVER = Instant(float("-inf"), float("-inf"))

_STORES: WeakSet[NearStore] = WeakSet()


def _after_fork() -> None:
    for store in list(_STORES):
        store.after_fork()


os.register_at_fork(after_in_child=_after_fork)


class Position(Record, frozen=True):
    """Where a question to the journal was asked from, and when; it is also the ticket of a fill."""

    generation: int
    cursor: JournalId
    asked: Instant


class NearStore(Keeping):
    """Copies that follow one namespace's journal.

    Args:
        max_copies: how many copies it holds at most.
        max_bytes: how many bytes their stored entries have at most together; None for no such bound.
        eviction: which go first; see `staleproof.near.copies`.
        weak: hold values weakly where their type allows it, so that only what the application still uses is kept.
        budget: bytes shared with other near caches of this process.
        clock: the source of time.

    Raises:
        ConfigurationError: a bound is below 1, or there is no such eviction.
    """

    def __init__(
        self,
        max_copies: int = DEFAULT_MAX_COPIES,
        *,
        max_bytes: int | None = None,
        eviction: str = "lru",
        weak: bool = False,
        budget: Budget | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.clock = clock
        self.synced: Instant = NEVER
        self.shown: Instant = NEVER
        self._held = Copies(eviction, checked(max_copies, max_bytes), self._let_go)
        self.copies = self._held.by_key
        self.behind_tier = False
        """Whether what is held was read through a tier, which must hear all that this store does of the journal."""
        self._hidden = False
        self._weak = weak
        self._budget = budget
        self._lock = Latch()
        self._dead: deque[tuple[str, object]] = deque()
        self._named = Named()
        self._generation = 0
        self._cursor: JournalId = ""
        _STORES.add(self)

    @property
    def statistics(self) -> NearStatistics:
        """What became of copies so far, as of one moment."""
        nested = self._lock.nested
        with self._lock:
            if not nested:
                self._bury()
            return self._held.statistics()

    # --- following -------------------------------------------------------------------------------

    def position(self) -> Position:
        """Return where to ask the journal from; an empty cursor means: `open` first."""
        with self._lock:
            return Position(self._generation, self._cursor, self.clock.now())

    @deferring
    def open(self, asked: Position, end: JournalId) -> None:
        """Start following at *end*, the journal's newest place; what was held before goes."""
        with self._lock:
            if asked.generation == self._generation:
                self._restart(end)
                self._sync(asked.asked)

    @deferring
    def advance(self, asked: Position, page: JournalPage) -> None:
        """Apply the journal's answer to the question *asked*: drop first, then count as synced."""
        with self._lock:
            if asked.generation != self._generation:
                return
            if not page.contiguous or any(record is None for _, record in page.records):
                self._restart(page.last)
                return
            for place, record in page.records:
                if record is not None:
                    self._apply(record, journal_order(place))
            if _later(page.last, self._cursor):
                self._cursor = page.last
            if page.complete and asked.asked > self.synced:
                self._sync(asked.asked)

    @deferring
    def hide(self, *, hidden: bool) -> None:
        """Close the hit path, or open it again."""
        with self._lock:
            self._hidden = hidden
            self._sync(self.synced)

    def forget(self, invalidation: Invalidation, place: JournalId) -> None:
        """Drop at once what this process itself has just invalidated, ahead of the journal's answer."""
        if (
            self._cursor
        ):  # else not following yet: whoever reads after it was opened reads what is invalidated already
            self._forget(invalidation, place)

    @deferring
    def _forget(self, invalidation: Invalidation, place: JournalId) -> None:
        with self._lock:
            if self._cursor:
                self._apply(invalidation, journal_order(place))

    @deferring
    def distrust(self) -> None:
        """Ignore every answer to what was asked so far, and refuse what was read with it; copies stay."""
        with self._lock:
            self._generation += 1

    @deferring
    def discard(self, key: str) -> None:
        """Drop one copy, if there is one."""
        with self._lock:
            self._held.drop(key, DISCARDED)

    @deferring
    def reset(self) -> None:
        """Drop everything and follow from wherever the journal then ends."""
        with self._lock:
            self._restart("")

    def after_fork(self) -> None:
        """Begin anew in a child process: a thread of the parent may have held the lock, in the middle of a change."""
        self._lock = Latch()
        self._hidden = False
        if self._budget is not None:
            self._budget.after_fork(self)
        budget, self._budget = self._budget, None  # nothing of it is claimed here
        self.reset()
        self._budget = budget

    # --- copies ----------------------------------------------------------------------------------

    def insert(self, key: str, copy: Copy, ticket: Position, weight: int = 0) -> bool:
        """Keep *copy* unless the journal has named its key or one of its tags since *ticket*; say whether.

        Args:
            key: the key's text.
            copy: what to hold.
            ticket: the place in the journal before *copy* was read.
            weight: the bytes of its stored entry.
        """
        copy.weight = weight
        if self._lock.nested:
            return False
        if not self._claim(weight):
            with self._lock:
                self._held.drop(key, DISCARDED)
                self._held.counted[REFUSED] += 1
            return False
        with self._lock:
            self._bury()
            kept = self._may_settle(key, copy, ticket)
            if kept:
                self._held.add(key, self._weakened(key, copy))
            else:
                self._held.counted[FENCED] += 1
                self._release(weight)
        return kept

    # --- under the lock --------------------------------------------------------------------------

    def _sync(self, synced: Instant) -> None:
        self.synced = synced
        self.shown = NEVER if self._hidden else synced

    def _restart(self, cursor: JournalId) -> None:
        self._held.clear(CLEARED)
        self._named.clear()
        self._generation += 1
        self._cursor = cursor
        self._sync(NEVER)

    def _apply(self, invalidation: Invalidation, order: tuple[int, int]) -> None:
        for tag in invalidation.tag_ids:
            self._named.note(tag, order)
            self._held.drop_tag(tag)
        for key in invalidation.keys:
            self._named.note(key, order)
            self._held.drop(key, INVALIDATED)

    def _may_settle(self, key: str, copy: Copy, ticket: Position) -> bool:
        if ticket.generation != self._generation or not ticket.cursor:
            return False
        return not self._named_since((key, *copy.ids), journal_order(ticket.cursor))

    def _named_since(self, names: Sequence[TagId | str], place: tuple[int, int]) -> bool:
        return self._named.since(names, place)


def _later(place: JournalId, than: JournalId) -> bool:
    if not place or not than:
        return bool(place)
    return journal_order(place) > journal_order(than)
