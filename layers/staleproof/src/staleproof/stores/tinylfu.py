"""W-TinyLFU: an order that keeps what was used often of late, and gives newcomers a short trial.

Theory of operation
-------------------
Three queues, each least recently used first. A newcomer enters the *window*, a fifth of the store. What falls out of
the window becomes a candidate for the main part, whose *probation* queue gives up its first key: of the two, the one
that a `Sketch` saw less often goes. A key that is used on probation becomes *protected*; what falls out of the
protected four fifths of the main part is on probation again. So a scan of keys that are asked for once passes through
the window and pushes out little, where under `lru` it empties the store. After G. Einziger, R. Friedman, B. Manes,
"TinyLFU" (2017); the window is larger than theirs because that was measured to be better (decision 15).

A hit only notes its key. What follows is done at the next write, under the same lock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Protocol

from staleproof.stores.sketch import Sketch

if TYPE_CHECKING:
    from staleproof.stores.bounds import Bounds

WINDOW = 0.2
PROTECTED = 0.8

MAX_USES = 1_024
"""Uses that wait to be noted; of more between two writes, the first are forgotten."""


class Sightings(Protocol):
    """What tells how often keys were seen; see `Sketch`."""

    def fit(self, entries: int) -> None:
        """See `Sketch.fit`."""
        ...

    def see(self, key: object) -> None:
        """See `Sketch.see`."""
        ...

    def estimate(self, key: object) -> int:
        """See `Sketch.estimate`."""
        ...


class _Queue:
    """Keys with their weights, least recently used first, and how much it may hold."""

    __slots__ = ("bounds", "keys", "weight")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.keys: OrderedDict[object, int] = OrderedDict()
        self.weight = 0

    def push(self, key: object, weight: int) -> None:
        """Take in *key*, as the one used last."""
        self.keys[key] = weight
        self.weight += weight

    def take(self, key: object) -> int:
        """Let go of *key*, and return its weight."""
        weight = self.keys.pop(key)
        self.weight -= weight
        return weight

    def spill(self, into: _Queue) -> list[object]:
        """Move what is too much, but for the last key, to *into*; return what was moved."""
        moved = []
        while len(self.keys) > 1 and self.bounds.exceeded(len(self.keys), self.weight):
            key = next(iter(self.keys))
            into.push(key, self.take(key))
            moved.append(key)
        return moved

    def clear(self) -> None:
        """Let go of everything."""
        self.keys.clear()
        self.weight = 0


class TinyLfu:
    """The order of a store of the given *bounds*; *sketch* tells how often a key was seen."""

    __slots__ = (
        "_candidates",
        "_home",
        "_newest",
        "_probation",
        "_protected",
        "_sketch",
        "_uses",
        "_window",
        "used",
    )

    def __init__(self, bounds: Bounds, sketch: Sightings | None = None) -> None:
        self._sketch = Sketch() if sketch is None else sketch
        self._window = _Queue(bounds.share(WINDOW))
        self._probation = _Queue(bounds)
        self._protected = _Queue(bounds.share((1 - WINDOW) * PROTECTED))
        self._home: dict[object, _Queue] = {}
        self._candidates: list[object] = []
        self._newest: object = None
        self._uses: deque[object] = deque(maxlen=MAX_USES)
        self.used = self._uses.append  # a hit notes its key, no more: the next write does the work

    def add(self, key: object, weight: int) -> None:
        """See `Order.add`."""
        self._catch_up()
        self._sketch.fit(len(self._home) + 1)
        self._sketch.see(key)
        self._newest = key
        self._enter(key, weight, self._window)
        self._settle()

    def replace(self, key: object, weight: int) -> None:
        """See `Order.replace`; it keeps its place, or earns a better one."""
        self._catch_up()
        self._newest = key
        home = self._home[key]
        home.take(key)
        home.push(key, weight)
        self._use(key, home)
        self._settle()

    def remove(self, key: object) -> None:
        """See `Order.remove`."""
        self._home.pop(key).take(key)

    def victim(self) -> object:
        """See `Order.victim`."""
        self._catch_up()
        candidate, first = self._candidate(), self._first()
        if candidate and first and self._sketch.estimate(candidate[0]) > self._sketch.estimate(first[0]):
            return first[0]
        return (candidate or first or [self._newest])[0]

    def clear(self) -> None:
        """See `Order.clear`; what was seen is remembered."""
        for queue in (self._window, self._probation, self._protected):
            queue.clear()
        self._home.clear()
        self._candidates = []
        self._uses.clear()

    def _enter(self, key: object, weight: int, queue: _Queue) -> None:
        queue.push(key, weight)
        self._home[key] = queue

    def _catch_up(self) -> None:
        """Do what the uses since the last write call for."""
        uses, homes = self._uses, self._home
        while uses:
            key = uses.popleft()
            home = homes.get(key)
            if home is not None:
                self._use(key, home)

    def _use(self, key: object, home: _Queue) -> None:
        self._sketch.see(key)
        if home is not self._probation:
            home.keys.move_to_end(key)
            return
        self._enter(key, home.take(key), self._protected)
        self._spill(self._protected)

    def _settle(self) -> None:
        """Make room in the window; what falls out of it must prove itself against the main part."""
        self._candidates = self._spill(self._window)
        self._spill(self._protected)

    def _spill(self, queue: _Queue) -> list[object]:
        moved = queue.spill(self._probation)
        for key in moved:
            self._home[key] = self._probation
        return moved

    def _candidate(self) -> list[object]:
        """Return the key that left the window last and is still on probation, or none."""
        while self._candidates and self._home.get(self._candidates[-1]) is not self._probation:
            self._candidates.pop()
        return self._candidates[-1:]

    def _first(self) -> list[object]:
        """Return the key that would go if there were no candidate, or none."""
        kept = {*self._candidates[-1:], self._newest}
        for queue in (self._probation, self._protected, self._window):
            for key in queue.keys:
                if key not in kept:
                    return [key]
        return []
