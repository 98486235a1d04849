"""The use case: a batch of raw records in, every one of them applied, ignored, dead-lettered or failed.

Theory of operation. All records are translated first, which is pure. What they ask for goes to the provider in one
call per namespace and chunk, whose return is the acknowledgement: versions are gone and the journal has it. What was
applied is then handed to the links at once; that may fail, since the follower ships from the journal what the push
missed. Last, poison goes to the dead letter. A record counts as handled only when all of its parts are:

* unavailable server: this chunk and everything after it fail, and are delivered again;
* a server that is too slow for the batch: what is not begun within the budget fails likewise;
* what is put off and not stored: the record fails;
* refused chunk, or a fault that nobody foresaw: its invalidations are tried singly, and those that fail again fail
  alone;
* dead letter not stored: the record fails;
* whatever comes again with a failed record (`order`): what is behind it and follows it fails too, and poison waits for
  that delivery instead of being stored twice;
* copies of a record, and of what it asks for, are dealt with once, and share an outcome.

Every step may be repeated from the start at any point of a crash: applying is idempotent and order-free.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ProviderUnavailableError
from staleproof_pipeline.aftermath import Aftermath
from staleproof_pipeline.dead_letter import DeadLetter
from staleproof_pipeline.errors import DeliveryError, SlowCacheError
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.order import ALONE, TOGETHER
from staleproof_pipeline.report import Outcome, RecordOutcome, Report
from staleproof_pipeline.translation import Translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staleproof.clock import Clock
    from staleproof.errors import EventError
    from staleproof.events import Invalidation
    from staleproof_pipeline.dead_letter import DeadLetters
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.order import Order
    from staleproof_pipeline.providers import Providers
    from staleproof_pipeline.replication.push import Placed, Pusher
    from staleproof_pipeline.sources import RecordSource
    from staleproof_pipeline.translation import Translator

CHUNK = 500
"""Invalidations that one call hands to the provider: bounds a round trip, and what one failure takes with it."""


class Invalidator:
    """Applies batches.

    Attributes:
        translator: says what a record asks for.

    Args:
        translator: says what a record asks for.
        providers: the cache server's namespaces.
        dead_letters: where poison goes.
        pusher: hands what was applied to the links.
        observer: hears what happened.
        clock: the source of time.
        chunk: invalidations a call to the provider takes.
        aftermath: carries out what rules ask for beside: later invalidations, windows of hot tags, warm-ups.
        budget: seconds after which no further call to the provider is begun.
    """

    def __init__(
        self,
        translator: Translator,
        providers: Providers,
        dead_letters: DeadLetters,
        pusher: Pusher,
        *,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
        chunk: int = CHUNK,
        aftermath: Aftermath | None = None,
        budget: float = float("inf"),
    ) -> None:
        self.translator = translator
        self._providers = providers
        self._dead_letters = dead_letters
        self._pusher = pusher
        self._observer: Observer = observer or NullObserver()
        self._clock = clock
        self._chunk = chunk
        self._budget = budget
        self._aftermath = aftermath or Aftermath(observer=self._observer, clock=clock)

    def apply(self, records: Sequence[Any], source: RecordSource, order: Order | None = None) -> Report:
        """Deal with *records* of *source*; every one has an outcome, whatever happens.

        *order* says how they hang together; by default as the source says.
        """
        order = order or (TOGETHER if source.ordered else ALONE)
        firsts = order.firsts(records)
        if firsts is None:
            outcomes, lags = self._dealt_with(records, source, order)
        else:
            numbers = sorted(set(firsts))
            found, lags = self._dealt_with([records[at] for at in numbers], source, order)
            by_number = dict(zip(numbers, found, strict=True))
            outcomes = [by_number[at] for at in firsts]
        report = Report(records, outcomes)
        self._observer.batch(report, source.name, lags)
        return report

    def give_up(self, records: Sequence[Any], error: EventError, source: RecordSource) -> Report:
        """Send *records* to the dead letter as they are, with *error* for a reason."""
        asked = [Translated(error=error)] * len(records)
        errors = self._bury(records, asked, {}, source, ALONE)
        report = Report(records, [_outcome(each, errors.get(at)) for at, each in enumerate(asked)])
        self._observer.batch(report, source.name, [])
        return report

    def _dealt_with(
        self, records: Sequence[Any], source: RecordSource, order: Order
    ) -> tuple[list[RecordOutcome], list[int]]:
        asked = [self.translator.translate(record, source) for record in records]
        for note in dict.fromkeys(each.note for each in asked if each.note):
            self._observer.noted(note)
        settled = self._aftermath.settle(asked)
        applied, errors = self._invalidate(settled.asked)
        lags = self._lags(applied)
        self._pusher.push(applied)
        errors = self._aftermath.carry_out(settled, errors)
        errors.update(self._bury(records, asked, errors, source, order))
        if errors:
            errors.update((at, behind()) for at in order.behind(records, errors) if at not in errors)
        return [_outcome(each, errors.get(at)) for at, each in enumerate(asked)], lags

    # --- applying -----------------------------------------------------------------------------------

    def _invalidate(self, asked: Sequence[Translated]) -> tuple[list[Placed], dict[int, Exception]]:
        """Apply everything; return what was, and the error of each record of which something was not."""
        applied: list[Placed] = []
        errors: dict[int, Exception] = {}
        copies: list[tuple[int, int]] = []
        waiting = list(_chunks(asked, copies, self._chunk))
        until = self._clock.monotonic() + self._budget
        for at, (namespace, chunk) in enumerate(waiting):
            late = (
                at > 0 and self._clock.monotonic() > until
            )  # the first is always tried, so every batch gets on
            try:
                applied += self._in_time(namespace, chunk, errors, late=late)
            except (ProviderUnavailableError, SlowCacheError) as error:
                errors.update((number, error) for _, rest in waiting[at:] for number, _ in rest)
                break
        for number, first in copies:
            if first in errors:
                errors.setdefault(number, errors[first])
        return applied, errors

    def _in_time(
        self,
        namespace: str,
        chunk: Sequence[tuple[int, Invalidation]],
        errors: dict[int, Exception],
        *,
        late: bool,
    ) -> list[Placed]:
        if late:
            raise SlowCacheError(f"the cache took more than {self._budget:g} s; the rest comes again")
        return self._apply_chunk(namespace, chunk, errors)

    def _apply_chunk(
        self, namespace: str, chunk: Sequence[tuple[int, Invalidation]], errors: dict[int, Exception]
    ) -> list[Placed]:
        try:
            return self._acknowledged(namespace, [invalidation for _, invalidation in chunk])
        except ProviderUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a refusal, or a fault of ours: only the records concerned fail
            if len(chunk) == 1:
                errors[chunk[0][0]] = error
                return []
        return [placed for item in chunk for placed in self._apply_chunk(namespace, [item], errors)]

    def _acknowledged(self, namespace: str, invalidations: Sequence[Invalidation]) -> list[Placed]:
        places = self._providers.get(namespace).invalidate(invalidations)
        parts = [part for each in invalidations for part in each.parts()]
        return [(namespace, place, part) for place, part in zip(places, parts, strict=True)]

    # --- dead letters -------------------------------------------------------------------------------

    def _bury(
        self,
        records: Sequence[Any],
        asked: Sequence[Translated],
        errors: dict[int, Exception],
        source: RecordSource,
        order: Order,
    ) -> dict[int, Exception]:
        """Store what is poison; return the errors of those that stay undone."""
        poison = {at: each.error for at, each in enumerate(asked) if each.error and at not in errors}
        returning = order.returning(records, errors) if errors and poison else ()
        waiting: dict[int, Exception] = {at: behind() for at in poison if at in returning}
        letters = {
            at: self._letter(records[at], error, source) for at, error in poison.items() if at not in waiting
        }
        stored = self._stored(list(letters.values())) if letters else []
        failed = {at: error for at, error in zip(letters, stored, strict=True) if error is not None}
        return {**waiting, **failed}

    def _stored(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """Store *letters*; if that raises, which it must not, one by one, so that only those concerned fail."""
        try:
            return self._dead_letters.store(letters)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other records have their outcomes
            if len(letters) > 1:
                return [stored for each in letters for stored in self._stored([each])]
            failure = DeliveryError(f"dead letters raised {type(error).__name__}; report it")
            failure.__cause__ = error
            return [failure]

    def _letter(self, record: Any, error: Exception, source: RecordSource) -> DeadLetter:
        return DeadLetter.about(
            record,
            error,
            source=source.name,
            rules=self.translator.rules.digest,
            region=self.translator.region,
            at_ms=int(self._clock.wall() * 1_000),
        )

    def _lags(self, applied: Sequence[Placed]) -> list[int]:
        now = int(self._clock.wall() * 1_000)
        changed = [part.cause.changed_ms for _, _, part in applied]
        return [max(0, now - each) for each in changed if each]


def behind() -> DeliveryError:
    """Return the error of a record that has to come again with one before it."""
    return DeliveryError("a record before it failed")


def _chunks(
    asked: Sequence[Translated], copies: list[tuple[int, int]], size: int
) -> Iterator[tuple[str, list[tuple[int, Invalidation]]]]:
    """Yield what is to be applied; a record that asks for what another one does is noted among *copies*."""
    namespaces: dict[str, list[tuple[int, Invalidation]]] = defaultdict(list)
    seen: dict[str, list[tuple[int, Invalidation]]] = {}
    for number, each in enumerate(asked):
        for invalidation in each.invalidations:
            known = seen.setdefault(invalidation.id, [])
            first = next((at for at, other in known if _alike(invalidation, other)), None)
            if first is None:
                known.append((number, invalidation))
                namespaces[invalidation.namespace].append((number, invalidation))
            elif first != number:
                copies.append((number, first))
    for namespace, items in namespaces.items():
        for start in range(0, len(items), size):
            yield namespace, items[start : start + size]


def _alike(one: Invalidation, other: Invalidation) -> bool:
    """Whether both do the same, whenever they were derived."""
    return one == other or msgspec.structs.replace(one, at_ms=other.at_ms) == other


def _outcome(asked: Translated, error: Exception | None) -> RecordOutcome:
    if error is not None:
        return RecordOutcome(Outcome.FAILED, error)
    if asked.error is not None:
        return RecordOutcome(Outcome.DEAD_LETTERED, asked.error)
    later = asked.follow_ups.deferred or asked.follow_ups.coalesced
    return RecordOutcome(Outcome.APPLIED if asked.invalidations or later else Outcome.IGNORED)
