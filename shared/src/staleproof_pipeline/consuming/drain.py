"""A scheduled poller: consumes for as long as an invocation has time, then leaves the rest to the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof_pipeline.consuming.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof_pipeline.bootstrap import Pipeline
    from staleproof_pipeline.consuming.feed import Feed
    from staleproof_pipeline.observability import Observability

RESERVE_MS = 3_000
"""What is left of the time, to finish a batch and to write metrics."""

WAIT = 1.0


class Drain(NamedTuple):
    """What the draining function runs.

    Attributes:
        pipeline: applies.
        open_feed: makes the feed of a run; nothing is connected yet.
        reserve_ms: milliseconds that a run leaves.
    """

    pipeline: Pipeline
    open_feed: Callable[[], Feed]
    reserve_ms: int = RESERVE_MS

    @property
    def observability(self) -> Observability:
        """Logs, metrics and traces."""
        return self.pipeline.observability

    def run(
        self, remaining_ms: Callable[[], int], pause: Callable[[float], object] | None = None
    ) -> dict[str, int]:
        """Consume until fewer than `reserve_ms` milliseconds remain; return what was done.

        Args:
            remaining_ms: tells the milliseconds that are left.
            pause: waits so many seconds; `time.sleep` by default.

        Raises:
            CacheError: what was taken last could not be applied, or nothing could be taken; it waits in the stream.
        """
        import time  # noqa: PLC0415

        def left() -> float:
            return (remaining_ms() - self.reserve_ms) / 1_000

        def going() -> bool:
            return left() > 0

        feed = self.open_feed()
        consumer = Consumer(
            feed,
            self.pipeline.invalidator,
            self.pipeline.gaps,
            observer=self.pipeline.observability,
            pause=lambda seconds: (pause or time.sleep)(max(0.0, min(seconds, left()))),
        )
        try:
            while going():
                consumer.step(max(0.0, min(WAIT, left())), going)
        finally:
            feed.close()
        if consumer.error is not None:
            raise consumer.error
        return consumer.consumed._asdict()
