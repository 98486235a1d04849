"""How a near store takes copies in and lets them go, under its lock; see `staleproof.near.store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.near.copies import UNUSED, Copies, Copy, WeakCopy

if TYPE_CHECKING:
    from collections import deque

    from staleproof.near.budget import Budget
    from staleproof.stores.latch import Latch


class Keeping:
    """Copies, their weight in a shared budget, and the end of those that are held weakly."""

    copies: dict[str, Copy]
    _held: Copies
    _weak: bool
    _budget: Budget | None
    _lock: Latch
    _dead: deque[tuple[str, object]]

    def _weakened(self, key: str, copy: Copy) -> Copy:
        if not self._weak:
            return copy
        note = self._dead.append
        try:
            return WeakCopy(copy, lambda reference: note((key, reference)))
        except TypeError:  # numbers, texts, lists, dictionaries and the like know no weak references
            return copy

    def _bury(self) -> None:
        while self._dead:
            key, reference = self._dead.popleft()
            copy = self.copies.get(key)
            if copy is not None and copy.value is reference:
                self._held.drop(key, UNUSED)

    def _claim(self, weight: int) -> bool:
        if not self._held.fit(weight):
            return False
        return not weight or self._budget is None or self._budget.claim(self, weight)

    def shed(self) -> bool:
        """Let the coldest copy go, for others that share the budget; say whether there was one."""
        if self._lock.nested:
            return False
        with self._lock:
            self._bury()
            return self._held.evict()

    def _let_go(self, copy: Copy) -> None:
        self._lock.garbage.append(copy)
        self._release(copy.weight)

    def _release(self, weight: int) -> None:
        if weight and self._budget is not None:
            self._budget.release(self, weight)
