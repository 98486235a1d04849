"""Background threads of the blocking face: for refreshes, and for loads that a caller may leave behind.

Theory of operation: a pool of a few threads, made at the first use and anew in a forked child. What is handed over is
bounded; above the bound the caller is told, and does without. A load that a caller may leave behind gets a thread of
its own instead: loads call other cached functions, and would wait in a full pool for one another, or behind loads that
hang. In a Lambda function there are no refreshes in the background, since nothing runs after the return. A load that
was left behind and frozen there ends when it is thawed, and is stored only if its lease still stands.
"""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

DEFAULT_THREADS = 8
DEFAULT_WAITING = 1_000
MAX_DETACHED = 1_000
"""Loads in threads of their own at once, of one cache; most of them have a caller who waits."""

_POOLS: WeakSet[Workers] = WeakSet()


def _begin_anew() -> None:
    for workers in list(_POOLS):
        workers.reset()


os.register_at_fork(after_in_child=_begin_anew)


def has_background() -> bool:
    """Say whether threads go on between the calls of this program: not in a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" not in os.environ


class Workers:
    """A bounded pool of threads.

    Args:
        threads: how many work at once.
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
        self._pool: ThreadPoolExecutor | None = None
        self.busy = 0
        self.detached = 0

    def start(self, work: Callable[[], object]) -> bool:
        """Run *work* in a thread, in this context; say False if there is too much to do already."""
        with self._lock:
            if self.busy >= self._waiting:
                return False
            self.busy += 1
            pool = self._pool = self._pool or self._made()
        try:
            pool.submit(copy_context().run, self._do, work)
        except RuntimeError:  # the interpreter shuts down
            self._done()
            return False
        return True

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

    def _made(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most programs never need it

        return ThreadPoolExecutor(self._threads, thread_name_prefix="staleproof")

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            self._done()

    def _done(self) -> None:
        with self._lock:
            self.busy -= 1

    def close(self) -> None:
        """Let the threads finish and end; a later `start` makes new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
