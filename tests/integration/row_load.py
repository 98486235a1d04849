"""Readers and writers of rows that go on through whatever happens to the server, and what each read is held to.

A row's value is a number that only grows. A writer counts it up, invalidates, and repeats that until it is
acknowledged; from then on no read may return less. A reader notes what was acknowledged before it asks. A near cache
with a bound may be that much behind.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

ROWS = 120
PAUSE = 0.002
BREATH = 8


class Stale(NamedTuple):
    """A read that returned less than was due: when it began, seconds after the load did; which row; by how much."""

    at: float
    row: int
    behind: int


class RowLoad:
    """The rows and who is at them.

    Args:
        writer: makes a cache that invalidates.
        readers: make caches that read, each with the bound in seconds that it is held to.
        writers: how many write; each has rows of its own.
    """

    def __init__(
        self,
        writer: Callable[[], Any],
        readers: Sequence[tuple[Callable[[], Any], float]],
        *,
        writers: int = 2,
    ) -> None:
        self.source = [0] * ROWS
        self.stale: list[Stale] = []
        self.reads = self.acknowledged = self.refused = self.longest = 0
        self._acknowledged: list[list[tuple[float, int]]] = [[(0.0, 0)] for _ in range(ROWS)]
        self._errors: list[BaseException] = []
        self._stopped = threading.Event()
        self._writing = threading.Event()
        self._writing.set()
        self._began = time.monotonic()
        jobs: list[Callable[[], None]] = [
            *(lambda number=number: self._write(writer(), number, writers) for number in range(writers)),
            *(lambda make=make, bound=bound: self._read(make(), bound) for make, bound in readers),
        ]
        self._threads = [threading.Thread(target=self._guarded, args=(job,)) for job in jobs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._writing.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    def hold(self) -> None:
        """Have writers begin nothing new: what they write again covers what was lost."""
        self._writing.clear()

    def go_on(self) -> None:
        """Have writers go on."""
        self._writing.set()

    def until(self, seconds: float) -> None:
        """Return when the load has lasted so long, or when somebody has failed."""
        while self.now < seconds and not self._errors:
            time.sleep(0.01)

    def stale_since(self, seconds: float) -> list[Stale]:
        """Return the stale reads that began then or later."""
        return [each for each in self.stale if each.at >= seconds]

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised by `__exit__`
            self._errors.append(error)

    # --- writing -----------------------------------------------------------------------------------

    def _write(self, cache: Any, number: int, writers: int) -> None:
        row = number
        while self._writing.wait() and not self._stopped.is_set():
            self.source[row] += 1
            value = self.source[row]
            if self._acknowledge(cache, row):
                self._acknowledged[row].append((time.monotonic(), value))
                self.acknowledged += 1
            row = row + writers if row + writers < ROWS else number
            time.sleep(PAUSE)
        cache.close()

    def _acknowledge(self, cache: Any, row: int) -> bool:
        tries = 0
        while not self._stopped.is_set():
            try:
                cache.invalidate(f"row:{row}")
            except ProviderUnavailableError:
                self.refused += 1
                tries += 1
                self.longest = max(self.longest, tries)
                time.sleep(10 * PAUSE)
            else:
                return True
        return False

    # --- reading -----------------------------------------------------------------------------------

    def _read(self, cache: Any, bound: float) -> None:
        row = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            due = self._due(row, began - bound)
            value = cache.get_or_load(f"row:{row}", lambda row=row: self.source[row], tags=[f"row:{row}"])
            if value < due:
                self.stale.append(Stale(began - self._began, row, due - value))
            self.reads += 1
            row = (row + 7) % ROWS
            if not row % BREATH:  # or others in this process hardly get a turn
                time.sleep(PAUSE)
        cache.close()

    def _due(self, row: int, at: float) -> int:
        known = self._acknowledged[row][-64:]
        return max((value for moment, value in known if moment <= at), default=0)
