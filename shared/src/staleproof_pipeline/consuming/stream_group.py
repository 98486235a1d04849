"""A consumer group of a Redis stream, by its commands.

Theory of operation. Whatever is read stays pending, with its consumer's name, until it is acknowledged; so a consumer
that dies leaves it to others (`pending`, `claim`). Two things can take an entry away unread: the producer trims the
stream below what was delivered, and the key, or the group, goes with a flush or a failover. Both are gaps: changes are
lost that nobody can name. The first is seen by counting, in the same step as every read: the server counts what was
ever added (`entries-added`), what there is (`length`) and what the group has read (`entries-read`), and trimming takes
from the beginning; so something unread is gone exactly if more is gone than was read. Then nothing is read, since a
read would move the counter, and nobody would find the gap again if its finder died. After it was made up for, `count`
corrects the counter, if nobody has read meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ResponseError

from staleproof_pipeline.consuming.stream_reply import Entry, Pending, Read, entries, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.consuming.stream_line import StreamLine

ACK_TOGETHER = 1_000
"""Ids of one XACK: a server of ElastiCache Serverless takes 3,999 arguments."""

MOST_PENDING = 10_000
"""Entries that one consumer may have in hand: its largest batch."""

FORGET_AFTER_MS = 3_600_000
"""A consumer that has nothing and has not been seen for an hour is forgotten."""

_READ = """
local stream, groups = redis.call('XINFO', 'STREAM', KEYS[1]), redis.call('XINFO', 'GROUPS', KEYS[1])
local added, length, read = 0, 0, nil
for at = 1, #stream, 2 do
  if stream[at] == 'entries-added' then added = stream[at + 1] end
  if stream[at] == 'length' then length = stream[at + 1] end
end
for _, group in ipairs(groups) do
  local told = {}
  for at = 1, #group, 2 do told[group[at]] = group[at + 1] end
  if told['name'] == ARGV[1] then read = told['entries-read'] end
end
if read and added - length > read then return {stream, groups, false} end
local options = {'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>'}
return {stream, groups, redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], unpack(options))}
"""
# The group's counter, if its place is still that which the counting was about.
_COUNT = """
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local name, place
  for at = 1, #group, 2 do
    if group[at] == 'name' then name = group[at + 1] end
    if group[at] == 'last-delivered-id' then place = group[at + 1] end
  end
  if name == ARGV[1] and place == ARGV[2] then
    redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], place, 'ENTRIESREAD', ARGV[3])
    return 1
  end
end
return 0
"""
# XGROUP DELCONSUMER discards what its consumer has; so only those that have nothing, in one step.
_FORGET = """
local gone = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local told = {}
  for at = 1, #consumer, 2 do told[consumer[at]] = consumer[at + 1] end
  local ours = told['name'] == ARGV[3]
  local wanted = ours and ARGV[4] == 'ours' or not ours and ARGV[4] == 'others' and told['idle'] > tonumber(ARGV[2])
  if told['pending'] == 0 and wanted then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told['name'])
    gone = gone + 1
  end
end
return gone
"""


class NoGroupError(Exception):
    """The stream, or its group, is not there."""


class Address(NamedTuple):
    """Who reads what.

    Attributes:
        stream: the stream's key.
        group: the group's name.
        consumer: this consumer's name; no two of a group share one.
    """

    stream: bytes
    group: bytes
    consumer: bytes


class StreamGroup:
    """The commands; each raises as `StreamLine.ask` does, `NoGroupError`, or `ProviderRejectedError`."""

    def __init__(self, line: StreamLine, address: Address) -> None:
        self._line = line
        self.address = address

    def create(self, *, latest: bool = False) -> bool:
        """Create the group, and the stream, unless it exists; say whether it did not. It begins with what there is."""
        stream, group, _ = self.address
        (told,) = self._line.ask(("XINFO", "STREAM", stream))
        facts = {} if isinstance(told, Exception) else table(told)
        added, length = facts.get(b"entries-added", 0), facts.get(b"length", 0)
        place = (b"$", added) if latest else (b"0", added - length)
        (made,) = self._line.ask(
            ("XGROUP", "CREATE", stream, group, place[0], "MKSTREAM", "ENTRIESREAD", max(0, place[1]))
        )
        if isinstance(made, Exception):
            if str(made).startswith("BUSYGROUP"):
                return False
            raise self._line.refused(made)
        return True

    def read(self, count: int, done: Sequence[bytes] = ()) -> Read:
        """Acknowledge *done*, and take at most *count* new entries; none if some are lost."""
        stream, group, consumer = self.address
        acks = self._acks(done)
        replies = self._line.ask(*acks, ("EVAL", _READ, 1, stream, group, consumer, count))
        self._check(replies)
        return Read.of(replies[-1], group)

    def await_new(self, after: bytes, seconds: float) -> None:
        """Return when there is an entry behind *after*, or when time is up."""
        milliseconds = max(1, round(seconds * 1_000))
        (reply,) = self._line.ask(
            ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", self.address.stream, after)
        )
        self._check([reply])

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        """Acknowledge entries; those that are not pending do no harm."""
        if ids:
            self._check(self._line.ask(*self._acks(ids)))

    def take_over(self, idle_ms: int, count: int) -> list[bytes]:
        """Take over what consumers have had for longer than *idle_ms*; return ids that were trimmed meanwhile.

        It is no delivery: `claim` is. What was trimmed is pending no more.
        """
        stream, group, consumer = self.address
        (reply,) = self._line.ask(
            ("XAUTOCLAIM", stream, group, consumer, idle_ms, "0-0", "COUNT", count, "JUSTID")
        )
        self._check([reply])
        return [bytes(each) for each in reply[2]]

    def abandoned(self, idle_ms: int, count: int, done: Sequence[bytes] = ()) -> list[Pending]:
        """Acknowledge *done*; return what anybody has had for longer than *idle_ms*, oldest first."""
        stream, group, _ = self.address
        acks = self._acks(done)
        replies = self._line.ask(*acks, ("XPENDING", stream, group, "IDLE", idle_ms, "-", "+", count))
        self._check(replies)
        return _pending(replies[-1])

    def pending(self, count: int) -> list[Pending]:
        """Return what this consumer has taken and not acknowledged, oldest first."""
        stream, group, consumer = self.address
        (reply,) = self._line.ask(("XPENDING", stream, group, "-", "+", count, consumer))
        self._check([reply])
        return _pending(reply)

    def claim(self, ids: Sequence[bytes]) -> list[Entry]:
        """Return those of *ids* that are there and pending; this counts as a delivery."""
        stream, group, consumer = self.address
        (reply,) = self._line.ask(("XCLAIM", stream, group, consumer, 0, *ids))
        self._check([reply])
        return entries(reply)

    def give_back(self, ids: Sequence[bytes], idle_ms: int) -> None:
        """Let others take *ids* over at once, those that this consumer still has, as if nobody had taken them yet."""
        ours = {each.id for each in self.pending(MOST_PENDING)} if ids else set()
        stream, group, consumer = self.address
        for at in range(0, len(ids), ACK_TOGETHER):
            some = [each for each in ids[at : at + ACK_TOGETHER] if each in ours]
            if some:
                claiming = ("XCLAIM", stream, group, consumer, 0, *some, "IDLE", idle_ms + 1, "RETRYCOUNT", 0)
                self._check(self._line.ask((*claiming, "JUSTID")))

    def existing(self, ids: Sequence[bytes]) -> list[Entry]:
        """Return those of *ids* that are in the stream; this is no delivery."""
        replies = self._line.ask(*(("XRANGE", self.address.stream, each, each) for each in ids))
        self._check(replies)
        return [entry for reply in replies for entry in entries(reply)]

    def count(self, place: bytes, entries_read: int) -> None:
        """Set how many entries the group has read, if it still stands at *place*."""
        stream, group, _ = self.address
        self._check(self._line.ask(("EVAL", _COUNT, 1, stream, group, place, entries_read)))

    def forget_others(self, idle_ms: int = FORGET_AFTER_MS) -> int:
        """Forget consumers that have nothing and have not been seen for so long; return how many."""
        return self._forget(idle_ms, "others")

    def leave(self) -> None:
        """Forget this consumer, unless it still has something."""
        self._forget(0, "ours")

    def _forget(self, idle_ms: int, whom: str) -> int:
        stream, group, consumer = self.address
        (reply,) = self._line.ask(("EVAL", _FORGET, 1, stream, group, idle_ms, consumer, whom))
        self._check([reply])
        return int(reply)

    def _acks(self, ids: Sequence[bytes]) -> list[tuple[Any, ...]]:
        stream, group, _ = self.address
        return [
            ("XACK", stream, group, *ids[at : at + ACK_TOGETHER]) for at in range(0, len(ids), ACK_TOGETHER)
        ]

    def _check(self, replies: Sequence[Any]) -> None:
        for reply in replies:
            if isinstance(reply, ResponseError) and _is_absence(reply):
                raise NoGroupError(str(reply))
            if isinstance(reply, Exception):
                raise self._line.refused(reply)


def _pending(reply: Sequence[Any]) -> list[Pending]:
    return [Pending(bytes(place), int(times)) for place, _, _, times in reply]


def _is_absence(error: ResponseError) -> bool:
    text = str(error)
    return text.startswith("NOGROUP") or "no such key" in text
