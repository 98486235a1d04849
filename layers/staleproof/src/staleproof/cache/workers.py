"""Background threads of the blocking face: for refreshes, and for loads that a caller may leave behind.

Theory of operation: a few daemon threads, each made when there is work for it and ended when there is no more, and none
of them in a forked child. What is handed over is bounded; above the bound the caller is told, and does without. A
loader may hang, and no thread can be ended from outside: one that has been at its work for longer than its result
could be stored is not counted any more, and another takes its place, up to a bound as well. Whoever closes waits for
the rest a few seconds and no longer, and so does the end of the process.

A load that a caller may leave behind gets a thread of its own instead: loads call other cached functions, and would
wait in a full pool for one another, or behind loads that hang. In a Lambda function there are no refreshes in the
background, since nothing runs after the return. A load that was left behind and frozen there ends when it is thawed,
and is stored only if its lease still stands.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_THREADS = 8
DEFAULT_WAITING = 1_000
DEFAULT_OVERDUE = 30.0
MAX_THREADS = 64
"""Threads of one cache's refreshes at once, those that hang included."""

MAX_DETACHED = 1_000
"""Loads in threads of their own at once, of one cache; most of them have a caller who waits."""

GRACE = 3.0
"""Seconds for which `close` and the end of the process wait for what is under way."""

_POOLS: WeakSet[Workers] = WeakSet()


def _begin_anew() -> None:
    for workers in list(_POOLS):
        workers.reset()


def _end() -> None:
    until = time.monotonic() + GRACE
    for workers in list(_POOLS):
        workers.close(max(0.0, until - time.monotonic()))


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_end)


def has_background() -> bool:
    """Say whether threads go on between the calls of this program: not in a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" not in os.environ


class _Job:
    """Work, the context that it runs in, and since when it hangs if it has not ended by then."""

    __slots__ = ("hangs_from", "overdue", "run")

    def __init__(self, work: Callable[[], object], overdue: float) -> None:
        self.run: Callable[[], object] = partial(copy_context().run, work)
        self.overdue = overdue
        self.hangs_from = 0.0


class Workers:
    """A bounded pool of threads.

    Args:
        threads: how many work at once, without those that hang.
        waiting: how much may be handed over and not be done yet.
    """

    def __init__(self, threads: int = DEFAULT_THREADS, waiting: int = DEFAULT_WAITING) -> None:
        self._threads = threads
        self._waiting = waiting
        self.reset()
        _POOLS.add(self)

    def reset(self) -> None:
        """Begin with no threads."""
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._queue: deque[_Job] = deque()
        self._running: set[_Job] = set()
        self.detached = 0

    @property
    def busy(self) -> int:
        """How much was handed over and is not done yet."""
        return len(self._queue) + len(self._running)

    def start(self, work: Callable[[], object], overdue: float = DEFAULT_OVERDUE) -> bool:
        """Run *work* in a thread, in this context; say False if there is too much to do already.

        After *overdue* seconds it counts as hanging, and another thread may take the place of its own.
        """
        job = _Job(work, overdue)
        with self._lock:
            if self.busy >= self._waiting:
                return False
            self._queue.append(job)
            first = self._next() if self._has_place() else None
        if first is None:
            return True
        try:
            threading.Thread(target=self._work, args=(first,), name="staleproof-refresh", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter shuts down
            self._take_back(first, job)
            return False
        return True

    def _has_place(self) -> bool:
        now = time.monotonic()
        alive = sum(job.hangs_from > now for job in self._running)
        return alive < self._threads and len(self._running) < MAX_THREADS

    def _next(self) -> _Job | None:
        if not self._queue:
            return None
        job = self._queue.popleft()
        job.hangs_from = time.monotonic() + job.overdue
        self._running.add(job)
        return job

    def _take_back(self, first: _Job, job: _Job) -> None:
        with self._lock:
            self._running.discard(first)
            self._queue.appendleft(first)
            with suppress(ValueError):  # another thread has it already
                self._queue.remove(job)

    def _work(self, first: _Job) -> None:
        job: _Job | None = first
        while job is not None:
            with suppress(BaseException):  # whoever waits for it is told
                job.run()
            with self._lock:
                self._running.discard(job)
                self._ended.notify_all()
                job = self._next()

    def detach(self, work: Callable[[], object]) -> bool:
        """Run *work* in a thread of its own, in this context; say False if there are too many already."""
        with self._lock:
            if self.detached >= MAX_DETACHED:
                return False
            self.detached += 1
        context = copy_context()
        run = lambda: context.run(self._do_apart, work)  # noqa: E731
        try:
            threading.Thread(target=run, name="staleproof-load", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter shuts down
            self._returned()
            return False
        return True

    def _do_apart(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            self._returned()

    def _returned(self) -> None:
        with self._lock:
            self.detached -= 1

    def close(self, grace: float | None = None) -> None:
        """Wait until everything is done, for *grace* seconds at most, or `GRACE`; a later `start` makes new threads."""
        with self._lock:
            self._ended.wait_for(lambda: not self.busy, GRACE if grace is None else grace)
