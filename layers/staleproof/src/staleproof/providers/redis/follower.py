"""The journal as a link to a peer region sees it, on a server: `Follower` by the steps of `journal`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from staleproof.ports import JournalId, JournalPage, Keys
    from staleproof.providers.redis.journal import JournalSteps
    from staleproof.providers.redis.steps import Step

    R = TypeVar("R")


class RedisFollower:
    """Implements `Follower` for whatever runs steps."""

    @abstractmethod
    def _run(self, step: Callable[[JournalSteps], Step[R]]) -> R: ...

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """See `Follower.undelivered`."""
        return self._run(lambda steps: steps.undelivered(name, limit))

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """See `Follower.pushed`."""
        self._run(lambda steps: steps.pushed(name, places))

    def advance(self, name: str, place: JournalId) -> None:
        """See `Follower.advance`."""
        self._run(lambda steps: steps.advance(name, place))

    def followers(self) -> list[str]:
        """See `Follower.followers`."""
        return self._run(lambda steps: steps.followers())

    def forget(self, name: str) -> None:
        """See `Follower.forget`."""
        self._run(lambda steps: steps.forget(name))

    def trim(self, horizon_ms: int) -> int:
        """See `Follower.trim`."""
        return self._run(lambda steps: steps.trim(horizon_ms))

    def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`."""
        return self._run(lambda steps: steps.scan(cursor, limit))

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        return self._run(lambda steps: steps.journal(cursor, limit))

    def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        return self._run(lambda steps: steps.journal_end())
