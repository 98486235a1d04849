"""The redriving itself: takes letters, applies them by the rules that hold now, and settles them with their store.

Theory of operation. A letter is removed only after its records were applied or ignored, and replaced, with one attempt
more, only after its successor is stored; so whoever kills this loses nothing, and what is done twice is harmless (P4).
Nothing that was settled in this run, or stored by it, is taken up again. While the cache or a queue is away nothing can
be said of any letter: the run ends, and what it holds is released. Pieces of one letter are gathered until all are
there; those of which some are missing stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import EventError
from staleproof_pipeline.consuming.feed import Gap
from staleproof_pipeline.errors import TrimmedEventError
from staleproof_pipeline.redriving import parcel as parcels
from staleproof_pipeline.redriving.letter_filter import LetterFilter
from staleproof_pipeline.redriving.parcel import Parcel
from staleproof_pipeline.redriving.step import Fate, Step
from staleproof_pipeline.redriving.store import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.gap import GapKeeper
    from staleproof_pipeline.dead_letter import DeadLetter
    from staleproof_pipeline.redriving.attempt import Attempt, Trying
    from staleproof_pipeline.redriving.parcel import Run
    from staleproof_pipeline.redriving.rereading import Rereading
    from staleproof_pipeline.redriving.store import LetterStore

EVERYTHING = LetterFilter()
GONE = frozenset({Fate.APPLIED, Fate.IGNORED, Fate.CLEARED})


class _Settled(NamedTuple):
    """What became of something in this run, and the letter that is in the store now, or was."""

    fate: Fate
    letter: DeadLetter | None


class Redriver:
    """Redrives a store.

    Args:
        store: has the letters.
        trying: applies them, or says what would happen.
        rereading: reads the records of batches again.
        dry: nothing in the store may change.
        gaps: clears what records that are gone may have changed; None leaves them.
        wanted: which letters.
        rate: letters a second at most, None for as fast as it goes.
        pause: waits so many seconds.
        clock: the source of time.
    """

    def __init__(
        self,
        store: LetterStore,
        trying: Trying,
        rereading: Rereading,
        *,
        dry: bool = False,
        gaps: GapKeeper | None = None,
        wanted: LetterFilter = EVERYTHING,
        rate: float | None = None,
        pause: Callable[[float], object],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = store
        self._trying = trying
        self._rereading = rereading
        self._dry = dry
        self._gaps = gaps
        self._wanted = wanted
        self._every = 1 / rate if rate else 0.0
        self._pause = pause
        self._clock = clock
        self._next_at = clock.monotonic()
        self._pieces: dict[str, dict[int, Held]] = {}
        self._settled: dict[str, _Settled] = {}
        self._seen_again = 0
        self._kept: list[Held] = []

    def run(self, *, limit: int | None = None, going: Callable[[], bool] = lambda: True) -> Iterator[Step]:
        """Yield what became of each letter, until there are no more, *limit* were tried, or it is not *going* on.

        Raises:
            CacheError: the store, the cache or a queue is away or refuses; what was yielded is settled.
        """
        tried = 0
        try:
            for one in self._taken(going):
                if tried == limit:
                    return
                for step in self._steps(one):
                    tried += step.fate not in {Fate.PASSED, Fate.UNREADABLE}
                    yield step
            if going():  # else the other pieces may be where nobody has looked yet
                yield from self._incomplete()
        finally:
            self._end()

    def _taken(self, going: Callable[[], bool]) -> Iterator[Held]:
        """Yield what the store has, for as long as it is *going* on; all of it is kept until it is settled."""
        while going() and self._seen_again <= len(self._settled) and (taken := self._store.take()):
            self._kept += taken
            for one in taken:
                if not going():
                    return
                yield one

    def _steps(self, one: Held) -> Iterator[Step]:
        """Deal with *one*; it yields nothing while pieces are missing, or if it was dealt with before."""
        held = self._gathered(one)
        if held is None:
            return
        try:
            parcel = parcels.read(held.texts)
        except EventError as error:
            parcel = Parcel(f"\0{held.name}", "", "")
            step = Step(held.name, Fate.UNREADABLE, told=str(error))
        else:
            step = _step(held, parcel, Fate.PASSED)
        if self._known(parcel, held):
            return
        if step.fate is Fate.PASSED and self._wanted.passes(parcel, held.texts, held.at_ms):
            self._wait()
            step = self._dealt_with(held, parcel)
        self._settled.setdefault(parcel.id, _Settled(step.fate, parcel.letter))
        yield step

    def _known(self, parcel: Parcel, held: Held) -> bool:
        """Say whether this run has dealt with it: a queue shows messages twice, and those that were stored since.

        Whoever sees nothing but such, and more of them than there are, has seen everything. Copies of what is gone go,
        and so do copies of what has a successor by now.
        """
        before = self._settled.get(parcel.id)
        known = before is not None and _payload(before.letter) == _payload(parcel.letter)
        self._seen_again = self._seen_again + 1 if known else 0
        if before is not None and known and not self._dry:
            succeeded = before.fate is Fate.AGAIN and parcel.letter != before.letter
            if before.fate in GONE or succeeded:
                self._store.remove([held])
                self._forget(held)
        return known

    def _dealt_with(self, held: Held, parcel: Parcel) -> Step:
        try:
            runs = parcel.runs if parcel.batch is None else (self._rereading.read(parcel.batch),)
        except TrimmedEventError as error:
            return self._trimmed(held, parcel, error)
        attempt = self._trying.attempt(parcel, runs)
        if not self._dry:
            self._settle(held, attempt)
        return _step(held, parcel, attempt.fate, attempt.told, runs, attempt.rules)

    def _settle(self, held: Held, attempt: Attempt) -> None:
        if attempt.fate is Fate.AGAIN:
            self._settled.update((each.id, _Settled(Fate.AGAIN, each)) for each in attempt.letters)
            self._store.replace(held, attempt.letters)
        else:
            self._store.remove([held])
        self._forget(held)

    def _trimmed(self, held: Held, parcel: Parcel, error: TrimmedEventError) -> Step:
        if self._gaps is None:
            return _step(held, parcel, Fate.TRIMMED, str(error))
        if not self._dry:
            self._gaps.close([Gap(parcel.batch.size if parcel.batch else 0, str(error))], parcel.source)
            self._store.remove([held])
            self._forget(held)
        return _step(held, parcel, Fate.CLEARED, "every namespace of the rules")

    # --- what is held ---------------------------------------------------------------------------------

    def _gathered(self, one: Held) -> Held | None:
        """Return *one*, or the letter that it is the last missing piece of; None while others are missing."""
        found = parcels.piece(one.texts[0])
        if found is None:
            return one
        name, number, of = found
        pieces = self._pieces.setdefault(name, {})
        known = pieces.get(number)
        pieces[number] = one if known is None else one._replace(receipts=(*known.receipts, *one.receipts))
        if len(pieces) < of:
            return None
        whole = list(self._pieces.pop(name).values())
        return Held(
            f"{whole[0].name} and {len(whole) - 1} more",
            tuple(each.texts[0] for each in whole),
            tuple(receipt for each in whole for receipt in each.receipts),
            whole[0].at_ms,
        )

    def _incomplete(self) -> Iterator[Step]:
        for name, pieces in self._pieces.items():
            told = f"{len(pieces)} pieces of letter {name[:64]}; the others are somewhere else, or gone"
            yield Step(next(iter(pieces.values())).name, Fate.UNREADABLE, told=told)

    def _forget(self, held: Held) -> None:
        gone = set(held.receipts)
        self._kept = [each for each in self._kept if gone.isdisjoint(each.receipts)]

    def _end(self) -> None:
        try:
            self._store.release(self._kept)
        finally:
            self._store.close()

    def _wait(self) -> None:
        now = self._clock.monotonic()
        if self._next_at > now:
            self._pause(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._every


def _payload(letter: DeadLetter | None) -> Any:
    return None if letter is None else letter.payload


def _step(
    held: Held,
    parcel: Parcel,
    fate: Fate,
    told: str = "",
    runs: Sequence[Run] = (),
    rules: tuple[str, ...] = (),
) -> Step:
    records = sum(len(found) for _, found in runs)
    return Step(held.name, fate, parcel.reason, parcel.source, records, told, rules)
