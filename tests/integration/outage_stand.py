"""A crew that reads and writes through an outage, and a judge of every read: the stand of `test_outage`.

Theory of operation. The source of truth lies in this process: a version a key, which only grows. A writer changes a row
and invalidates its tag until that is acknowledged; from then on no read that begins may return an older version (P1),
but for what its own cache was asked to do: a near copy may lag by its bound (P2), and in `stale` mode a read that fell
back may show what was right at most `stale_if_error` ago, only while the server is away and one cool-down longer.

Each reader has a cache of its own, with its own connections and breaker, and one thread or task; so what its statistics
counted during a read was that read. Every read is judged at once, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof import ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof import AsyncCache, Cache, Policy

KEYS = [f"row:{number}" for number in range(8)]
PACE = 0.002
"""Seconds between two reads of one reader, so that the crew leaves the machine some air."""

MAX_EXAMPLES = 5


class Source:
    """The rows, and what of their changes was acknowledged when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = dict.fromkeys(KEYS, 1)
        self._times: dict[str, list[float]] = {key: [] for key in KEYS}
        self._versions: dict[str, list[int]] = {key: [] for key in KEYS}
        self.loads = 0

    def load(self, key: str) -> int:
        """Read a row, which takes its time."""
        value = self._rows[key]
        self.loads += 1
        time.sleep(0.0005)
        return value

    async def load_async(self, key: str) -> int:
        """Read a row, which takes its time."""
        value = self._rows[key]
        self.loads += 1
        await asyncio.sleep(0.0005)
        return value

    def change(self, key: str) -> int:
        """Give a row its next version."""
        with self._lock:
            self._rows[key] += 1
            return self._rows[key]

    def acknowledged(self, key: str, version: int) -> None:
        """Note that everybody must see *version* from now on."""
        with self._lock:
            if not self._versions[key] or version > self._versions[key][-1]:
                self._versions[key].append(version)
                self._times[key].append(time.monotonic())

    def owed(self, key: str, moment: float) -> int:
        """Return the version that a read owes for what was acknowledged before *moment*."""
        place = bisect_left(self._times[key], moment)
        return self._versions[key][place - 1] if place else 0

    def newest(self, key: str) -> int:
        """Return the version that the row has."""
        return self._rows[key]


class Outage:
    """When the server went away, and when it was back; infinitely late until it happens."""

    def __init__(self) -> None:
        self.began = self.ended = float("inf")

    def phase(self, moment: float) -> str:
        """Return whether *moment* is `before`, `during` or `after` the outage."""
        if moment < self.began:
            return "before"
        return "during" if moment < self.ended else "after"


class Example(NamedTuple):
    """A read that should not have been."""

    who: str
    phase: str
    key: str
    value: int
    owed: int
    late: float


class Reader:
    """Reads one row after the other through a cache of its own, and judges what it gets.

    Attributes:
        calls: how many reads began in each phase.
        raised: how many of them raised `ProviderUnavailableError`, in each phase.
        fell_back: how many were served a stale copy, in each phase.
        wrong: reads that broke a promise, a few of them.
        faults: whatever else was raised.
        recovered: seconds from the outage's end to the first read that the server answered.
    """

    def __init__(
        self, name: str, cache: Any, policy: Policy, source: Source, outage: Outage, cooldown: float
    ) -> None:
        self.name, self.cache, self.policy = name, cache, policy
        self.source, self.outage, self._cooldown = source, outage, cooldown
        phases: list[str] = ["before", "during", "after"]
        self.calls, self.raised, self.fell_back = (dict.fromkeys(phases, 0) for _ in range(3))
        self.wrong: list[Example] = []
        self.faults: list[str] = []
        self.recovered: float | None = None

    def read(self, key: str) -> Any:
        """Read a row; awaitable for an asyncio cache."""
        return self.cache.get_or_load(key, lambda: self.source.load(key), **self.options(key))

    def options(self, key: str) -> dict[str, Any]:
        """Return how a row is read: under a tag of its own, and one that only its value reveals."""
        return {"tags": [f"tag:{key}"], "tags_from": lambda _: ["rows"], "policy": self.policy}

    def run(self, over: threading.Event) -> None:
        """Read until it is over."""
        while not over.is_set():
            for key in KEYS:
                began, before = time.monotonic(), self._counted()
                try:
                    self.judge(key, self.read(key), began, before)
                except Exception as error:  # noqa: BLE001 - judged
                    self.raise_(error, began)
                time.sleep(PACE)

    def _counted(self) -> tuple[int, int]:
        """Return how many reads were served a stale copy so far, and how many met no server."""
        statistics = self.cache.statistics
        misses = statistics.misses
        return statistics.fallbacks.get("stale", 0), misses["unreachable"] + misses["breaker"]

    def raise_(self, error: Exception, began: float) -> None:
        """Note what was raised."""
        phase = self.outage.phase(began)
        self.calls[phase] += 1
        if isinstance(error, ProviderUnavailableError):
            self.raised[phase] += 1
        else:
            self.faults.append(repr(error))

    def judge(self, key: str, value: int, began: float, before: tuple[int, int]) -> None:
        """Judge a read that began at *began*, by what was owed then."""
        phase = self.outage.phase(began)
        self.calls[phase] += 1
        stale, unanswered = self._counted()
        bound = self.policy.staleness or 0.0
        if stale > before[0]:
            self.fell_back[phase] += 1
            bound = self.policy.stale_if_error
            # On a busy machine a server that is there may be late, too: then it has not answered.
            elsewhen = self.outage.began > time.monotonic() or began > self.outage.ended + self._cooldown
            if elsewhen and unanswered == before[1]:
                self._note(phase, key, value, -1, began)
        if unanswered == before[1] and phase == "after" and self.recovered is None:
            self.recovered = began - self.outage.ended
        owed = self.source.owed(key, began - bound)
        if value < owed:
            self._note(phase, key, value, owed, began)

    def _note(self, phase: str, key: str, value: int, owed: int, began: float) -> None:
        if len(self.wrong) < MAX_EXAMPLES:
            late = began - (self.outage.began if phase == "during" else self.outage.ended)
            self.wrong.append(Example(self.name, phase, key, value, owed, late))

    def close(self) -> None:
        """Close the cache."""
        self.cache.close()


class AsyncReader(Reader):
    """A reader in an event loop of its own."""

    cache: AsyncCache

    def run(self, over: threading.Event) -> None:
        """Read until it is over."""
        asyncio.run(self._run(over))

    async def _run(self, over: threading.Event) -> None:
        while not over.is_set():
            for key in KEYS:
                began, before = time.monotonic(), self._counted()
                try:
                    self.judge(key, await self.aread(key), began, before)
                except Exception as error:  # noqa: BLE001 - judged
                    self.raise_(error, began)
                await asyncio.sleep(PACE)
        await self.cache.close()

    async def aread(self, key: str) -> int:
        """Read a row."""
        load = lambda: self.source.load_async(key)  # noqa: E731
        value: int = await self.cache.get_or_load(key, load, **self.options(key))
        return value

    def read(self, key: str) -> int:
        """Read a row, in a loop of its own."""

        async def once() -> int:
            try:
                return await self.aread(key)
            finally:
                await self.cache.close()

        return asyncio.run(once())

    def close(self) -> None:
        """Its loops are closed, and its connections with them."""


class Writer:
    """Changes rows, and invalidates each change until that is acknowledged."""

    def __init__(self, cache: Cache, source: Source) -> None:
        self.cache = cache
        self.source = source
        self.acknowledged = 0
        self.refused = 0
        self.faults: list[str] = []

    def run(self, over: threading.Event) -> None:
        """Write until it is over; what was begun is brought to its end."""
        while not over.is_set():
            for key in KEYS:
                version = self.source.change(key)
                while not self._invalidated(key):
                    time.sleep(5 * PACE)
                self.source.acknowledged(key, version)
                time.sleep(5 * PACE)

    def _invalidated(self, key: str) -> bool:
        try:
            self.cache.invalidate(f"tag:{key}")
        except ProviderUnavailableError:
            self.refused += 1
            return False
        except Exception as error:  # noqa: BLE001 - judged
            self.faults.append(repr(error))
        self.acknowledged += 1
        return True


class Crew:
    """Threads that run until they are told to stop."""

    def __init__(self, members: list[Callable[[threading.Event], None]]) -> None:
        self._over = threading.Event()
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(member,)) for member in members]
        for thread in self._threads:
            thread.start()

    def _run(self, member: Callable[[threading.Event], None]) -> None:
        try:
            member(self._over)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.faults.append(repr(error))

    def stop(self) -> None:
        """Let everybody end what they began."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)
