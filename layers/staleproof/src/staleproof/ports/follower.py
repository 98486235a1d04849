"""`Follower`: the journal as a link to a peer region sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.ports.answers import JournalId, JournalPage


class Follower(Protocol):
    """The journal as a link to a peer region sees it: what it was handed, and what is still owed.

    A *name* is a link's, such as `eu-west-1`. A position moves only past records that were delivered, so a crash ships
    again and never skips.
    """

    def undelivered(self, name: str, limit: int) -> JournalPage:
        """Return the records after the link's position that were not pushed to it."""
        ...

    def pushed(self, name: str, places: Sequence[JournalId]) -> None:
        """Note that the records at *places* were delivered ahead of the position."""
        ...

    def advance(self, name: str, place: JournalId) -> None:
        """Move the link's position to *place*; earlier pushes are forgotten.

        Of two overlapping runs the slower may move it back: what lies between is shipped again, harmlessly. And it must
        be able to, when a failover lost the journal's end.
        """
        ...

    def followers(self) -> list[str]:
        """Return the names of all links that the journal knows, in no order."""
        ...

    def forget(self, name: str) -> None:
        """Give up the link: it owes nothing any more, and holds back no trimming."""
        ...

    def trim(self, horizon_ms: int) -> int:
        """Drop records older than *horizon_ms* that every link has passed; return how many went."""
        ...
