"""Measurement: how long one operation takes, as a ratio to a reference that is measured in the same moments.

Theory of operation
-------------------
A machine that other processes use gives no absolute figures: what took 50 µs a second ago takes 90 µs now. So nothing
is measured alone. A *slice* of one subject is followed at once by a slice of the other; which goes first is drawn anew
for each pair, so that neither profits from what the other left in the processor's caches. A slice is a few *samples*, a
sample one timing of enough operations that the clock's own cost does not count.

Noise only ever adds time, and it comes in two kinds. A *preemption* hits one sample: the median of a slice's
samples drops it. A *slow spell* (a neighbour's build) lasts for many slices and hits both subjects alike: it cancels
in the quotient of a pair, because the two slices of a pair lie some milliseconds apart. The median over all pairs then
drops the pairs at a spell's edge. The quotient of the two overall medians does not have this property: a spell that
covers half of the run may leave one median inside it and the other outside. Both were compared on a busy machine,
see `docs/operations/benchmarks.md`.

The garbage collector is off inside a slice and runs between slices, so that no subject pays for the other's litter.
Only the standard library is used, since the peers run this in an environment of their own.
"""

from __future__ import annotations

import gc
import random
import time
from contextlib import contextmanager
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLE_NS = 40_000
"""What a sample takes at least, where the operation may be repeated: a thousand times the clock's own cost."""

SAMPLES = 9
"""Samples a slice: the median survives four preemptions."""

LEAST_PAIRS = 7
MAX_NUMBER = 1 << 20


def _nothing(number: int, /) -> None:
    """Prepare nothing."""


class Subject(NamedTuple):
    """One of the two things that are compared.

    Attributes:
        run: does the operation so many times.
        prepare: called untimed before each sample with the same number, to put back what `run` uses up.
        number: operations a sample; 0 finds a number that takes `SAMPLE_NS`.
        samples: samples a slice.
        least: operations a sample at least, where a number is found.
    """

    run: Callable[[int], object]
    prepare: Callable[[int], object] = _nothing
    number: int = 0
    samples: int = SAMPLES
    least: int = 1


class Comparison(NamedTuple):
    """What was measured.

    Attributes:
        ours: median of our slices, microseconds an operation.
        reference: median of the reference's slices, microseconds an operation.
        ratio: median over the pairs of ours ÷ reference.
        pairs: how many pairs of slices there were.
    """

    ours: float
    reference: float
    ratio: float
    pairs: int


def repeated(operation: Callable[[], object]) -> Callable[[int], None]:
    """Return a function that calls *operation* so many times."""

    def run(number: int) -> None:
        for _ in repeat(None, number):
            operation()

    return run


def compare(
    ours: Subject,
    reference: Subject,
    *,
    seconds: float,
    clock: Callable[[], int] = time.perf_counter_ns,
    seed: int = 1,
) -> Comparison:
    """Measure both for *seconds*, preparation included, and at least `LEAST_PAIRS` pairs.

    Args:
        ours: what the goal is about.
        reference: what it is divided by.
        seconds: how long to measure.
        clock: nanoseconds from some start.
        seed: of the order within pairs.
    """
    pairs = slices(ours, reference, seconds=seconds, clock=clock, seed=seed)
    return Comparison(
        ours=median(mine for mine, _ in pairs) / 1_000,
        reference=median(theirs for _, theirs in pairs) / 1_000,
        ratio=median(mine / theirs for mine, theirs in pairs),
        pairs=len(pairs),
    )


def slices(
    ours: Subject,
    reference: Subject,
    *,
    seconds: float,
    clock: Callable[[], int] = time.perf_counter_ns,
    seed: int = 1,
) -> list[tuple[float, float]]:
    """Return pairs of slices, nanoseconds an operation: ours, reference."""
    subjects = calibrated(ours, clock), calibrated(reference, clock)
    order = random.Random(seed)
    pairs: list[tuple[float, float]] = []
    end = clock() + seconds * 1e9
    while clock() < end or len(pairs) < LEAST_PAIRS:
        first = order.randrange(2)
        taken = {each: one_slice(subjects[each], clock) for each in (first, 1 - first)}
        pairs.append((taken[0], taken[1]))
    return pairs


def calibrated(subject: Subject, clock: Callable[[], int] = time.perf_counter_ns) -> Subject:
    """Return *subject* with a number of operations a sample; it has run a few times by then, so it is warm."""
    if subject.number:
        for _ in range(subject.samples):
            sample(subject, clock)
        return subject
    number = subject.least
    while number < MAX_NUMBER:
        trial = subject._replace(number=number)
        if min(sample(trial, clock) for _ in range(3)) * number >= SAMPLE_NS:
            break
        number *= 2
    return subject._replace(number=number)


def one_slice(subject: Subject, clock: Callable[[], int]) -> float:
    """Return the median of one slice's samples, in nanoseconds an operation."""
    with collector_paused():
        return median(sample(subject, clock) for _ in range(subject.samples))


def sample(subject: Subject, clock: Callable[[], int]) -> float:
    """Time one sample, in nanoseconds an operation."""
    subject.prepare(subject.number)
    start = clock()
    subject.run(subject.number)
    return (clock() - start) / subject.number


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect now, cheaply, and not again before the end of the block."""
    gc.collect(0)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
