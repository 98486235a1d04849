"""Single flight among threads: one load of a key in a process, shared, and never too old for who asked."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from staleproof import Cache, Policy, loading
from staleproof.cache import plans
from staleproof.cache.commands import Fly, Landed
from staleproof.cache.flights import Flights
from staleproof.policies.judgement import Miss
from staleproof.policies.policy import DEFAULT_POLICY
from staleproof.providers.memory import MemoryProvider
from staleproof.testing import ManualClock
from tests.unit.flight_stand import LIMIT, Boardings, Caller, Gate

CROWD = 12


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryProvider("flights"))


def crowd(cache: Cache, gate: Any, others: int = CROWD - 1) -> list[Caller]:
    """Start callers of one key, the first of whom leads, and wait until all are aboard."""
    boardings = Boardings(cache)
    callers = [Caller(lambda: cache.get_or_load("k", gate, tags=["t"]))]
    gate.wait_entered()
    callers += [Caller(lambda: cache.get_or_load("k", gate, tags=["t"])) for _ in range(others)]
    boardings.wait_for(others)
    return callers


def test_a_crowd_loads_once(cache: Cache) -> None:
    """All who ask while a load is under way get its value, and it is loaded once."""
    gate = Gate()
    callers = crowd(cache, gate)
    gate.open()
    assert [each.result() for each in callers] == [1] * CROWD
    assert gate.calls == 1
    assert len(cache.driver.flights) == 0


def test_a_failure_is_shared(cache: Cache) -> None:
    """Everybody aboard gets the loader's exception, and the next caller loads again."""
    failure = LookupError("from the application")

    def answer(number: int) -> int:
        if number == 1:
            raise failure
        return number

    gate = Gate(answer)
    callers = crowd(cache, gate)
    gate.open()
    for each in callers:
        with pytest.raises(LookupError) as raised:
            each.result()
        assert raised.value.args == failure.args
    assert gate.calls == 1
    assert cache.get_or_load("k", gate) == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_shared(cache: Cache, interruption: type[BaseException]) -> None:
    """It ends the caller that it struck; another of those aboard loads instead, once."""

    def answer(number: int) -> int:
        if number == 1:
            raise interruption
        return number

    gate = Gate(answer)
    first, *others = crowd(cache, gate)
    gate.open()
    with pytest.raises(interruption):
        first.result()
    assert [each.result() for each in others] == [2] * (CROWD - 1)
    assert gate.calls == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_of_a_load_in_a_thread_of_its_own_reaches_its_caller(
    interruption: type[BaseException],
) -> None:
    """With a time-out the load runs elsewhere; what interrupts it there is raised here, once."""
    cache = Cache(MemoryProvider("flights"), policy=Policy(hard_timeout=LIMIT))
    calls = []

    def load() -> int:
        calls.append(1)
        raise interruption

    with pytest.raises(interruption):
        cache.get_or_load("k", load)
    assert len(calls) == 1


def test_who_asks_after_an_invalidation_gets_no_older_load(cache: Cache) -> None:
    """A load that began before an acknowledged invalidation answers only those who asked before it."""
    source = [1]
    started, opened = threading.Event(), threading.Event()

    def load() -> int:
        value = source[0]
        if not started.is_set():
            started.set()
            assert opened.wait(LIMIT)
        return value

    boardings = Boardings(cache)
    before = Caller(lambda: cache.get_or_load("k", load, tags=["t"]))
    assert started.wait(LIMIT)
    source[0] = 2
    cache.invalidate("t")
    after = [Caller(lambda: cache.get_or_load("k", load, tags=["t"])) for _ in range(3)]
    boardings.wait_for(3)
    opened.set()
    assert before.result() == 1
    assert [each.result() for each in after] == [2] * 3
    assert cache.get("k", tags=["t"]) == 2


def test_a_value_that_is_not_stored_is_shared_by_those_who_came_before_its_load(cache: Cache) -> None:
    """A crowd after a key that cannot be stored loads a few times, not once each: nobody gets what began too early."""
    gate = Gate()

    def load() -> Any:
        loading().skip()
        return gate()

    boardings = Boardings(cache)
    callers = [Caller(lambda: cache.get_or_load("k", load))]
    gate.wait_entered()
    callers += [Caller(lambda: cache.get_or_load("k", load)) for _ in range(CROWD - 1)]
    boardings.wait_for(CROWD - 1)
    gate.open()
    values = [each.result() for each in callers]
    assert values[0] == 1
    assert all(value > 1 for value in values[1:])
    assert len(cache.driver.flights) == 0


# --- loads within loads -----------------------------------------------------------------------------


def test_a_load_within_a_load(cache: Cache) -> None:
    """A loader may call another cached function; each is loaded once for a crowd of both."""
    inner, calls = Gate(lambda _: 10), []

    def outer() -> int:
        calls.append(1)
        value: int = cache.get_or_load("inner", inner)
        return value + 1

    boardings = Boardings(cache)
    callers = [Caller(lambda: cache.get_or_load("outer", outer)) for _ in range(4)]
    inner.wait_entered()
    boardings.wait_for(3)
    callers.append(Caller(lambda: cache.get_or_load("inner", inner)))
    boardings.wait_for(4)
    inner.open()
    assert [each.result() for each in callers] == [11] * 4 + [10]
    assert (inner.calls, len(calls)) == (1, 1)


def test_a_loader_that_asks_for_its_own_key(cache: Cache) -> None:
    """It waits for nobody: it loads for itself, unstored, and the outer load is what is kept."""
    depth = []

    def load() -> int:
        depth.append(1)
        if len(depth) > 1:
            return 1
        value: int = cache.get_or_load("k", load)
        return value + 1

    assert Caller(lambda: cache.get_or_load("k", load)).result() == 2
    assert cache.get("k") == 2
    assert cache.statistics.unstored == {"recursion": 1}


def test_two_keys_that_load_each_other() -> None:
    """Two threads that wait for one another's load give up after their patience, and both answer."""
    cache = Cache(MemoryProvider("flights"), policy=Policy(patience=0.05))
    both = threading.Barrier(2)
    depth = threading.local()

    def load(other: str, back: str) -> int:
        depth.now = getattr(depth, "now", 0) + 1
        if depth.now == 1:
            both.wait(LIMIT)
        if depth.now > 2:
            return 0
        value: int = cache.get_or_load(other, lambda: load(back, other))
        return value + 1

    callers = [
        Caller(lambda: cache.get_or_load("a", lambda: load("b", "a"))),
        Caller(lambda: cache.get_or_load("b", lambda: load("a", "b"))),
    ]
    assert all(each.result() >= 1 for each in callers)
    assert len(cache.driver.flights) == 0


# --- loads that do not end --------------------------------------------------------------------------


def test_a_load_that_hangs_keeps_a_key_busy_for_a_while_only() -> None:
    """Past patience and lease nobody joins it any more: the next caller takes over, and stores."""
    clock = ManualClock()
    cache = Cache(MemoryProvider("flights", clock=clock), clock=clock)
    gate = Gate()
    hanging = Caller(lambda: cache.get_or_load("k", gate))
    gate.wait_entered()
    clock.advance(DEFAULT_POLICY.patience + DEFAULT_POLICY.lease + 1)
    assert Caller(lambda: cache.get_or_load("k", lambda: 7)).result() == 7
    assert cache.get("k") == 7
    gate.open()
    assert hanging.result() == 1
    assert cache.get("k") == 7
    assert cache.statistics.unstored == {"lease": 1}


def test_a_reader_outwaits_a_dead_holder_by_default() -> None:
    """The default patience is longer than the default lease, so a crowd is spared when its leaseholder dies."""
    assert DEFAULT_POLICY.patience > DEFAULT_POLICY.lease


def test_who_joins_is_more_patient_than_who_leads(cache: Cache) -> None:
    """A leader may wait for another process first, and load then; a crowd that gave up sooner would load beside him."""
    call = cache.call("k")
    plan = plans.load_once(cache.core, call, Miss("absent", None), None)
    command = next(plan)
    assert isinstance(command, Fly)
    assert command.patience >= 2 * call.policy.patience
    plan.close()


# --- forks ------------------------------------------------------------------------------------------


def test_a_fork_during_a_flight() -> None:
    """Those who flew are threads of the parent: the child begins with no flights, and waits for none."""
    cache = Cache(MemoryProvider("flights"), policy=Policy(patience=0))
    gate = Gate()
    caller = Caller(lambda: cache.get_or_load("k", gate))
    gate.wait_entered()
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        right = len(cache.driver.flights) == 0 and cache.get_or_load("k", lambda: 5) == 5
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    gate.open()
    assert caller.result() == 1
    assert cache.get("k") == 1


def test_a_loader_that_forks(cache: Cache) -> None:
    """The load ends twice, once in each process, and neither has a flight left."""
    children: list[int] = []

    def load() -> int:
        children.append(os.fork())
        return 5

    value = cache.get_or_load("k", load)
    if not children[0]:
        os._exit(0 if value == 5 and len(cache.driver.flights) == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert value == 5
    assert len(cache.driver.flights) == 0


@pytest.mark.parametrize("held", ["flights", "workers"])
def test_a_lock_that_was_held_at_the_fork(cache: Cache, held: str) -> None:
    """Whichever of the parent's threads held a lock, the child loads."""
    lock = getattr(cache.driver, held)._lock
    with lock:
        pid = os.fork()
        if not pid:
            signal.alarm(20)
            bounded = Policy(hard_timeout=LIMIT)
            os._exit(0 if cache.get_or_load("k", lambda: 5, policy=bounded) == 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# --- the tower --------------------------------------------------------------------------------------


def test_whose_value_is_new_enough() -> None:
    """A joiner has a flight's value exactly if the leader's last question came after he boarded."""
    flights = Flights()
    leader = flights.board("k")
    early = flights.board("k")
    leader.flight.ask()
    between = flights.board("k")
    leader.flight.ask()
    late = flights.board("k")
    flights.land("k", leader.flight, "value")
    outcomes = [leader.flight.outcome(each.number) for each in (early, between, late)]
    assert [isinstance(each, Landed) for each in outcomes] == [True, True, False]
    assert flights.board("k").leads
