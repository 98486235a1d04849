"""Threads of refreshes: bounded, and a loader that hangs stops neither the others nor the end of the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from staleproof.cache import workers as pool
from staleproof.cache.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 20.0
HANGING = """
import threading
from staleproof import Cache, Policy
from staleproof.cache import workers
from staleproof.providers.memory import MemoryProvider

workers.GRACE = 0.2
cache = Cache(MemoryProvider("n"), policy=Policy(ttl="1ms", stale_while_revalidate="1h"))
cache.get_or_load("k", lambda: 1)
entered = threading.Event()

def hang():
    entered.set()
    threading.Event().wait()

while not entered.is_set():
    assert cache.get_or_load("k", hang) == 1
    entered.wait(0.01)
{closing}
print("done", flush=True)
"""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging work waits for; it opens at the end."""
    event = threading.Event()
    yield event
    event.set()


def hang(workers: Workers, gate: threading.Event, number: int, overdue: float) -> None:
    """Have *number* pieces of work hang in *workers*, and wait until they do."""
    entered = threading.Semaphore(0)

    def work() -> None:
        entered.release()
        gate.wait(LIMIT)

    for _ in range(number):
        assert workers.start(work, overdue)
    assert all(entered.acquire(timeout=LIMIT) for _ in range(number))


@pytest.mark.parametrize("closing", ["", "cache.close()"])
def test_a_process_ends_though_a_refresh_hangs(closing: str) -> None:
    """Its thread is a daemon, and whoever closes waits for a moment only."""
    program = HANGING.format(closing=closing)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_what_hangs_keeps_no_other_from_being_done(gate: threading.Event) -> None:
    """A thread that is overdue is not counted any more: another does the work."""
    workers = Workers(threads=2)
    hang(workers, gate, 2, overdue=0.0)
    done = threading.Event()
    assert workers.start(done.set)
    assert done.wait(LIMIT)


def test_what_is_slow_is_waited_for(gate: threading.Event) -> None:
    """No more threads than the bound while none is overdue; what waits is done in turn when one is free."""
    workers = Workers(threads=2)
    hang(workers, gate, 2, overdue=LIMIT)
    order: list[int] = []
    for number in range(5):
        assert workers.start(lambda number=number: order.append(number))  # type: ignore[misc]
    assert (workers.busy, order) == (7, [])
    gate.set()
    workers.close(LIMIT)
    assert (workers.busy, sorted(order)) == (0, list(range(5)))


def test_threads_that_hang_are_bounded(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many refreshes hang, threads do not grow without end, nor does what waits."""
    monkeypatch.setattr(pool, "MAX_THREADS", 3)
    workers = Workers(threads=1, waiting=5)
    hang(workers, gate, 3, overdue=0.0)
    assert [workers.start(gate.wait, 0.0) for _ in range(3)] == [True, True, False]
    names = [each.name for each in threading.enumerate() if each.name == "staleproof-refresh"]
    assert (workers.busy, len(workers._running)) == (5, 3)
    assert len(names) >= 3


def test_close_waits_for_a_moment_only(gate: threading.Event) -> None:
    """What hangs is left behind, and what is handed over later is done."""
    workers = Workers(threads=1)
    hang(workers, gate, 1, overdue=0.0)
    began = time.monotonic()
    workers.close(0.05)
    assert 0.05 <= time.monotonic() - began < LIMIT / 2
    done = threading.Event()
    assert workers.start(done.set)
    assert done.wait(LIMIT)


def test_threads_end_with_their_work() -> None:
    """Nothing is left running once everything is done, and an interruption of one piece stops no other."""
    workers = Workers(threads=1)
    seen: list[threading.Thread] = []

    def interrupted() -> None:
        seen.append(threading.current_thread())
        raise SystemExit

    assert workers.start(interrupted)
    assert workers.start(lambda: seen.append(threading.current_thread()))
    workers.close(LIMIT)
    for thread in seen:
        thread.join(LIMIT)
    assert len(seen) == 2
    assert not any(thread.is_alive() for thread in seen)
