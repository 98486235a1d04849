"""Laws of a server that is away: fallbacks, the breaker, deferred invalidations, and what is right afterwards."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import MISSING, Cache, ProviderRejectedError, ProviderUnavailableError, depends
from staleproof.cache.deferred import MAX_RECORDS, Deferred
from staleproof.errors import CircuitOpenError
from staleproof.policies.breaker import Breaker
from staleproof.providers.memory import MemoryProvider
from tests.unit.flight_stand import Caller, Gate
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["portal", "stand"]

READS = ["read", "read_following", "journal", "journal_end"]
WRITES = ["begin", "snapshot", "store", "release", "expire"]
STEPS: list[tuple[str, type[Exception]]] = [(step, ProviderUnavailableError) for step in READS + WRITES]
STEPS += [(step, ProviderRejectedError) for step in WRITES]
"""A server that refuses to be read is to be repaired: that is raised, and has no law here."""

NEAR = pytest.mark.parametrize("staleness", [None, 0, 5], ids=["no copies", "strict", "bounded"])

# --- load -------------------------------------------------------------------------------------------


@NEAR
def test_without_the_server_the_loader_answers(stand: Callable[..., Stand], staleness: Any) -> None:
    """By default no exception reaches a reader; nothing is stored, and each fallback is counted."""
    it = stand(staleness=staleness)
    it.server.go()
    for value in (1, 2):
        it.source.value = value
        assert it.read() == value
    it.server.come()
    it.source.value = 3
    assert it.read() == 3
    assert dict(it.statistics.fallbacks) == {"load": 2}
    assert it.statistics.misses["unreachable"] == 2
    assert dict(it.statistics.unstored) == {"provider": 2}


def test_a_crowd_without_the_server_loads_once(stand: Callable[..., Stand]) -> None:
    """Single flight needs no server: those who came before the load began share it."""
    it = stand()
    it.server.go()
    gate = Gate(lambda _: "value")
    callers = [Caller(lambda: it.read(gate)) for _ in range(8)]
    gate.wait_entered()
    gate.open()
    assert [each.result() for each in callers] == ["value"] * 8
    assert gate.calls <= 8
    assert it.statistics.loads == gate.calls


def test_a_loader_that_asks_for_its_own_key_waits_for_nobody(stand: Callable[..., Stand]) -> None:
    """Without the server, too, it is known to be inside."""
    it = stand(patience=3_600)
    it.server.go()
    depth: list[int] = []

    def load() -> int:
        depth.append(1)
        value: int = 1 if len(depth) > 1 else it.read(load) + 1
        return value

    assert Caller(lambda: it.read(load)).result() == 2


@pytest.mark.parametrize(("step", "error"), STEPS)
@pytest.mark.parametrize("staleness", [None, 0])
def test_a_server_that_fails_in_any_step_fails_no_reader(
    stand: Callable[..., Stand], step: str, staleness: Any, error: type[Exception]
) -> None:
    """Whatever it does not answer, before, during or after the load, the reader has the value of his loader."""
    it = stand(idle=8, staleness=staleness)

    def load() -> Any:
        depends("late")
        return it.source()

    for after in (0, 9):
        it.clock.advance(after)
        it.server.go(error, only={step})
        assert it.read(load, tags_from=lambda _: ["later"]) == 1
        it.server.come()
        assert it.read(load, tags_from=lambda _: ["later"]) == 1
        it.clock.advance(2)


def test_a_lease_that_a_hanging_server_granted_late_is_given_back(stand: Callable[..., Stand]) -> None:
    """It took the lease and never answered: the next load of the key here waits for nobody."""
    it = stand(lease=3_600, patience=3_600)
    begin = it.memory.begin

    def granted_late(*args: Any, **options: Any) -> Any:
        begin(*args, **options)
        raise ProviderUnavailableError("no answer within the timeout")

    it.memory.begin = granted_late  # type: ignore[method-assign]
    assert it.read() == 1
    assert it.lease() is not None
    it.memory.begin = begin  # type: ignore[method-assign]
    assert Caller(it.read).result() == 1
    assert it.lease() is None
    assert it.statistics.stored == 1


# --- error ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["read", "begin"])
def test_a_policy_may_want_an_error(stand: Callable[..., Stand], step: str) -> None:
    """`fallback="error"` spares a source that could not bear all readers: they are told to retry."""
    it = stand(fallback="error")
    it.server.go(only={step})
    with pytest.raises(ProviderUnavailableError):
        it.read()
    assert it.source.calls == 0
    assert dict(it.statistics.fallbacks) == {"error": 1}
    it.server.come()
    assert it.read() == 1


def test_a_load_that_is_done_is_not_thrown_away(stand: Callable[..., Stand]) -> None:
    """With `fallback="error"`, too, a server that cannot store costs a miss later, never this answer."""
    it = stand(fallback="error")
    it.server.go(only={"store", "snapshot"})
    assert it.read(tags_from=lambda _: ["late"]) == 1


# --- stale ------------------------------------------------------------------------------------------


def test_a_copy_in_the_process_stands_in(stand: Callable[..., Stand]) -> None:
    """With `fallback="stale"` a copy is served that was right at most `stale_if_error` ago; then the loader answers."""
    it = stand(ttl="1h", fallback="stale", stale_if_error=30)
    it.read()
    it.read()
    it.server.go()
    it.source.value = 2
    for after in (0, 29):
        it.clock.advance(after)
        assert it.read() == 1
    it.clock.advance(2)
    assert it.read() == 2
    assert dict(it.statistics.fallbacks) == {"stale": 2, "load": 1}


def test_many_keys_fall_back_one_by_one(stand: Callable[..., Stand]) -> None:
    """What has a copy is served from it, the rest is loaded in one call."""
    it = stand(ttl="1h", fallback="stale", stale_if_error=30)
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, str]:
        asked.append(sorted(keys))
        return {key: f"{key}{len(asked)}" for key in keys}

    it.cache.get_or_load_many(["a", "b"], load)
    it.cache.get_or_load_many(["a", "b"], load)
    it.server.go()
    assert it.cache.get_or_load_many(["a", "b", "c"], load) == {"a": "a1", "b": "b1", "c": "c2"}
    assert asked == [["a", "b"], ["c"]]


def test_a_copy_ends_with_its_life_all_the_same(stand: Callable[..., Stand]) -> None:
    """An outage makes no value live longer than its `ttl`."""
    it = stand(ttl=10, fallback="stale", stale_if_error=3_600)
    it.read()
    it.read()
    it.server.go()
    it.source.value = 2
    it.clock.advance(11)
    assert it.read() == 2


def test_nothing_stale_is_served_once_the_server_is_back(stand: Callable[..., Stand]) -> None:
    """What was invalidated elsewhere meanwhile is heard of before a copy is served."""
    it = stand(ttl="1h", fallback="stale", stale_if_error=3_600)
    it.read()
    it.read()
    it.server.go()
    assert it.read() == 1
    it.source.value = 2
    it.memory.invalidate([it.cache.invalidation(["t"])])
    assert it.read() == 1
    it.server.come()
    assert it.read() == 2


def test_a_load_is_built_on_no_copy_of_an_outage(stand: Callable[..., Stand]) -> None:
    """Its result would outlive the outage."""
    it = stand(ttl="1h", fallback="stale", stale_if_error=3_600)
    it.read()
    it.read()
    it.server.go()
    it.source.value = 2
    assert it.read(it.read, key="outer") == 2


# --- the breaker ------------------------------------------------------------------------------------


def broken(stand: Callable[..., Stand], **fields: Any) -> Stand:
    """Return a stand whose breaker opens after three failures, for ten seconds."""
    it = stand(**fields)
    it.core.breaker.adopt(3, 10)
    it.server.go()
    return it


@NEAR
def test_a_server_that_does_not_answer_is_left_alone(stand: Callable[..., Stand], staleness: Any) -> None:
    """After three failures in a row it is asked once in a while only, and readers do not wait for it."""
    it = broken(stand, staleness=staleness)
    for _ in range(50):
        it.read()
    assert it.server.refused == 3
    assert it.statistics.misses["breaker"] == 47
    for _ in range(3):
        it.clock.advance(10)
        for _ in range(10):
            it.read()
    assert it.server.refused == 6
    assert it.core.breaker.opened == 1


def test_one_answer_closes_it(stand: Callable[..., Stand]) -> None:
    """A probe that is answered ends it, and the next failures are counted from one."""
    it = broken(stand)
    for _ in range(5):
        it.read()
    it.server.come()
    it.read()
    assert it.statistics.hits + it.statistics.stored == 0
    it.clock.advance(10)
    it.read()
    it.read()
    assert it.statistics.hits == 1
    it.server.go()
    it.read()
    it.read()
    assert not it.core.breaker.is_open


def test_what_is_refused_by_the_breaker_is_unavailable(stand: Callable[..., Stand]) -> None:
    """Whoever handles an unreachable server handles this, and may know the difference."""
    it = broken(stand, fallback="error")
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            it.read()
    with pytest.raises(CircuitOpenError, match=r"left alone for another 10\.000 s"):
        it.read()
    with pytest.raises(CircuitOpenError):
        it.cache.invalidate("t")


def test_a_server_that_refuses_answers(stand: Callable[..., Stand]) -> None:
    """A refusal is no outage: the breaker stays closed."""
    it = stand()
    it.core.breaker.adopt(1, 10)
    it.server.go(ProviderRejectedError, only={"begin"})
    for _ in range(5):
        assert it.read() == 1
    assert it.core.breaker.opened == 0


def test_a_breaker_may_be_switched_off() -> None:
    """With 0 failures it never opens."""
    breaker = Breaker(0)
    for _ in range(1_000):
        breaker.failed()
        breaker.check()
    assert (breaker.is_open, breaker.opened) == (False, 0)


# --- invalidations that nobody acknowledged ---------------------------------------------------------


def test_an_invalidation_that_is_not_acknowledged_is_raised(stand: Callable[..., Stand]) -> None:
    """By default whoever invalidates must do it again; until then the old value may be served."""
    it = stand()
    it.read()
    it.server.go()
    for forget in (
        lambda: it.cache.invalidate("t"),
        lambda: it.cache.evict("k"),
        it.cache.clear,
        lambda: it.cache.put("k", 2),
    ):
        with pytest.raises(ProviderUnavailableError):
            forget()


def deferring(stand: Callable[..., Stand], **fields: Any) -> Stand:
    return stand({"unreachable": "defer"}, **fields)


@NEAR
@pytest.mark.parametrize("how", ["tag", "key", "clear", "soft"])
def test_a_deferred_invalidation_comes_before_the_next_question(
    stand: Callable[..., Stand], staleness: Any, how: str
) -> None:
    """With `unreachable="defer"` this process serves nothing that it forgot meanwhile, from the first answer on."""
    it = deferring(stand, ttl="1h", staleness=staleness)
    it.read()
    it.read()
    it.server.go()
    it.source.value = 2
    forget: dict[str, Callable[[], Any]] = {
        "tag": lambda: it.cache.invalidate("t"),
        "key": lambda: it.cache.evict("k"),
        "clear": it.cache.clear,
        "soft": lambda: it.cache.invalidate("t", soft=True),
    }
    forget[how]()
    assert it.read() == 2
    it.server.come()
    assert it.read() == 2
    assert it.another().read() == 2
    assert len(it.core.deferred or ()) == 0
    assert it.statistics.fallbacks["deferred"] == 1
    assert it.statistics.invalidations == 1


@pytest.mark.parametrize("how", ["flush", "close"])
def test_deferred_invalidations_are_applied_without_a_read(stand: Callable[..., Stand], how: str) -> None:
    """A process that reads no more applies them by `flush`, and before it closes; until then they stay."""
    it = stand({"unreachable": "defer", "breaker": Breaker(0)})
    it.read()
    it.server.go()
    it.source.value = 2
    it.cache.invalidate("t")
    assert not it.cache.flush()
    it.server.come()
    assert it.cache.flush() if how == "flush" else it.cache.close() is None
    assert len(it.core.deferred or ()) == 0
    assert it.another().cache.get("k", tags=["t"]) is MISSING


def test_deferred_invalidations_are_bounded(stand: Callable[..., Stand]) -> None:
    """Too many become one that forgets everything: memory is bounded, and nothing is forgotten to be forgotten."""
    it = deferring(stand)
    it.read(key="other")
    it.server.go()
    for number in range(2 * MAX_RECORDS):
        it.cache.invalidate(f"tag:{number}")
    deferred = it.core.deferred
    assert deferred is not None
    assert len(deferred) <= MAX_RECORDS
    it.server.come()
    it.source.value = 2
    assert it.read(key="other") == 2
    assert len(deferred) == 0


def test_what_is_deferred_while_the_queue_is_applied_is_not_lost() -> None:
    """A namespace that is being cleared covers nothing that was invalidated since it was sent."""
    waiting = Cache(MemoryProvider("queue"))
    queue = Deferred()
    queue.add(waiting.invalidation(clear=True))
    sent = queue.waiting()
    queue.add(waiting.invalidation(["t"]))
    queue.done(sent)
    (left,) = queue.waiting()
    assert left.clear
    assert queue.done([left]) == 1
    assert len(queue) == 0


def test_a_queue_is_usable_in_a_child() -> None:
    """Whoever held its lock at the fork; and what waited in the parent waits in the child."""
    cache, queue = Cache(MemoryProvider("queue")), Deferred()
    queue.add(cache.invalidation(["t"]))
    with queue._lock:
        pid = os.fork()
        if not pid:
            signal.alarm(20)
            os._exit(0 if len(queue.waiting()) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_nobody_reads_past_a_deferred_invalidation_that_is_refused(stand: Callable[..., Stand]) -> None:
    """A server that answers reads and takes no writes is away, as far as this process is concerned."""
    it = deferring(stand, ttl="1h")
    it.read()
    it.server.go()
    it.source.value = 2
    it.cache.invalidate("t")
    it.server.go(ProviderRejectedError, only={"invalidate"})
    assert it.read() == 2
    it.server.come()
    assert it.read() == 2


def test_deferring_is_chosen_by_name(stand: Callable[..., Stand]) -> None:
    """There are two ways, and no third."""
    with pytest.raises(Exception, match="neither 'raise' nor 'defer'"):
        stand({"unreachable": "ignore"})


def test_breakers_of_siblings_are_their_own(stand: Callable[..., Stand]) -> None:
    """A server that is away says nothing about another."""
    first, second = stand(), stand()
    first.core.breaker.adopt(1, 10)
    first.server.go()
    first.read()
    assert first.core.breaker.is_open
    second.read()
    second.read()
    assert second.statistics.hits == 1
