"""Coalescing: of the changes to a hot tag within a window, which are applied, and when. Pure.

Theory of operation. The first change is applied at once (the leading edge) and opens the tag's window. The next one
within it is put off to the window's end (the trailing edge), as a deferred invalidation that is stored before its
record counts as handled. Those that follow until then are *covered*: the stored one is applied after them, and makes
stale whatever they would have made stale. After the window's end everything begins anew. So a tag is invalidated at
most twice a window, and never for the last time before its last change.

Rules that keep this true:

* a change is covered only by a trailing edge that **is stored** (`Window.trailing`); one that is being stored, or
  failed to be, covers nothing;
* a window is over as soon as either clock says so (`Instant.elapsed`): a process that was frozen in it must not believe
  that an edge is still to come that another process has applied meanwhile;
* a forgotten window costs one more invalidation, never one less. So the store may forget, and need not be shared:
  two processes each have their own edges. What it must not do is tell a window by another machine's clocks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from staleproof.clock import Instant

MAX_WINDOWS = 10_000
"""Tags that one process watches at once; the one that was touched longest ago is forgotten first."""


class Verdict(StrEnum):
    """What becomes of a change's invalidation of a tag.

    Attributes:
        NOW: it is applied at once.
        TRAILING: it is stored, to be applied at the window's end.
        COVERED: a stored one is applied after it, and stands for it.
    """

    NOW = "now"
    TRAILING = "trailing"
    COVERED = "covered"


class Window(NamedTuple):
    """A tag's window.

    Attributes:
        opened: when.
        width_ms: how long it lasts.
        trailing: whether its trailing edge is stored.
    """

    opened: Instant
    width_ms: int
    trailing: bool = False


class Decision(NamedTuple):
    """What becomes of a change, and what to remember.

    Attributes:
        verdict: what becomes of it.
        window: the tag's window from now on; for `TRAILING`, once the edge is stored.
        delay_ms: for `TRAILING`, how long until the window's end; at least 1.
    """

    verdict: Verdict
    window: Window
    delay_ms: int = 0


def decide(window: Window | None, now: Instant, width_ms: int) -> Decision:
    """Return what becomes of a change *now*, of a tag with *window* (None: it has none).

    Args:
        window: what is remembered of the tag.
        now: the time, by the clocks that opened the window.
        width_ms: the width of a window that opens now.
    """
    if window is None:
        return Decision(Verdict.NOW, Window(now, width_ms))
    elapsed_ms = now.elapsed(window.opened) * 1_000
    if not 0 <= elapsed_ms < window.width_ms or now.wall < window.opened.wall:
        return Decision(Verdict.NOW, Window(now, width_ms))
    if window.trailing:
        return Decision(Verdict.COVERED, window)
    left_ms = max(1, -int(-(window.width_ms - elapsed_ms) // 1))
    return Decision(Verdict.TRAILING, window._replace(trailing=True), left_ms)


class Windows(Protocol):
    """Remembers the windows of tags; may forget any at any time."""

    def get(self, target: str) -> Window | None:
        """Return what is remembered of *target*."""
        ...

    def put(self, target: str, window: Window) -> None:
        """Remember *window*."""
        ...


class MemoryWindows:
    """Windows of this process.

    Args:
        limit: tags at most.
    """

    def __init__(self, limit: int = MAX_WINDOWS) -> None:
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._limit = limit
        self._lock = threading.Lock()

    def get(self, target: str) -> Window | None:
        """See `Windows.get`."""
        return self._windows.get(target)

    def put(self, target: str, window: Window) -> None:
        """See `Windows.put`."""
        with self._lock:
            self._windows[target] = window
            self._windows.move_to_end(target)
            if len(self._windows) > self._limit:
                self._windows.popitem(last=False)
