"""The plan that searches the journal backwards for what named a key or its tags.

Theory of operation: a journal can be read forward only, after a place. So it is searched in windows of time, the newest
first, each read forward to where the one before it began; a window is as long as its neighbour's records suggest, so
that it takes a page or two. One that its first page shows to be too full, for half of what may still be read, is cut
and begun anew: the newest records count most. At most `MAX_PAGES` pages are read: on a busy journal that may end before
the entry's birth, and the answer says how far it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.cache.commands import FindEnd, Follow
from staleproof.cache.explanation import Cause, Search
from staleproof.cache.reading import PAGE
from staleproof.ports import journal_id, journal_order
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staleproof.cache.commands import Plan
    from staleproof.events import Invalidation
    from staleproof.ports import JournalId, JournalPage
    from staleproof.tags import TagId

MAX_PAGES = 32
"""Pages of `PAGE` records that one search reads at most."""

SKEW_MS = 1_000
"""How far the clocks of loaders and of the server may be apart: so much before its birth an entry's causes count."""

FIRST_WINDOW_MS = 1_000
GROWTH = 16
_LAST_SEQUENCE = 2**64 - 1


class Wanted:
    """What is searched for, and what was found so far.

    Args:
        key: the key's text, or None if records that name it explain nothing.
        tags: ids of the tags that records may explain.
        known: ids whose texts are welcome besides.
        superseded: whether the key counts as named where its entry stayed: copies of it did not.

    Attributes:
        causes: by event, newest first.
        texts: of tags that a record told, by id.
    """

    def __init__(
        self,
        key: str | None,
        tags: Iterable[TagId],
        known: Iterable[TagId] = (),
        *,
        superseded: bool = False,
    ) -> None:
        self._key = key
        self._superseded = superseded
        self._tags = set(tags)
        self._known = {*known, *self._tags}
        self._left: set[TagId | str] = {*self._tags, *([] if key is None else [key])}
        self.causes: dict[str, Cause] = {}
        self.texts: dict[TagId, str] = {}

    @property
    def complete(self) -> bool:
        """Whether everything that is searched for was named by some record."""
        return not self._left

    def look_at(self, place: JournalId, record: Invalidation) -> None:
        """Note what *record*, at *place*, explains."""
        told = {tag_id(text): text for text in record.tags}
        self.texts.update({tag: text for tag, text in told.items() if tag in self._known})
        named = {tag for tag in record.tag_ids if tag in self._tags}
        keys = record.keys if self._superseded else record.evicted
        key = self._key is not None and self._key in keys
        if not named and not key:
            return
        self._left -= {*named, *([self._key] if key and self._key is not None else [])}
        found = cause(record, place, [told[tag] for tag in named if tag != ROOT], key=key)
        self.causes.setdefault(record.id, found)


def cause(record: Invalidation, place: JournalId, tags: Sequence[str], *, key: bool) -> Cause:
    """Return what *record* tells of itself."""
    why = record.cause
    return Cause(
        event=record.id,
        place=place,
        at_ms=record.at_ms,
        origin=record.origin,
        source=why.source,
        rules=why.rules,
        entity=why.entity,
        operation=why.operation,
        changed_ms=why.changed_ms,
        trace=record.trace,
        soft=record.soft,
        tags=tuple(tags),
        key=key,
        clear=record.clear,
    )


class Window(NamedTuple):
    """What was read of a window: its records, in how many pages, whether that was all, else how many there may be."""

    records: list[tuple[JournalId, Invalidation | None]]
    pages: int
    whole: bool
    estimate: float = 0.0


class Progress:
    """How far a search came, down to a moment or to the end of its means."""

    def __init__(self, end: JournalId, down_to_ms: int) -> None:
        self.high_ms = journal_order(end)[0] + 1
        self.down_to_ms = down_to_ms
        self.length = FIRST_WINDOW_MS
        self.budget = MAX_PAGES - 1
        self.records = self.unreadable = 0

    @property
    def reached(self) -> bool:
        """Whether it came as far as it was to."""
        return self.high_ms <= self.down_to_ms

    @property
    def low_ms(self) -> int:
        """Where the next window begins."""
        return max(self.down_to_ms, self.high_ms - self.length)

    @property
    def allowed(self) -> int:
        """How many pages the next window may take: half of what is left, all if it cannot be cut."""
        return self.budget if self.high_ms - self.low_ms <= 1 else max(1, self.budget // 2)

    def take(self, window: Window) -> bool:
        """Account for *window*; say whether it is to be used, or was cut for the next attempt."""
        self.budget -= window.pages
        length, found = self.high_ms - self.low_ms, len(window.records)
        if not window.whole and length > 1:
            share = self.allowed / window.estimate / 2 if window.estimate else 0.0
            self.length = max(1, int(length * min(0.5, share)))
            return False
        self.records += found
        self.high_ms = self.low_ms if window.whole else self.high_ms
        self.length = max(1, min(length * GROWTH, length * 2 * PAGE // max(1, found)))
        return True


def search(wanted: Wanted, since_ms: int | None) -> Plan[Search]:
    """Search backwards for what is *wanted*, down to *since_ms*, an entry's birth; None is the journal's beginning.

    Nothing is changed by it: the end is looked for only where there is a journal.
    """
    oldest: JournalPage = yield Follow("", 1)
    if not oldest.records:
        return Search(records=0, unreadable=0, back_to_ms=0, whole=True, trimmed=since_ms is not None)
    first_ms = journal_order(oldest.records[0][0])[0]
    end: JournalId = yield FindEnd()
    progress = Progress(end, max(first_ms, (since_ms or 0) - SKEW_MS))
    while not progress.reached and not wanted.complete and progress.budget > 0:
        window = yield from read_window(progress.low_ms, progress.high_ms, progress.allowed)
        if progress.take(window):
            look_through(wanted, progress, window)
    return Search(
        records=progress.records,
        unreadable=progress.unreadable,
        back_to_ms=progress.high_ms,
        whole=progress.reached,
        trimmed=progress.reached and since_ms is not None and first_ms > since_ms,
    )


def look_through(wanted: Wanted, progress: Progress, window: Window) -> None:
    """Look at the records of *window*, the newest first."""
    for place, record in reversed(window.records):
        if record is None:
            progress.unreadable += 1
        else:
            wanted.look_at(place, record)


def read_window(low_ms: int, high_ms: int, pages: int) -> Plan[Window]:
    """Read the records of the milliseconds from *low_ms* to before *high_ms*, unless they take more than *pages*."""
    records: list[tuple[JournalId, Invalidation | None]] = []
    cursor = journal_id(f"{low_ms - 1}-{_LAST_SEQUENCE}", "") if low_ms else ""
    for read in range(1, pages + 1):
        page: JournalPage = yield Follow(cursor, PAGE)
        inside = [each for each in page.records if journal_order(each[0])[0] < high_ms]
        records += inside
        if page.complete or len(inside) < len(page.records):
            return Window(records, read, whole=True)
        cursor = page.last
        covered = max(1, journal_order(cursor)[0] - low_ms)
        estimate = read * (high_ms - low_ms) / covered
        if estimate > pages and high_ms - low_ms > 1:
            return Window(records, read, whole=False, estimate=estimate)
    return Window(records, pages, whole=False)
