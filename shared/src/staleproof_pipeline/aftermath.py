"""Carries out what rules ask for beside an invalidation at once.

Theory of operation, for a batch. `settle` decides of coalesced invalidations which targets fall now, which are put
off and which are covered (`rules.coalescing`). Within one batch everything is applied after the last change, so the
first record that touches a target stands for the others, and they *depend* on it: if it fails, they fail. `carry_out`
comes after applying: it stores what is put off, and only what is stored covers later changes. What is above the limits
of this process is put off as well, or, where nothing keeps it, its record fails and stays in its source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from staleproof.clock import SYSTEM_CLOCK
from staleproof_pipeline.deferral import NoDeferrer
from staleproof_pipeline.errors import DeliveryError, OverLimitError
from staleproof_pipeline.followups import NONE, Deferred
from staleproof_pipeline.observer import NullObserver
from staleproof_pipeline.rules.coalescing import MemoryWindows, Verdict, decide
from staleproof_pipeline.warm_requests import NullWarmer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from staleproof.clock import Clock
    from staleproof.events import Invalidation
    from staleproof_pipeline.deferral import Deferrer
    from staleproof_pipeline.followups import Coalesced
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.purge_limit import PurgeLimit
    from staleproof_pipeline.rules.coalescing import Window, Windows
    from staleproof_pipeline.translation import Translated
    from staleproof_pipeline.warm_requests import Warmer

Target = tuple[str, str]
"""The field of an invalidation, and a text in it."""


class _Owner(NamedTuple):
    """Who stands for a target in a batch.

    Attributes:
        record: its number.
        window: the target's window once the record is dealt with.
        trailing: whether it is put off, so that the window begins to hold when it is stored.
    """

    record: int
    window: Window
    trailing: bool


class Settled(NamedTuple):
    """A batch of which every part is to be applied now or to be stored.

    Attributes:
        asked: what is to be applied, by record.
        deferred: what is to be stored, with its record's number.
        dependencies: the records that stand for a record.
        owners: who stands for which target.
        refused: records of which something is above the limits, and nothing keeps it.
    """

    asked: list[Translated]
    deferred: list[tuple[int, Deferred]]
    dependencies: dict[int, set[int]]
    owners: dict[str, _Owner]
    refused: dict[int, Exception]


class Aftermath:
    """Carries out the follow-ups of batches.

    Args:
        deferrer: keeps what is put off.
        warmer: takes requests to load again.
        windows: remembers the windows of hot tags.
        observer: hears what rules in shadow mode would have done.
        clock: the source of time.
        limit: how much is invalidated at most; what is above is put off too.
    """

    def __init__(
        self,
        deferrer: Deferrer | None = None,
        *,
        warmer: Warmer | None = None,
        windows: Windows | None = None,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
        limit: PurgeLimit | None = None,
    ) -> None:
        self._keeps = deferrer is not None
        self._limit = limit or None
        self._deferrer: Deferrer = NoDeferrer() if deferrer is None else deferrer
        self._warmer: Warmer = NullWarmer() if warmer is None else warmer
        self._windows: Windows = MemoryWindows() if windows is None else windows
        self._observer: Observer = observer or NullObserver()
        self._clock = clock

    def settle(self, asked: Sequence[Translated]) -> Settled:
        """Decide what of *asked* is applied now."""
        settled = Settled(list(asked), [], {}, {}, {})
        for number, each in enumerate(asked):
            if each.follow_ups is not NONE:
                settled.deferred.extend((number, item) for item in each.follow_ups.deferred)
                now = [self._split(number, item, settled) for item in each.follow_ups.coalesced]
                falling = (*each.invalidations, *(part for part in now if part is not None))
                settled.asked[number] = each._replace(invalidations=falling)
        if self._limit is not None:
            for number, each in enumerate(settled.asked):
                if each.invalidations:
                    settled.asked[number] = self._limited(number, each, settled, self._limit)
        return settled

    def _limited(self, number: int, asked: Translated, settled: Settled, limit: PurgeLimit) -> Translated:
        """Return what of *asked* may fall now; what may not is put off, or its record refused."""
        now: list[Invalidation] = []
        for each in asked.invalidations:
            seconds = limit.wait(each)
            if not seconds:
                now.append(each)
            elif self._keeps:
                settled.deferred.append((number, Deferred(each, max(1, round(seconds * 1_000)))))
            else:
                settled.refused[number] = OverLimitError(
                    f"above STALEPROOF_PURGE_RATE or STALEPROOF_CLEAR_RATE; next in {seconds:.1f} s"
                )
        return asked._replace(invalidations=tuple(now))

    def _split(self, number: int, item: Coalesced, settled: Settled) -> Invalidation | None:
        """Return the part of *item* that falls now, None for nothing; note what is put off, and what is covered."""
        now: list[Target] = []
        later: list[Target] = []
        delay_ms = 0
        for target in _targets(item.invalidation):
            name = _name(item, target)
            owner = settled.owners.get(name)
            if owner is not None:
                settled.dependencies.setdefault(number, set()).add(owner.record)
                continue
            decision = decide(self._windows.get(name), self._clock.now(), item.window_ms)
            if decision.verdict is Verdict.COVERED:
                continue
            trailing = decision.verdict is Verdict.TRAILING
            settled.owners[name] = _Owner(number, decision.window, trailing)
            (later if trailing else now).append(target)
            delay_ms = max(delay_ms, decision.delay_ms)
        if later:
            settled.deferred.append((number, Deferred(_part(item.invalidation, later), delay_ms)))
        return _part(item.invalidation, now) if now else None

    def carry_out(self, settled: Settled, failed: Mapping[int, Exception]) -> dict[int, Exception]:
        """Store what is put off by records that have not *failed*; return the errors of all that have by now."""
        errors = {**settled.refused, **failed}
        waiting = [(number, item) for number, item in settled.deferred if number not in errors]
        if waiting:
            stored = self._stored([item for _, item in waiting])
            errors.update(
                (number, error)
                for (number, _), error in zip(waiting, stored, strict=True)
                if error is not None
            )
        for name, owner in settled.owners.items():
            if owner.record not in errors:
                self._windows.put(name, owner.window)
        for number, owners in settled.dependencies.items():
            if number not in errors and owners & errors.keys():
                errors[number] = DeliveryError("a change of the same batch that stands for this one failed")
        self._report(settled, errors)
        return errors

    def _stored(self, items: Sequence[Deferred]) -> Sequence[Exception | None]:
        try:
            return self._deferrer.defer(items)
        except Exception as error:  # noqa: BLE001 - it must not; but the other records have their outcomes
            failure = DeliveryError(f"the deferrer raised {type(error).__name__}; report it")
            failure.__cause__ = error
            return [failure] * len(items)

    def _report(self, settled: Settled, errors: Mapping[int, Exception]) -> None:
        for number, each in enumerate(settled.asked):
            if each.follow_ups is not NONE and number not in errors:
                if each.follow_ups.warm:
                    self._warmer.request(each.follow_ups.warm)
                for invalidation in each.follow_ups.shadowed:
                    self._observer.shadowed(invalidation)


def _targets(invalidation: Invalidation) -> Iterator[Target]:
    if invalidation.clear:
        yield "clear", ""
    for field in ("tags", "keys"):
        for text in getattr(invalidation, field):
            yield field, text


def _name(item: Coalesced, target: Target) -> str:
    """A target's name in the store of windows: a soft edge does not stand for a hard change, nor a slow for a fast."""
    invalidation = item.invalidation
    return "\0".join((invalidation.namespace, str(invalidation.soft), str(item.window_ms), *target))


def _part(invalidation: Invalidation, targets: Sequence[Target]) -> Invalidation:
    """*invalidation*, of *targets* alone."""
    return msgspec.structs.replace(
        invalidation,
        clear=("clear", "") in targets,
        tags=tuple(text for field, text in targets if field == "tags"),
        keys=tuple(text for field, text in targets if field == "keys"),
    )
