"""An observer for people who watch a worker: a line for what they should know, and nothing for what goes well."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from staleproof_pipeline.observability import Observability
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.consuming.feed import Progress
    from staleproof_pipeline.report import Report


class PlainObservability(Observability):
    """Writes lines instead of JSON and metrics.

    Args:
        region: this region.
        out: where lines go, standard error by default.
        options: of `Observability`.
    """

    def __init__(self, region: str, *, out: TextIO | None = None, **options: Any) -> None:
        super().__init__(region, **options)
        self._out = out or sys.stderr
        self._said: set[str] = set()

    def tell(self, text: str) -> None:
        """Write one line."""
        self._out.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._out.flush()

    def flush(self) -> None:
        """See `Observability.flush`: there are no metrics."""

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:  # noqa: ARG002
        """See `Observer.batch`."""
        buried = [each.error for each in report.outcomes if each.outcome is Outcome.DEAD_LETTERED]
        for reason in sorted({getattr(each, "reason", "unknown") for each in buried}):
            self.tell(f"{source}: {len(buried)} dead letters, {reason}")

    def noted(self, note: str) -> None:
        """See `Observer.noted`."""
        if note not in self._said and len(self._said) < 1_000:  # noqa: PLR2004 - a bound, not a quantity
            self._said.add(note)
            self.tell(note)

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None:  # noqa: ARG002
        """See `Observer.shipped`."""
        if error:
            self.tell(f"{link}: {error}; the follower makes up for it")

    def followed(self, link: str, lag_ms: int) -> None:
        """See `Observer.followed`."""

    def reloaded(self, digest: str, error: str) -> None:
        """See `Observer.reloaded`."""
        self.tell(f"rules {digest}: {error or 'they hold from now on'}")

    def shadowed(self, invalidation: Invalidation) -> None:
        """See `Observer.shadowed`."""

    def progressed(self, source: str, progress: Progress) -> None:
        """See `Observer.progressed`."""

    def paused(self, source: str, error: str) -> None:
        """See `Observer.paused`."""
        self.tell(f"{source}: nothing is taken for a while: {error}")

    def resumed(self, source: str) -> None:
        """See `Observer.resumed`."""
        self.tell(f"{source}: it goes on")

    def lost(self, source: str, records: int, told: str) -> None:  # noqa: ARG002
        """See `Observer.lost`."""
        self.tell(f"{source}: {told}; every namespace is cleared")

    def gap(self, link: str, namespace: str) -> None:
        """See `Observer.gap`."""
        self.tell(f"{link}: records of {namespace!r} were lost; the peers clear it")
