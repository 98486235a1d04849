"""How long a poller waits before it asks again: not at all while there is work, longer the longer there is none."""

from __future__ import annotations


class Pacing:
    """The wait of one poller, in seconds.

    Args:
        shortest: after the first empty answer; bounds the delay of a busy source.
        longest: after many; bounds what an idle source costs, and the delay of the first record after a lull.
        patience: empty answers before the wait begins to grow.
    """

    def __init__(self, shortest: float = 0.003, longest: float = 0.025, patience: int = 40) -> None:
        self._shortest, self._longest, self._patience = shortest, longest, patience
        self._empty = 0

    def after(self, *, found: bool) -> float:
        """Return the wait after an answer that held something (*found*) or nothing."""
        if found:
            self._empty = 0
            return 0.0
        self._empty += 1
        growth = max(0, self._empty - self._patience)
        return min(self._shortest * 1.2 ** min(growth, 50), self._longest)
