"""The measurement finds a ratio that is known, whatever the machine does meanwhile. All time here is a number."""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING

import pytest

from benchmarks.measurement import (
    LEAST_PAIRS,
    SAMPLE_NS,
    SAMPLES,
    Subject,
    calibrated,
    compare,
    repeated,
    slices,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Machine:
    """Nanoseconds that pass only when something works; *load* says how slow the machine is at an instant."""

    def __init__(self, load: Callable[[float], float] = lambda _: 1.0) -> None:
        self.now = 0.0
        self._load = load

    def clock(self) -> int:
        return round(self.now)

    def work(self, nanoseconds: float) -> None:
        self.now += nanoseconds * self._load(self.now)


def worker(machine: Machine, nanoseconds: float) -> Subject:
    return Subject(repeated(lambda: machine.work(nanoseconds)))


def test_an_operation_that_calls_another_twice_takes_twice_as_long() -> None:
    """On a machine without noise the ratio is exact, and the figures are microseconds an operation."""
    machine = Machine()

    def once() -> None:
        machine.work(3_000)

    def twice() -> None:
        once()
        once()

    measured = compare(Subject(repeated(twice)), Subject(repeated(once)), seconds=0.01, clock=machine.clock)

    assert measured.ratio == pytest.approx(2.0)
    assert (measured.ours, measured.reference) == pytest.approx((6.0, 3.0))


def test_preemptions_do_not_move_the_ratio() -> None:
    """Every tenth piece of work is interrupted for a millisecond: the medians do not see it."""
    noise = random.Random(5)
    machine = Machine(lambda _: 300.0 if noise.random() < 0.1 else 1.0)
    one = Subject(repeated(lambda: machine.work(3_000)), number=1)
    two = Subject(repeated(lambda: machine.work(6_000)), number=1)

    assert compare(two, one, seconds=0.5, clock=machine.clock).ratio == pytest.approx(2.0)


def test_a_slow_spell_does_not_move_the_ratio() -> None:
    """A machine that is three times slower for half of the run slows both alike: pairs cancel it."""
    machine = Machine(lambda now: 3.0 if now > 2e8 else 1.0)
    measured = compare(worker(machine, 6_000), worker(machine, 3_000), seconds=0.4, clock=machine.clock)

    assert measured.ratio == pytest.approx(2.0, abs=0.01)


def test_noise_that_drifts_does_not_move_the_ratio() -> None:
    """A load that wanders all the time moves neighbours alike."""
    noise = random.Random(7)
    level = [1.0]

    def wander(_now: float) -> float:
        level[0] = min(4.0, max(1.0, level[0] * noise.uniform(0.99, 1.0101)))
        return level[0]

    machine = Machine(wander)
    measured = compare(worker(machine, 2_500), worker(machine, 2_000), seconds=0.4, clock=machine.clock)

    assert measured.ratio == pytest.approx(1.25, rel=0.03)


def test_a_sample_takes_long_enough_for_the_clock() -> None:
    """A fast operation is repeated until a sample takes what the clock's own cost is nothing to."""
    machine = Machine()
    found = calibrated(worker(machine, 50), machine.clock)

    assert SAMPLE_NS <= found.number * 50 < 2 * SAMPLE_NS


def test_a_given_number_is_kept() -> None:
    """An operation that uses something up is done exactly as often as was prepared for."""
    machine = Machine()

    assert calibrated(worker(machine, 50)._replace(number=1), machine.clock).number == 1


def test_each_sample_is_prepared_outside_of_its_time() -> None:
    """What `prepare` costs is not measured, and it comes before every sample, the warm-up included."""
    machine = Machine()
    ready = 0

    def prepare(number: int) -> None:
        nonlocal ready
        ready += number
        machine.work(50_000)

    def use(number: int) -> None:
        nonlocal ready
        ready -= number
        machine.work(1_000 * number)

    ours = Subject(use, prepare=prepare, number=4)
    measured = compare(ours, worker(machine, 1_000), seconds=0.01, clock=machine.clock)

    assert ready == 0
    assert measured.ratio == pytest.approx(1.0)


def test_slices_take_turns_in_an_order_that_is_drawn() -> None:
    """Each pair has a slice of both; neither always goes first."""
    machine = Machine()
    ran: list[str] = []

    def subject(name: str) -> Subject:
        def run(number: int) -> None:
            ran.append(name)
            machine.work(50_000 * number)

        return Subject(run, number=1)

    pairs = slices(subject("ours"), subject("reference"), seconds=0.05, clock=machine.clock)
    turns = ran[2 * SAMPLES :: SAMPLES]  # the first two are warm-ups

    assert len(turns) == 2 * len(pairs)
    assert {tuple(turns[at : at + 2]) for at in range(0, len(turns), 2)} == {
        ("ours", "reference"),
        ("reference", "ours"),
    }


def test_a_run_ends_in_time_but_not_before_a_few_pairs() -> None:
    """The time is a bound that only very slow operations pass, since a median of one pair is none."""
    machine = Machine()
    quick = compare(worker(machine, 50_000), worker(machine, 50_000), seconds=0.1, clock=machine.clock)
    assert machine.now < 0.12e9
    assert quick.pairs > LEAST_PAIRS

    slow = compare(worker(machine, 1e9), worker(machine, 1e9), seconds=0.1, clock=machine.clock)
    assert slow.pairs == LEAST_PAIRS


def test_the_collector_rests_inside_a_slice() -> None:
    """No collection falls into a measured slice, and it is on again afterwards, also after an error."""
    machine = Machine()
    seen: set[bool] = set()

    def run(number: int) -> None:
        seen.add(gc.isenabled())
        machine.work(50_000 * number)

    def broken(_number: int) -> None:
        raise OSError("gone")

    slices(Subject(run, number=1), Subject(run, number=1), seconds=0, clock=machine.clock)
    assert gc.isenabled()
    assert False in seen

    with pytest.raises(OSError, match="gone"):
        compare(Subject(broken, number=1), worker(machine, 1_000), seconds=0, clock=machine.clock)
    assert gc.isenabled()
