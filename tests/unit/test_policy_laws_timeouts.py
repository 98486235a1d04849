"""Laws of time-outs: how long a load may take before something else is served, or an error is raised."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import LoadTimeoutError, Policy
from tests.unit.flight_stand import LIMIT, Caller, Gate
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["portal", "stand"]

SHORT = 0.03
"""A time-out that a test lets pass."""


def in_time(it: Stand, load: Callable[[], Any], **options: Any) -> Any:
    """Read, and see to it that it does not take much longer than the time-out."""
    began = time.monotonic()
    try:
        return it.read(load, **options)
    finally:
        assert time.monotonic() - began < LIMIT / 2


def test_a_slow_load_raises_and_goes_on(stand: Callable[..., Stand]) -> None:
    """Past `hard_timeout` its caller is told to retry; what it brings late is stored for the next one."""
    it = stand(hard_timeout=SHORT)
    gate = Gate()
    with pytest.raises(LoadTimeoutError, match=r"longer than hard_timeout=0\.03 s; retry"):
        in_time(it, gate)
    gate.open()
    it.settle()
    assert it.read(gate) == 1
    assert gate.calls == 1
    assert (it.statistics.timeouts, it.statistics.stored) == (1, 1)


def test_a_load_in_time_is_as_any_other(stand: Callable[..., Stand]) -> None:
    """With room enough a time-out changes nothing: the value, the loader's own exception, one load for a crowd."""
    it = stand(hard_timeout=LIMIT)
    assert it.read() == 1
    failure = it.source.failure = LookupError("from the application")
    with pytest.raises(LookupError) as raised:
        it.read(key="other")
    assert raised.value is failure
    gate = Gate(lambda _: "shared")
    callers = [Caller(lambda: it.read(gate, key="crowd")) for _ in range(5)]
    gate.wait_entered()
    gate.open()
    assert [each.result() for each in callers] == ["shared"] * 5
    assert gate.calls == 1


def test_everybody_aboard_has_a_time_out_of_his_own(stand: Callable[..., Stand]) -> None:
    """Who joins a load gives up at his policy's time, whoever leads it."""
    it = stand()
    gate = Gate()
    leader = Caller(lambda: it.read(gate))
    gate.wait_entered()
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate, policy=Policy(hard_timeout=SHORT))
    gate.open()
    assert leader.result() == 1


def test_a_stale_value_stands_in_for_a_slow_load(stand: Callable[..., Stand]) -> None:
    """Past `soft_timeout` the old value is served if there is one; the load goes on, and is stored."""
    it = stand(ttl=10, stale_if_error=60, soft_timeout=SHORT)
    it.read()
    it.clock.advance(11)
    gate = Gate(lambda _: 2)
    assert in_time(it, gate) == 1
    assert dict(it.statistics.stale_served) == {"slow": 1}
    gate.open()
    it.settle()
    assert it.read(gate) == 2
    assert gate.calls == 1


def test_without_a_stale_value_a_soft_time_out_is_none(stand: Callable[..., Stand]) -> None:
    """There is nothing else to serve: the reader waits."""
    it = stand(soft_timeout=SHORT)
    gate = Gate()
    caller = Caller(lambda: it.read(gate))
    gate.wait_entered()
    caller.thread.join(3 * SHORT)
    assert caller.thread.is_alive()
    gate.open()
    assert caller.result() == 1


@pytest.mark.parametrize(("soft", "hard"), [(SHORT, LIMIT), (LIMIT, SHORT)])
def test_the_first_of_both_counts(stand: Callable[..., Stand], soft: float, hard: float) -> None:
    """A stale value is served at whichever comes first."""
    it = stand(ttl=10, stale_if_error=60, soft_timeout=soft, hard_timeout=hard)
    it.read()
    it.clock.advance(11)
    gate = Gate(lambda _: 2)
    assert in_time(it, gate) == 1
    gate.open()
    it.settle()


def test_loads_that_hang_keep_no_other_key_waiting(stand: Callable[..., Stand]) -> None:
    """However many hang, a load of another key begins at once."""
    it = stand(hard_timeout=SHORT)
    gate = Gate()
    callers = [Caller(lambda key=str(n): it.read(gate, key=key)) for n in range(20)]  # type: ignore[misc]
    for _ in callers:
        gate.wait_entered()
    assert it.read(lambda: "at once", key="other", policy=Policy(hard_timeout=LIMIT)) == "at once"
    for each in callers:
        with pytest.raises(LoadTimeoutError):
            each.result()
    gate.open()
    it.settle()


def test_a_load_for_oneself_has_the_same_time(stand: Callable[..., Stand]) -> None:
    """Who has lost patience with another process loads for himself, and no longer than the time-out allows."""
    it = stand(hard_timeout=3 * SHORT, patience=0)
    it.take_lease()
    gate = Gate()
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate)
    gate.open()
    it.settle()


def test_waiting_for_another_process_counts(stand: Callable[..., Stand]) -> None:
    """The time-out is for the answer, whatever it waits for."""
    it = stand(hard_timeout=SHORT, patience=3_600)
    it.take_lease()
    with pytest.raises(LoadTimeoutError):
        in_time(it, it.source)
    assert it.source.calls == 0
    it.memory.release("k", b"somebody")
    it.settle()
    assert it.read() == 1


def test_a_time_out_holds_inside_a_load(stand: Callable[..., Stand]) -> None:
    """An inner load that is too slow fails the outer one, and leaves the context as it was."""
    it = stand()
    gate, bounded = Gate(), Policy(hard_timeout=SHORT)
    with pytest.raises(LoadTimeoutError):
        it.read(lambda: it.read(gate, policy=bounded), key="outer")
    gate.open()
    it.settle()
    assert it.read(lambda: it.read() + 10, key="outer") == 11


@pytest.mark.parametrize("where", ["server", "function"])
def test_a_time_out_holds_wherever_it_runs(
    stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """In a Lambda function too, where waiting is paid for."""
    if where == "function":
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "handler")
    it = stand(hard_timeout=SHORT)
    gate = Gate()
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate)
    gate.open()
    it.settle()


def test_a_time_out_holds_while_the_server_is_away(stand: Callable[..., Stand]) -> None:
    """The loader may be slow then, too."""
    it = stand(hard_timeout=SHORT)
    it.server.go()
    gate = Gate()
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate)
    gate.open()
    it.settle()


def test_a_late_load_is_not_stored_over_an_invalidation(stand: Callable[..., Stand]) -> None:
    """What it read may be wrong by now: its versions tell."""
    it = stand(hard_timeout=SHORT)
    gate = Gate(lambda _: "too old")
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate)
    it.cache.invalidate("t")
    gate.open()
    it.settle()
    assert it.read(lambda: "new") == "new"


def test_a_late_load_that_fails_is_nobody_else_s(stand: Callable[..., Stand]) -> None:
    """Its caller has gone; the next one loads anew."""
    it = stand(hard_timeout=SHORT)

    def fail(_: int) -> Any:
        raise LookupError("late")

    gate = Gate(fail)
    with pytest.raises(LoadTimeoutError):
        in_time(it, gate)
    gate.open()
    it.settle()
    assert it.read(policy=Policy()) == 1
    assert it.statistics.load_failures == 1


def test_no_thread_is_left_behind(stand: Callable[..., Stand]) -> None:
    """A load in a thread of its own ends with it."""
    it = stand(hard_timeout=LIMIT)
    for number in range(50):
        it.read(key=str(number))
    names = [thread.name for thread in threading.enumerate() if thread.is_alive()]
    assert names.count("staleproof-load") <= 1
