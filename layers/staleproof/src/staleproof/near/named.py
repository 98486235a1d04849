"""Named: what the journal has named of late, and where. It fences fills: see `staleproof.near.store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.tags import TagId

MAX_NAMED = 65_536
BEGINNING = (-1, -1)


class Named:
    """Tags and keys, each with the last place in the journal that named it. Its owner's lock guards it.

    At most *limit* are remembered; before the place of one that was forgotten, everything counts as named.
    """

    __slots__ = ("_floor", "_limit", "_places")

    def __init__(self, limit: int = MAX_NAMED) -> None:
        self._limit = limit
        self._places: dict[TagId | str, tuple[int, int]] = {}
        self._floor = BEGINNING

    def note(self, name: TagId | str, place: tuple[int, int]) -> None:
        """Remember that the journal named *name* at *place*."""
        known = self._places.pop(name, BEGINNING)
        self._places[name] = max(known, place)
        if len(self._places) > self._limit:
            self._forget_half()

    def since(self, names: Iterable[TagId | str], place: tuple[int, int]) -> bool:
        """Say whether one of *names* was named after *place*; in doubt, yes."""
        return place < self._floor or any(self._places.get(name, BEGINNING) > place for name in names)

    def clear(self) -> None:
        """Forget everything, because nothing from before counts any more."""
        self._places.clear()
        self._floor = BEGINNING

    def _forget_half(self) -> None:
        """Half at once: taking the first of a dictionary, one by one, steps over all that were taken before."""
        names = list(self._places)[: self._limit // 2]
        self._floor = max(self._floor, *(self._places.pop(name) for name in names))
