"""Statistics of what is held near."""

from __future__ import annotations

from typing import NamedTuple


class NearStatistics(NamedTuple):
    """What became of copies since the near cache was made. Hits are counted by whoever serves them.

    Attributes:
        evicted: went to make room, its own bound's or a shared budget's.
        replaced: went for a newer copy of the key.
        invalidated: the journal, or this process itself, named its key or one of its tags.
        discarded: dropped before a load anew.
        cleared: the journal could not show that nothing was missed, or it was reset.
        unused: nobody else held the value any more (weak copies).
        fenced: not inserted, because the journal had named it since it was read.
        refused: not inserted, because it is heavier than a whole bound, or a budget has no room.
        inserted: copies taken in; each is held still, or counted once among the first six.
        copies, bytes: what is held.
    """

    evicted: int
    replaced: int
    invalidated: int
    discarded: int
    cleared: int
    unused: int
    fenced: int
    refused: int
    inserted: int
    copies: int
    bytes: int
