"""The journal of the memory provider: places in order, found by bisection. Its owner's lock guards it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from staleproof.ports import JournalId, JournalPage, journal_id, journal_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof.events import Invalidation

MAX_RECORDS = 10_000
"""Records above which the oldest go, whatever their age: who has not read them sees a gap, and clears (P6)."""

_BEGINNING = (-1, -1)
_SLACK = MAX_RECORDS // 10  # many go at once: taking the first of a list moves all the others


class MemoryJournal:
    """A bounded, append-only list of applied invalidations, with the positions of the links that ship it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: list[tuple[int, int]] = []
        self._records: list[tuple[JournalId, Invalidation | None]] = []
        self._last = (0, 0)
        self._positions: dict[str, JournalId] = {}
        self._pushed: dict[str, set[JournalId]] = {}

    def append(self, record: Invalidation) -> JournalId:
        """Add *record* at a place later than every other, and return the place."""
        milliseconds = int(self._clock.now().wall * 1_000)
        at, sequence = self._last
        self._last = (milliseconds, 0) if milliseconds > at else (at, sequence + 1)
        place = journal_id(f"{self._last[0]}-{self._last[1]}", record.id)
        self._places.append(self._last)
        self._records.append((place, record))
        if len(self._records) > MAX_RECORDS + _SLACK:
            self._drop_oldest(len(self._records) - MAX_RECORDS)
        return place

    def page(self, cursor: JournalId, limit: int) -> JournalPage:
        """Return at most *limit* records after *cursor*; "" stands for the beginning."""
        after = journal_order(cursor) if cursor else _BEGINNING
        start = bisect_right(self._places, after)
        contiguous = not cursor or (start > 0 and self._records[start - 1][0] == cursor)
        records = self._records[start : start + limit]
        last = records[-1][0] if records else (cursor if contiguous else "")
        return JournalPage(records, last, contiguous, start + limit >= len(self._records))

    def end(self) -> JournalId:
        """Return the newest place, or "" if there is none."""
        return self._records[-1][0] if self._records else ""

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """Return what the link *name* still owes; the first call registers it."""
        page = self.page(self._positions.setdefault(name, ""), limit)
        pushed = self._pushed.get(name, set())
        return page._replace(records=[item for item in page.records if item[0] not in pushed])

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """Note what *name* was handed ahead of its position."""
        self._pushed.setdefault(name, set()).update(places)

    def advance(self, name: str, place: JournalId) -> None:
        """Move the position of *name*, and forget the pushes behind it."""
        order = journal_order(place)
        self._positions[name] = place
        self._pushed[name] = {p for p in self._pushed.get(name, ()) if journal_order(p) > order}

    def followers(self) -> list[str]:
        """Return the names of the links that are known."""
        return list(self._positions)

    def forget(self, name: str) -> None:
        """Give up the link *name*."""
        self._positions.pop(name, None)
        self._pushed.pop(name, None)

    def trim(self, horizon_ms: int) -> int:
        """Drop what is older than *horizon_ms* and behind every link."""
        cutoff = (int(self._clock.now().wall * 1_000) - horizon_ms, 0)
        for position in self._positions.values():
            cutoff = min(cutoff, journal_order(position) if position else (0, 0))
        count = bisect_left(self._places, cutoff)
        self._drop_oldest(count)
        return count

    def _drop_oldest(self, count: int) -> None:
        del self._places[:count], self._records[:count]

    def delete(self) -> None:
        """Lose every record; the links' positions are kept elsewhere and stay."""
        self._places.clear()
        self._records.clear()
