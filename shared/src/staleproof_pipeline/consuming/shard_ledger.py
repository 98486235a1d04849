"""Who reads which shard of a DynamoDB stream, and how far it has come: kept on the journal's server.

Theory of operation. A hash holds a mark a shard: a sequence number, `BEGUN` for a shard that was begun at its newest
record and has given none yet, `END` for one that is read through. A lease, a key with an end of life, says who reads a
shard; workers register in a sorted set, so that each takes its share and no more. A lease is no lock: after a pause two
workers may read a shard for a while, and an older mark may overwrite a newer one. Both only repeat (P4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.stream_line import StreamLine

END, BEGUN = "END", "BEGUN"
LEASE = 30.0
"""Seconds that a lease lives without being renewed."""

_TAKE = """
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_GIVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class ShardLedger:
    """Marks and leases of one stream and group.

    Args:
        line: a connection to the server.
        name: of the stream and the group together; all keys lie in its slot.
        worker: this worker's name; no two share one.
        lease: seconds that a lease lives.
        clock: the source of time, for the register of workers.
    """

    def __init__(
        self, line: StreamLine, name: str, worker: str, *, lease: float = LEASE, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._line = line
        self._marks, self._workers, self._lease = keys(name)
        self.lease = lease
        self._worker = worker
        self._lease_ms = round(lease * 1_000)
        self._clock = clock

    def marks(self) -> dict[str, str]:
        """Return the marks of all shards that have one."""
        (flat,) = self._ask(("HGETALL", self._marks))
        texts = [each.decode() for each in flat]
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def mark(self, marks: Mapping[str, str]) -> None:
        """Set the marks of some shards."""
        if marks:
            self._ask(("HSET", self._marks, *(word for pair in marks.items() for word in pair)))

    def forget(self, shards: Collection[str]) -> None:
        """Drop the marks of shards that the stream does not list any more."""
        if shards:
            self._ask(("HDEL", self._marks, *shards))

    def share(self, shards: Sequence[str], held: Collection[str]) -> set[str]:
        """Renew what is *held*, take or give back until this worker has its share of *shards*; return what it has."""
        now = round(self._clock.wall() * 1_000)
        _, _, alive = self._ask(
            ("ZADD", self._workers, now, self._worker),
            ("ZREMRANGEBYSCORE", self._workers, "-inf", now - self._lease_ms),
            ("ZCARD", self._workers),
        )
        most = -(-len(shards) // max(1, alive))
        kept = [each for each in shards if each in held]
        self.give_back(kept[most:])
        wanted = [*kept[:most], *(each for each in shards if each not in held)]
        ours: set[str] = set()
        for shard in wanted:
            if len(ours) < most and self._take(shard):
                ours.add(shard)
        return ours

    def give_back(self, shards: Collection[str]) -> None:
        """Let others have these shards at once."""
        if shards:
            self._ask(*(("EVAL", _GIVE, 1, self._lease + each.encode(), self._worker) for each in shards))

    def leave(self, held: Collection[str]) -> None:
        """Give everything back, and be no worker any more."""
        self.give_back(held)
        self._ask(("ZREM", self._workers, self._worker))
        self._line.close()

    def _take(self, shard: str) -> bool:
        (took,) = self._ask(("EVAL", _TAKE, 1, self._lease + shard.encode(), self._worker, self._lease_ms))
        return bool(took)

    def _ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = self._line.ask(*commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._line.refused(reply)
        return replies


def keys(name: str) -> tuple[bytes, bytes, bytes]:
    """Return the keys of the marks and of the workers, and what those of leases begin with; all of one slot."""
    slot = f"staleproof:{{shards:{name.replace('{', '(').replace('}', ')')}}}"
    marks, workers, lease = (f"{slot}:{each}".encode() for each in ("marks", "workers", "lease:"))
    return marks, workers, lease
