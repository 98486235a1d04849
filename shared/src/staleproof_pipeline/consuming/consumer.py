"""The loop of a consumer: take, apply, acknowledge; pause while something is away.

Theory of operation. One batch is in hand at a time, and nothing of it is acknowledged before it is dealt with, so a
death at any point only repeats (P3, P4). What fails because a server, a queue or a bus is away is tried again after a
pause that grows, for as long as it takes: nothing more is taken meanwhile, which is the back-pressure. What is refused,
or fails by a fault of ours, is tried `attempts` times and then goes to the dead letter, since it would hold up
everything behind it. Who stops in the middle leaves the rest unacknowledged to whoever comes next.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CacheError, ProviderUnavailableError
from staleproof_pipeline.errors import DeliveryError, RefusedEventError, SpentEventError
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.feed import Feed, Taken
    from staleproof_pipeline.consuming.gap import GapKeeper
    from staleproof_pipeline.invalidation import Invalidator
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.report import RecordOutcome

AWAY = (ProviderUnavailableError, DeliveryError)
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
ATTEMPTS = 50


class Consumed(NamedTuple):
    """What a consumer did: records by outcome, and how often it found a gap."""

    applied: int = 0
    ignored: int = 0
    dead_lettered: int = 0
    failed: int = 0
    gaps: int = 0


class Consumer:
    """Applies what a feed gives.

    Args:
        feed: where records come from.
        invalidator: applies them.
        gaps: makes up for what was lost.
        observer: hears how far behind the feed is, and of gaps.
        clock: the source of time.
        pause: waits so many seconds, or less if somebody stops this.
        attempts: how often what is refused is tried.
    """

    def __init__(
        self,
        feed: Feed,
        invalidator: Invalidator,
        gaps: GapKeeper,
        *,
        observer: Observer,
        pause: Callable[[float], object],
        clock: Clock = SYSTEM_CLOCK,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._feed = feed
        self._invalidator = invalidator
        self._gaps = gaps
        self._observer = observer
        self._clock = clock
        self._pause = pause
        self._attempts = attempts
        self._troubles = 0
        self._counts = [0] * len(Consumed._fields)
        self.progressed_at = clock.monotonic()
        self.error: Exception | None = None

    @property
    def consumed(self) -> Consumed:
        """What was done so far."""
        return Consumed(*self._counts)

    def step(self, wait: float, going: Callable[[], bool]) -> int:
        """Take one batch and deal with it; return how much was taken: records, and gaps.

        Args:
            wait: seconds to wait for records at most.
            going: says whether to go on; asked before anything is tried again.
        """
        try:
            taken = self._feed.take(wait)
        except ProviderUnavailableError as error:
            self._trouble(error)
            return 0
        if taken.gaps and not self._closed(taken, going):
            return 0
        if taken.spent:
            self._bury(
                taken.spent, SpentEventError("it was delivered again and again without an answer"), going
            )
        if taken.records:
            self._deal_with(taken.records, going)
        elif not taken.spent:
            self._well()
        self._observer.progressed(self._feed.source.name, self._feed.progress())
        if not self.error:
            self.progressed_at = self._clock.monotonic()
        return len(taken.records) + len(taken.spent) + len(taken.gaps)

    def _closed(self, taken: Taken, going: Callable[[], bool]) -> bool:
        """Make up for gaps; say whether it was done before somebody stopped this."""
        name = self._feed.source.name
        for gap in taken.gaps:
            self._observer.lost(name, gap.records, gap.told)
        while True:
            try:
                self._gaps.close(taken.gaps, name)
                self._feed.closed_gaps()
            except ProviderUnavailableError as error:
                self._trouble(error)
                if not going():
                    return False
            else:
                self._counts[Consumed._fields.index("gaps")] += len(taken.gaps)
                self._well()
                return True

    def _deal_with(self, records: Sequence[Any], going: Callable[[], bool]) -> None:
        report = self._invalidator.apply(records, self._feed.source, self._feed.order)
        outcomes = list(report.outcomes)
        if report.failure() is not None:
            self._again(records, outcomes, going)
        else:
            self._well()
        self._settle(records, outcomes)

    def _again(
        self, records: Sequence[Any], outcomes: list[RecordOutcome], going: Callable[[], bool]
    ) -> None:
        """Try what failed until nothing does, or somebody stops this; *outcomes* follow."""
        attempts = 1
        while failed := [at for at, each in enumerate(outcomes) if each.outcome is Outcome.FAILED]:
            errors = [outcomes[at].error for at in failed]
            self._trouble(next((each for each in errors if isinstance(each, AWAY)), errors[0]))
            if not going():
                return
            with suppress(
                ProviderUnavailableError
            ):  # whatever is away: what is in hand is tried again all the same
                self._feed.keep()
            some = [records[at] for at in failed]
            attempts += 1
            if attempts > self._attempts and not any(_is_away(each) for each in errors):
                refused = RefusedEventError(
                    f"{type(errors[0]).__name__}: it was refused {self._attempts} times"
                )
                report = self._invalidator.give_up(some, refused, self._feed.source)
            else:
                report = self._invalidator.apply(some, self._feed.source, self._feed.order)
            for at, outcome in zip(failed, report.outcomes, strict=True):
                outcomes[at] = outcome
        self._well()

    def _bury(self, records: Sequence[Any], error: SpentEventError, going: Callable[[], bool]) -> None:
        report = self._invalidator.give_up(records, error, self._feed.source)
        while report.failure() is not None and going():
            self._trouble(report.failure())
            report = self._invalidator.give_up(records, error, self._feed.source)
        self._settle(records, report.outcomes)

    def _settle(self, records: Sequence[Any], outcomes: Sequence[RecordOutcome]) -> None:
        for each in outcomes:
            self._counts[_PLACES[each.outcome]] += 1
        self._feed.settle(records, outcomes)

    def _trouble(self, error: Exception | None) -> None:
        """Note that something is away or refuses, and wait, longer each time."""
        self.error = error
        if not self._troubles:
            # Messages of servers, queues and buses show no values of records; those of faults might.
            told = str(error) if isinstance(error, CacheError) else type(error).__name__
            self._observer.paused(self._feed.source.name, told)
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._troubles, 20))
        self._troubles += 1
        self._pause(longest * random.uniform(0.5, 1.0))

    def _well(self) -> None:
        if self._troubles:
            self._observer.resumed(self._feed.source.name)
        self._troubles, self.error = 0, None


_PLACES = {
    Outcome.APPLIED: 0,
    Outcome.IGNORED: 1,
    Outcome.DEAD_LETTERED: 2,
    Outcome.FAILED: 3,
}


def _is_away(error: Exception | None) -> bool:
    return isinstance(error, AWAY)
