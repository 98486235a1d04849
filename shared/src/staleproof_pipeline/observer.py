"""The port by which the use cases say what happened. What becomes of it (metrics, logs) is the adapter's business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.consuming.feed import Progress
    from staleproof_pipeline.report import Report


class Observer(Protocol):
    """Hears what happened; must not raise."""

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:
        """A batch of *source* is dealt with; *lags_ms* tells the time from change to applied."""
        ...

    def noted(self, note: str) -> None:
        """An operator should know *note*; it may be said again and again."""
        ...

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None:
        """A link was handed records, at once or by the follower."""
        ...

    def followed(self, link: str, lag_ms: int) -> None:
        """The oldest record that a link still owes is *lag_ms* old, 0 if it owes none."""
        ...

    def reloaded(self, digest: str, error: str) -> None:
        """Other rules hold from now on; or they were refused or out of reach, and those of *digest* go on."""
        ...

    def shadowed(self, invalidation: Invalidation) -> None:
        """Rules in shadow mode would have made this stale; nothing of it fell."""
        ...

    def gap(self, link: str, namespace: str) -> None:
        """Records were lost before a link shipped them; the peers clear the namespace instead."""
        ...

    def progressed(self, source: str, progress: Progress) -> None:
        """A consumer of *source* has taken something, or there was nothing."""
        ...

    def paused(self, source: str, error: str) -> None:
        """A consumer of *source* takes nothing for a while: something is away, or refuses."""
        ...

    def resumed(self, source: str) -> None:
        """It goes on."""
        ...

    def lost(self, source: str, records: int, told: str) -> None:
        """So many records (0: nobody knows) of *source* were lost before anybody read them; namespaces are cleared."""
        ...


class NullObserver:
    """Hears nothing."""

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:
        """See `Observer.batch`."""

    def noted(self, note: str) -> None:
        """See `Observer.noted`."""

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None:
        """See `Observer.shipped`."""

    def followed(self, link: str, lag_ms: int) -> None:
        """See `Observer.followed`."""

    def reloaded(self, digest: str, error: str) -> None:
        """See `Observer.reloaded`."""

    def shadowed(self, invalidation: Invalidation) -> None:
        """See `Observer.shadowed`."""

    def gap(self, link: str, namespace: str) -> None:
        """See `Observer.gap`."""

    def progressed(self, source: str, progress: Progress) -> None:
        """See `Observer.progressed`."""

    def paused(self, source: str, error: str) -> None:
        """See `Observer.paused`."""

    def resumed(self, source: str) -> None:
        """See `Observer.resumed`."""

    def lost(self, source: str, records: int, told: str) -> None:
        """See `Observer.lost`."""
