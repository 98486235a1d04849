"""Applies a parcel's records, or says what would happen, without touching its store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from staleproof.errors import ProviderUnavailableError
from staleproof_pipeline.deferral import DUE
from staleproof_pipeline.errors import DeliveryError, RefusedEventError
from staleproof_pipeline.order import ALONE
from staleproof_pipeline.redriving.step import Fate
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof_pipeline.bootstrap import Pipeline
    from staleproof_pipeline.dead_letter import DeadLetter, MemoryDeadLetters
    from staleproof_pipeline.invalidation import Invalidator
    from staleproof_pipeline.redriving.parcel import Parcel, Run
    from staleproof_pipeline.translation import Translated

AWAY = (ProviderUnavailableError, DeliveryError)
MOST_TOLD = 20
"""Tags and keys that a dry run names; the rest is counted."""


class Attempt(NamedTuple):
    """What became of a parcel.

    Attributes:
        fate: `APPLIED`, `IGNORED` or `AGAIN`.
        letters: what is to be stored instead of it, if `AGAIN`.
        told: as in `Step`.
        rules: as in `Step`.
    """

    fate: Fate
    letters: tuple[DeadLetter, ...] = ()
    told: str = ""
    rules: tuple[str, ...] = ()


class Trying(Protocol):
    """Deals with a parcel's records."""

    def attempt(self, parcel: Parcel, runs: Sequence[Run]) -> Attempt:
        """Deal with *runs*, the records of *parcel*.

        Raises:
            ProviderUnavailableError: the cache is away; nothing is to be tried now.
            DeliveryError: likewise, a queue.
        """
        ...


class Applying:
    """Applies records.

    Args:
        pipeline: applies them; its dead letters must go to *tray*.
        tray: catches what can still not be applied.
        now_ms: the time, in UTC milliseconds.
    """

    def __init__(self, pipeline: Pipeline, tray: MemoryDeadLetters, now_ms: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._tray = tray
        self._now_ms = now_ms

    def attempt(self, parcel: Parcel, runs: Sequence[Run]) -> Attempt:
        """See `Trying.attempt`."""
        self._tray.letters.clear()
        applied = False
        errors: list[Exception] = []
        for source, records in as_set(runs, self._pipeline):
            # Each for itself: what fails becomes a letter of its own, and nothing is delivered again behind it.
            report = invalidator(self._pipeline, source).apply(records, source, ALONE)
            if isinstance(away := report.failure(), AWAY):
                raise away
            outcomes = [each.outcome for each in report.outcomes]
            applied = applied or Outcome.APPLIED in outcomes
            errors += [each.error for each in report.outcomes if each.error is not None]
            refused = [at for at, each in enumerate(outcomes) if each is Outcome.FAILED]
            self._refuse(
                [records[at] for at in refused], [report.outcomes[at].error for at in refused], source
            )
        if not self._tray.letters:
            return Attempt(Fate.APPLIED if applied else Fate.IGNORED)
        return Attempt(Fate.AGAIN, self._successors(parcel, errors), str(errors[0]))

    def _refuse(self, records: Sequence[Any], errors: Sequence[Exception | None], source: Any) -> None:
        for record, error in zip(records, errors, strict=True):
            refusal = RefusedEventError(f"{type(error).__name__}: the cache refused it when it was redriven")
            invalidator(self._pipeline, source).give_up([record], refusal, source)

    def _successors(self, parcel: Parcel, errors: Sequence[Exception]) -> tuple[DeadLetter, ...]:
        if parcel.letter is None:
            return tuple(self._tray.letters)
        told = self._tray.letters[0]
        again = parcel.letter.again(errors[0], rules=told.rules, at_ms=self._now_ms())
        return (again._replace(reason=told.reason, error=told.error),)


class Rehearsing:
    """Says what would happen by the rules that hold.

    Args:
        pipeline: has the rules.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def attempt(self, parcel: Parcel, runs: Sequence[Run]) -> Attempt:
        """See `Trying.attempt`."""
        del parcel
        found = [
            invalidator(self._pipeline, source).translator.translate(record, source)
            for source, records in as_set(runs, self._pipeline)
            for record in records
        ]
        rules = tuple(dict.fromkeys(rule for each in found for rule in each.rules))
        error = next((each.error for each in found if each.error), None)
        if error is not None:
            return Attempt(Fate.AGAIN, (), str(error), rules)
        falling = list(dict.fromkeys(text for each in found for text in _falling(each)))
        if not falling:
            why = next((each.ignored or each.note for each in found if each.ignored or each.note), "")
            return Attempt(Fate.IGNORED, (), why, rules)
        more = f" and {len(falling) - MOST_TOLD} more" if len(falling) > MOST_TOLD else ""
        return Attempt(Fate.APPLIED, (), ", ".join(falling[:MOST_TOLD]) + more, rules)


def invalidator(pipeline: Pipeline, source: Any) -> Invalidator:
    """Return what applies records of *source*."""
    return pipeline.due if source is DUE else pipeline.invalidator


def as_set(runs: Sequence[Run], pipeline: Pipeline) -> list[Run]:
    """Return *runs* with Kafka's records read as the settings of *pipeline* say."""
    return [(pipeline.as_set(source), records) for source, records in runs]


def _falling(found: Translated) -> Iterator[str]:
    deferred = (item.invalidation for item in found.follow_ups.deferred)
    coalesced = (item.invalidation for item in found.follow_ups.coalesced)
    for each in (*found.invalidations, *deferred, *coalesced):
        if each.clear:
            yield f"all of {each.namespace}"
        yield from each.tags
        yield from (f"key {key}" for key in each.keys)
