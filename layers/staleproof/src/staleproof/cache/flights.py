"""Flights: one load of a key in this process at a time, that others wait for.

Theory of operation
-------------------
A flight is boarded by the first who needs it, its *leader*, who runs the plan, and joined by others until it lands.
Boarding and each question that the leader asks (of the server, of the loader) draw a number from one counter. A joiner
may have the flight's value if the leader's last question came after he joined: then whatever was invalidated before he
asked was invalidated before that question, and its answer knows. Otherwise he has to look again (`Turn.AGAIN`).

A failure is shared: everybody aboard gets the loader's exception. An interruption of the leader (`KeyboardInterrupt`,
a cancellation) is his alone: the others go again. A forked child begins with no flights; those who flew are threads of
its parent.

A flight that is *overdue*, older than any lease that it could store under, is joined by nobody any more: who comes then
begins another. So a loader that hangs keeps a key busy for a while, and not for ever.

Among asyncio tasks the leader's work is a task of its own, so that a caller may be cancelled: the load is cancelled
with its last passenger only.
"""

from __future__ import annotations

import os
import threading
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from staleproof.cache.commands import Landed, Turn
from staleproof.cache.missing import MISSING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable, Iterator
    from types import TracebackType


LEADER = -1
"""The number of who runs a flight, or had it run: any question of its plan came later, and any failure is his."""


class Flight:
    """One load under way.

    Attributes:
        began: when, on the monotonic clock.
        asked: the number of its plan's last question.
        value, failure: what it brought.
        landed: set when it has ended.
        task: what runs it, among asyncio tasks.
        waiting: how many of those wait for it; one who went on without it counts for ever.
    """

    __slots__ = (
        "_notes",
        "_numbers",
        "_trace",
        "asked",
        "began",
        "failure",
        "landed",
        "task",
        "value",
        "waiting",
    )

    def __init__(self, numbers: Iterator[int], began: float = 0.0) -> None:
        self._numbers = numbers
        self.began = began
        self.asked = -1
        self.value: Any = MISSING
        self.failure: BaseException | None = None
        self._trace: TracebackType | None = None
        self._notes: list[str] = []
        self.landed = threading.Event()
        self.task: asyncio.Task[Any] | None = None
        self.waiting = 0

    def ask(self) -> None:
        """Note that the leader asks the server or the loader now."""
        self.asked = next(self._numbers)

    def land(self, value: Any = MISSING, failure: BaseException | None = None) -> None:
        """End it."""
        self.value, self.failure = value, failure
        if failure is not None:
            self._trace, self._notes = failure.__traceback__, list(getattr(failure, "__notes__", ()))
        self.landed.set()

    def outcome(self, boarded: int) -> Landed | Turn:
        """Return what it brought for one who came aboard at number *boarded*; raises the loader's failure.

        Who leads a flight, and has it run elsewhere, asks with the number `LEADER`; a loader's `MISSING` is his alone.
        """
        leads = boarded == LEADER
        if self.failure is not None and (leads or isinstance(self.failure, Exception)):
            raise self.failure if leads else own(self.failure, self._trace, self._notes)
        if self.failure is not None or self.asked < boarded or (self.value is MISSING and not leads):
            return Turn.AGAIN
        return Landed(self.value, shared=not leads)


def own(failure: BaseException, trace: TracebackType | None, notes: list[str]) -> BaseException:
    """Return an exception like *failure* for one of many who get it, with the *trace* and *notes* that it landed with.

    What each of them adds to his is his own. One that cannot be copied is shared, less what others have added to its
    traceback.
    """
    from copy import copy  # noqa: PLC0415 - where it is used

    try:
        twin = copy(failure)
    except Exception:  # noqa: BLE001 - its constructor may want anything
        twin = failure
    if type(twin) is not type(failure):
        twin = failure
    twin.__cause__, twin.__context__ = failure.__cause__, failure.__context__
    twin.__suppress_context__ = failure.__suppress_context__
    if notes and twin is not failure:
        twin.__notes__ = list(notes)
    elif twin is not failure and hasattr(twin, "__notes__"):
        del twin.__notes__
    return twin.with_traceback(trace)


class Boarding:
    """A place in a flight.

    Attributes:
        flight: the flight.
        leads: whether it is ours to run.
        number: when we came aboard.
    """

    __slots__ = ("flight", "leads", "number")

    def __init__(self, flight: Flight, number: int, *, leads: bool) -> None:
        self.flight = flight
        self.number = number
        self.leads = leads

    @classmethod
    def on(
        cls, flying: dict[Hashable, Flight], key: Hashable, numbers: Iterator[int], now: float, overdue: float
    ) -> Boarding:
        """Join the flight of *key*, or begin one if there is none, or none younger than *overdue* seconds."""
        number = next(numbers)
        known = flying.get(key)
        if known is not None and now - known.began <= overdue:
            return cls(known, number, leads=False)
        flying[key] = Flight(numbers, now)
        return cls(flying[key], number, leads=True)


_TOWERS: WeakSet[Flights] = WeakSet()


def _begin_anew() -> None:
    for flights in list(_TOWERS):
        flights.reset()


os.register_at_fork(after_in_child=_begin_anew)


class Flights:
    """The flights of one cache among threads."""

    def __init__(self) -> None:
        self.reset()
        _TOWERS.add(self)

    def reset(self) -> None:
        """Forget all flights, with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._flying: dict[Hashable, Flight] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._flying)

    def under_way(self, key: Hashable) -> bool:
        """Say whether there is a flight of *key*."""
        return key in self._flying

    def board(self, key: Hashable, now: float = 0.0, overdue: float = inf) -> Boarding:
        """Join the flight of *key*, or begin one; see `Boarding.on`."""
        with self._lock:
            return Boarding.on(self._flying, key, self._numbers, now, overdue)

    def land(
        self, key: Hashable, flight: Flight, value: Any = MISSING, failure: BaseException | None = None
    ) -> None:
        """End *flight*; who asks for *key* from now on begins another."""
        with self._lock:
            if self._flying.get(key) is flight:
                del self._flying[key]
        flight.land(value, failure)


class AsyncFlights:
    """The flights of one cache among asyncio tasks: each event loop has its own, and they end with it."""

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Flight]] = (
            WeakKeyDictionary()
        )
        self._numbers = count()

    def __len__(self) -> int:
        return sum(map(len, self._loops.values()))

    def under_way(self, key: Hashable) -> bool:
        """Say whether there is a flight of *key*, in any loop."""
        return any(key in flying for flying in list(self._loops.values()))

    def board(
        self, key: Hashable, loop: asyncio.AbstractEventLoop, now: float = 0.0, overdue: float = inf
    ) -> Boarding:
        """Join the flight of *key* in *loop*, or begin one; see `Boarding.on`."""
        return Boarding.on(self._loops.setdefault(loop, {}), key, self._numbers, now, overdue)

    def land(
        self,
        key: Hashable,
        loop: asyncio.AbstractEventLoop,
        flight: Flight,
        value: Any = MISSING,
        failure: BaseException | None = None,
    ) -> None:
        """End *flight*."""
        flying = self._loops.get(loop, {})
        if flying.get(key) is flight:
            del flying[key]
        flight.land(value, failure)
