"""Deferred invalidations in a sorted set on the cache's server, for workers without SQS.

Theory of operation. A member is an invalidation, its score the time at which it is due, in UTC milliseconds of the
server's clock, which stores and gives out: workers' clocks differ, and the edge of a window that a fast one applied too
early would stand for changes that come after it. It is stored before its record counts as handled, and removed after it
was applied; so a worker that dies in between repeats it, and several workers that find the same one do the same twice
(P4). The set has no time to live, and is as durable as its server: choose a `maxmemory-policy` that spares such keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import CacheError
from staleproof.events.invalidation import encode
from staleproof_pipeline.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.consuming.stream_line import StreamLine
    from staleproof_pipeline.followups import Deferred

TOGETHER = 1_000
"""Members of one command: a server of ElastiCache Serverless takes 3,999 arguments."""

_NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000) "
# A millisecond is begun when it is stored: it is over a whole one later.
_DEFER = f"""{_NOW}
for at = 1, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', now + 1 + ARGV[at]), ARGV[at + 1])
end
return #ARGV
"""
_DUE = f"""{_NOW}
return redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, ARGV[1])
"""


class DeferralSet:
    """A `Deferrer`.

    Args:
        connect: makes the line to the server when it is first needed.
        key: the set's key.
    """

    def __init__(self, connect: Callable[[], StreamLine], key: bytes) -> None:
        self._connect = connect
        self._line: StreamLine | None = None
        self._key = key

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """See `Deferrer.defer`. What is there already stays as early as it is."""
        members = [
            part
            for each in items
            for invalidation in each.invalidation.parts()
            for part in (each.delay_ms, encode(invalidation))
        ]
        try:
            for start in range(0, len(members), 2 * TOGETHER):
                self._ask("EVAL", _DEFER, 1, self._key, *members[start : start + 2 * TOGETHER])
        except CacheError as error:
            failure = DeliveryError(f"deferral set: {error}; check STALEPROOF_DEFERRAL_SET and its server")
            return [failure] * len(items)
        return [None] * len(items)

    def due(self, count: int) -> list[bytes]:
        """Return at most *count* that are due, as records of `DUE`; they stay until they are `done`.

        Raises:
            CacheError: the server is away, or refuses.
        """
        found: list[bytes] = self._ask("EVAL", _DUE, 1, self._key, count)
        return found

    def waiting(self) -> int:
        """Return how many there are, due or not; raises as `due` does."""
        return int(self._ask("ZCARD", self._key))

    def done(self, records: Sequence[bytes]) -> None:
        """Remove what was applied; raises as `due` does."""
        for start in range(0, len(records), TOGETHER):
            self._ask("ZREM", self._key, *records[start : start + TOGETHER])

    def close(self) -> None:
        """Close the connection."""
        if self._line is not None:
            self._line.close()

    def _ask(self, *command: Any) -> Any:
        self._line = self._line or self._connect()
        (reply,) = self._line.ask(command)
        if isinstance(reply, Exception):
            raise self._line.refused(reply)
        return reply
