"""The memory provider's journal, as near caches and links follow it; under the provider's lock."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from staleproof.events.invalidation import genesis
from staleproof.providers.memory_journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof.ports import JournalId, JournalPage

_FOLLOWED: WeakSet[MemoryFollower] = WeakSet()


def _unlock_after_fork() -> None:
    for each in list(_FOLLOWED):
        each._lock = threading.RLock()  # noqa: SLF001 - a thread that the child does not have may hold it


os.register_at_fork(after_in_child=_unlock_after_fork)


class MemoryFollower:
    """The journal of one namespace; implements `Follower`, and what `Provider` asks of a journal."""

    def __init__(self, namespace: str, clock: Clock) -> None:
        self.namespace = namespace
        self._lock = threading.RLock()
        self._journal = MemoryJournal(clock)
        _FOLLOWED.add(self)

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        with self._lock:
            return self._journal.page(cursor, limit)

    def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        with self._lock:
            return self._journal.end() or self._journal.append(genesis(self.namespace))

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """See `Follower.undelivered`."""
        with self._lock:
            return self._journal.undelivered(name, limit)

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """See `Follower.pushed`."""
        with self._lock:
            self._journal.pushed(name, places)

    def advance(self, name: str, place: JournalId) -> None:
        """See `Follower.advance`."""
        with self._lock:
            self._journal.advance(name, place)

    def followers(self) -> list[str]:
        """See `Follower.followers`."""
        with self._lock:
            return self._journal.followers()

    def forget(self, name: str) -> None:
        """See `Follower.forget`."""
        with self._lock:
            self._journal.forget(name)

    def trim(self, horizon_ms: int) -> int:
        """See `Follower.trim`."""
        with self._lock:
            return self._journal.trim(horizon_ms)
