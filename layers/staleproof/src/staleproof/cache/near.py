"""The near cache: decoded values in this process, as fresh as the journal says.

Theory of operation
-------------------
A frozen Lambda has no background thread to trust, so nothing here happens in the background. The near cache
keeps a *cursor*, its place in the region's journal, and `synced`, the instant at which the question was *asked*
whose answer brought it there. A copy may be served if `synced` is no older than the read's staleness bound,
by the larger of two clocks; otherwise the reader first asks the journal for what came after the cursor and drops
what it names. So the bound holds whatever the process slept through.

* **Gap.** If the journal cannot show that nothing lies between the cursor and its answer (trimmed, deleted,
  re-created, an unreadable record), everything goes and a new *generation* begins. Answers to questions
  of an older generation change nothing.
* **Fenced fill.** A value read from the cache server just before an invalidation must not settle here just
  after it. A reader takes a *ticket*, the place in the journal, before it reads; `insert` refuses a copy of which the
  journal has named a tag or the key since. What was named is remembered in `_named`, bounded; a ticket
  older than what is remembered is refused.
* **Order of reads.** The unlocked hit path reads `shown` before it looks the copy up, and `advance` drops
  copies before it moves `synced`; so a copy found after a fresh `synced` has survived that answer. `shown` is `synced`,
  or `NEVER` while a load is under way (see `staleproof.cache.nesting`).

Values are shared objects: treat them as immutable.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK, Clock, Instant
from staleproof.ports import JournalId, JournalPage, journal_order
from staleproof.tags import ROOT, TagId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staleproof.cache.call import Call
    from staleproof.events import Invalidation

DEFAULT_MAX_COPIES = 10_000
MAX_NAMED = 65_536
NEVER = Instant(float("-inf"), float("-inf"))
_START = (-1, -1)


class Copy:
    """One value held in the process, until both clocks have passed its deadlines.

    Attributes:
        value: what is served.
        ids: all tags of the entry it came from, those that the value revealed included.
        tags, kind: what the call that read it named: another call's copy is not for this one.
        shelf: where the decorated function's hit path looks, if the copy is its own.
        used: whether it was served since the last time room was made.
    """

    __slots__ = ("ids", "kind", "monotonic_deadline", "shelf", "tags", "used", "value", "wall_deadline")

    def __init__(
        self, value: Any, ids: Sequence[TagId], call: Call, now: Instant, life: float | None
    ) -> None:
        self.value = value
        self.ids = ids
        self.tags = call.tags
        self.kind = call.codec.kind
        self.shelf = call.shelf
        self.used = False
        self.monotonic_deadline = float("inf") if life is None else now.monotonic + life
        self.wall_deadline = float("inf") if life is None else now.wall + life


class Position(NamedTuple):
    """Where a question to the journal was asked from, and when; it is also the ticket of a fill."""

    generation: int
    cursor: JournalId
    asked: Instant


class NearCache:
    """In-process copies that follow one namespace's journal.

    Args:
        max_copies: how many values it holds; rarely used ones go first (second chance).
        clock: the source of time.
    """

    def __init__(self, max_copies: int = DEFAULT_MAX_COPIES, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.copies: dict[str, Copy] = {}
        self.synced: Instant = NEVER
        self.shown: Instant = NEVER
        self._hidden = False
        self._max_copies = max_copies
        self._lock = threading.Lock()
        self._by_tag: dict[TagId, set[str]] = {}
        self._named: dict[TagId | str, tuple[int, int]] = {}
        self._floor = _START
        self._generation = 0
        self._cursor: JournalId = ""

    # --- following -------------------------------------------------------------------------------

    def position(self) -> Position:
        """Return where to ask the journal from; an empty cursor means: `open` first."""
        with self._lock:
            return Position(self._generation, self._cursor, self.clock.now())

    def open(self, asked: Position, end: JournalId) -> None:
        """Start following at *end*, the journal's newest place; what was held before goes."""
        with self._lock:
            if asked.generation == self._generation:
                self._restart(end)
                self._sync(asked.asked)

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

    def hide(self, *, hidden: bool) -> None:
        """Close the hit path, or open it again."""
        with self._lock:
            self._hidden = hidden
            self._sync(self.synced)

    def _sync(self, synced: Instant) -> None:
        self.synced = synced
        self.shown = NEVER if self._hidden else synced

    def forget(self, invalidation: Invalidation, place: JournalId) -> None:
        """Drop at once what this process itself has just invalidated, ahead of the journal's answer."""
        if not self._cursor:
            return  # not following yet: whoever opens the journal later starts behind this record, or reads it
        with self._lock:
            self._apply(invalidation, journal_order(place))

    def discard(self, key: str) -> None:
        """Drop one copy, if there is one."""
        with self._lock:
            self._drop(key)

    def after_fork(self) -> None:
        """Begin anew in a child process: a thread of the parent may have held the lock, in the middle of a change."""
        self._lock = threading.Lock()
        self._hidden = False
        self.reset()

    def reset(self) -> None:
        """Drop everything and follow from wherever the journal then ends."""
        with self._lock:
            self._restart("")

    def _restart(self, cursor: JournalId) -> None:
        self._drop_all()
        self._named.clear()
        self._floor = _START
        self._generation += 1
        self._cursor = cursor
        self._sync(NEVER)

    def _apply(self, invalidation: Invalidation, order: tuple[int, int]) -> None:
        for tag in invalidation.tag_ids:
            self._note(tag, order)
            if tag == ROOT:
                self._drop_all()
            for key in self._by_tag.pop(tag, ()):
                self._drop(key)
        for key in invalidation.keys:
            self._note(key, order)
            self._drop(key)

    def _note(self, name: TagId | str, order: tuple[int, int]) -> None:
        known = self._named.pop(name, _START)
        self._named[name] = max(known, order)
        if len(self._named) > MAX_NAMED:
            oldest = next(iter(self._named))
            self._floor = max(self._floor, self._named.pop(oldest))

    # --- copies ----------------------------------------------------------------------------------

    def get(self, call: Call, now: Instant) -> Copy | None:
        """Return the copy that *call* may have if its read began at *now*."""
        synced = self.synced  # before the look-up: see "order of reads"
        if now.elapsed(synced) > (call.policy.staleness or 0.0):
            return None
        copy = self.copies.get(call.key)
        if copy is None or now.monotonic >= copy.monotonic_deadline or now.wall >= copy.wall_deadline:
            return None
        if copy.tags != call.tags or copy.kind is not call.codec.kind:
            return None
        copy.used = True
        return copy

    def at_hand(self, call: Call) -> Copy | None:
        """Return the copy that *call* may have without asking, if it begins now; a bound of 0 always asks."""
        return self.get(call, self.clock.now()) if call.policy.staleness else None

    def insert(self, key: str, copy: Copy, ticket: Position) -> bool:
        """Keep *copy* unless the journal has named its key or one of its tags since *ticket*; say whether."""
        with self._lock:
            if ticket.generation != self._generation or not ticket.cursor:
                return False
            since = journal_order(ticket.cursor)
            if since < self._floor or self._named_since((key, *copy.ids), since):
                return False
            self._drop(key)
            self.copies[key] = copy
            if copy.shelf is not None:
                copy.shelf[key] = copy
            for tag in copy.ids:
                if tag != ROOT:
                    self._by_tag.setdefault(tag, set()).add(key)
            self._make_room()
            return True

    def _named_since(self, names: Iterable[TagId | str], since: tuple[int, int]) -> bool:
        return any(self._named.get(name, _START) > since for name in names)

    def _drop(self, key: str) -> None:
        copy = self.copies.pop(key, None)
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

    def _drop_all(self) -> None:
        for key, copy in self.copies.items():
            if copy.shelf is not None:
                copy.shelf.pop(key, None)
        self.copies.clear()
        self._by_tag.clear()

    def _make_room(self) -> None:
        while len(self.copies) > self._max_copies:
            key, copy = next(iter(self.copies.items()))
            if copy.used:
                copy.used = False
                self.copies[key] = self.copies.pop(key)
            else:
                self._drop(key)


def _later(place: JournalId, than: JournalId) -> bool:
    if not place or not than:
        return bool(place)
    return journal_order(place) > journal_order(than)
