"""A lock under which values of the application may die.

Theory of operation: whoever drops the last reference to a value runs its `__del__`, and the garbage collector runs that
of any other object, in the midst of whatever this thread is at. What such code does is the application's: it may well
invalidate, and so come back to the very thing whose lock its thread holds. An ordinary lock would wait for ever, and a
re-entrant one would let it change what is half changed. So:

* what is dropped under the lock is put into `garbage`, and dies after the lock was released;
* `nested` says whether this thread holds the lock; a change that finds it held is put off by `defer`, and is made when
  the lock is released, before whoever held it goes on. Signal handlers run in the same places, by the same rules.
* who only looks may take `raw`, the lock alone, in half the time, drops nothing under it, and calls `settle` after it.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate

P = ParamSpec("P")


class Latch:
    """A lock for `with`.

    Attributes:
        garbage: what dies when the lock was released; to be added to under the lock.
        deferred: what was put off, and not yet made.
        raw: the lock alone; see above.
        owned: says whether this thread holds it already.
    """

    __slots__ = ("_depth", "deferred", "garbage", "owned", "raw")

    def __init__(self) -> None:
        self.raw: Any = threading.RLock()
        self.owned: Callable[[], bool] = self.raw._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        self._depth = 0
        self.deferred: deque[Callable[[], object]] = deque()
        self.garbage: list[object] = []

    @property
    def nested(self) -> bool:
        """Whether this thread holds it already."""
        return self.owned()

    @property
    def locked(self) -> bool:
        """Whether any thread holds it for a change."""
        return self._depth > 0

    def defer(self, change: Callable[[], object]) -> bool:
        """Make *change* when the lock is released; True, for it will be made."""
        self.deferred.append(change)
        return True

    def __enter__(self) -> None:
        self.raw.acquire()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            self.raw.release()
            return
        garbage: list[object] | None = self.garbage
        if garbage:
            self.garbage = []
        self._depth = 0
        self.raw.release()
        garbage = None  # dies here, without the lock, if it was any
        if self.deferred:
            self.settle()

    def settle(self) -> None:
        """Make what was put off, without the lock."""
        while self.deferred and not self.owned():
            try:
                change = self.deferred.popleft()
            except IndexError:  # another thread makes it
                return
            change()


def deferring(method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Put off *method*, of an object with a `Latch` as its `_lock`, where its thread holds that already."""

    @wraps(method)
    def made(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        lock: Latch = self._lock
        if lock.nested:
            lock.defer(partial(method, self, *args, **kwargs))
        else:
            method(self, *args, **kwargs)

    return made  # type: ignore[return-value]  # its `self` is not named
