"""The journals of all regions, followed while the demo runs: when each change's invalidation was acknowledged where.

An invalidation is in the journal before the function that applied it returns, so a change counts as acknowledged
from the moment at which somebody who waits for its record has it: as a rule before that function returns. If this
process was scheduled late, the server's own stamp counts instead. The stamp is a whole millisecond, cut off, and
counts by its end; so no change counts as acknowledged more than `GRACE_NS` after the server appended its record,
and nobody's slowness here excuses a reader for longer than that.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

from staleproof.events import invalidation as wire
from staleproof.keys import Keyspace

if TYPE_CHECKING:
    from staleproof.events import Invalidation

BLOCK_MS = 100
PAGE = 500
GRACE_NS = 1_000_000
SAMPLES = 3


class Applied(NamedTuple):
    """One record of a journal: when it counts as acknowledged, in monotonic nanoseconds, and what it says."""

    acknowledged: int
    record: Invalidation


class JournalFollower(threading.Thread):
    """Follows one region's journal until `stop`.

    Attributes:
        applied: what it has read so far, in the journal's order.
        error: why it ended before that, or None.
    """

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(name=f"journal {url}", daemon=True)
        self.applied: list[Applied] = []
        self._ids: set[str] = set()
        self.error: BaseException | None = None
        self._client: Any = redis.Redis.from_url(url, protocol=2)
        self._journal = Keyspace(namespace).journal
        self._place: bytes | str = "0-0"
        self._stopped = threading.Event()

    def run(self) -> None:
        """Read until stopped; what goes wrong is kept."""
        try:
            while not self._stopped.is_set():
                self._read()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._client.close()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stopped.set()
        self.join()

    @property
    def distinct(self) -> int:
        """How many different events were applied."""
        return len(self._ids)

    def _read(self) -> None:
        answer = self._client.xread({self._journal: self._place}, count=PAGE, block=BLOCK_MS)
        seen, ahead = time.monotonic_ns(), wall_ahead()
        for _, entries in answer or ():
            for place, fields in entries:
                self._place = place
                record = wire.decode(fields[b"d"])
                if record.tags or record.keys:
                    self._ids.add(record.id)
                    self.applied.append(Applied(acknowledged(place, seen, ahead), record))


def wall_ahead() -> int:
    """Return by how many nanoseconds the wall clock is ahead of the monotonic one.

    A process that is interrupted between two readings would move every stamp, so the closest of a few counts.
    """
    samples = []
    for _ in range(SAMPLES):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        samples.append((after - before, wall - after))
    return min(samples)[1]


def acknowledged(place: bytes, seen: int, ahead: int) -> int:
    """Return when the record at *place* counts as acknowledged.

    Args:
        place: `milliseconds-sequence`, the first by the server's wall clock.
        seen: monotonic nanoseconds at which it was here.
        ahead: by how much the wall clock was ahead of it, in nanoseconds.
    """
    stamped = int(place.partition(b"-")[0]) * 1_000_000 - ahead
    return min(seen, stamped + GRACE_NS)
