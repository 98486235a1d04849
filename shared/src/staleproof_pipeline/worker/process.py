"""A worker: one consumer's loop until a signal, with its health and its metrics.

Theory of operation. The loop runs in the main thread. SIGTERM and SIGINT set an event: the batch in hand is finished
and acknowledged, the feed is left in order, and the process ends with 0; a second signal ends it at once, which only
repeats.
A pause waits on the same event. The health server reads a few fields that the loop writes; each is one reference.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK
from staleproof_pipeline.consuming.consumer import ATTEMPTS, Consumed, Consumer
from staleproof_pipeline.worker.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from staleproof.clock import Clock
    from staleproof_pipeline.bootstrap import Pipeline
    from staleproof_pipeline.consuming.feed import Feed

WAIT = 1.0
STUCK = 60.0
"""Seconds after which a loop that did not turn is stuck; one batch, its retries apart, takes far less."""

METRICS_EVERY = 10.0


class Worker:
    """Runs a consumer.

    Args:
        pipeline: applies.
        feed: where records come from.
        flush: writes metrics; called now and then, and at the end.
        clock: the source of time.
        attempts: how often what is refused is tried.
        stop: set to stop it; its own by default.
        late: gives what was put off and is due, if this worker applies that as well.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        feed: Feed,
        *,
        flush: Callable[[], object] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
        attempts: int = ATTEMPTS,
        stop: threading.Event | None = None,
        late: Feed | None = None,
    ) -> None:
        self._stop = stop or threading.Event()
        self._feed = feed
        self._flush = flush
        self._clock = clock
        self._turned_at = clock.monotonic()
        self._flushed_at = clock.monotonic()
        self._started = False
        self._late = late
        consumer = partial(
            Consumer,
            gaps=pipeline.gaps,
            observer=pipeline.observability,
            pause=self.pause,
            clock=clock,
            attempts=attempts,
        )
        self._consumer = consumer(feed, pipeline.invalidator)
        self._later = consumer(late, pipeline.due) if late is not None else None

    def run(self, *, until_idle: bool = False) -> Consumed:
        """Consume until `stop`, or with *until_idle* until there is nothing more; return what was done.

        Raises:
            CacheError: the source or the settings cannot be used; see `Feed`.
        """
        try:
            while not self._stop.is_set():
                self._turned()
                taken = self._consumer.step(WAIT, self._going)
                if self._later is not None:
                    taken += self._later.step(0.0, self._going)
                self._started = self._started or self._consumer.error is None
                if until_idle and not taken and self._consumer.error is None:
                    break
        finally:
            self._feed.close()
            if self._late is not None:
                self._late.close()
            self._flush()
        return self._consumer.consumed

    def stop(self) -> None:
        """Let the loop finish what it is doing, and end."""
        self._stop.set()

    def pause(self, seconds: float) -> None:
        """Wait so many seconds, or less if it is to stop."""
        self._stop.wait(seconds)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """In this block SIGTERM and SIGINT call `stop`, and a second one ends the process."""

        def stop(number: int, _: FrameType | None) -> None:
            if self._stop.is_set():
                os._exit(128 + number)
            self.stop()

        before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def health(self) -> Health:
        """Return how it is; may be called from any thread."""
        error, now = self._consumer.error, self._clock.monotonic()
        if error is None and self._later is not None:
            error = self._later.error
        progress = self._feed.progress()
        told: dict[str, Any] = {
            "source": self._feed.source.name,
            "error": type(error).__name__ if error is not None else None,
            "seconds_since_progress": round(now - self._consumer.progressed_at, 3),
            "backlog": progress.backlog,
            "pending": progress.pending,
            "age_ms": progress.age_ms,
            **self._consumer.consumed._asdict(),
        }
        live = now - self._turned_at < STUCK
        return Health(live, live and self._started and error is None and not self._stop.is_set(), told)

    def _going(self) -> bool:
        self._turned()
        return not self._stop.is_set()

    def _turned(self) -> None:
        self._turned_at = now = self._clock.monotonic()
        if now - self._flushed_at >= METRICS_EVERY:
            self._flushed_at = now
            self._flush()
