"""Bodies that are streams: records in the order in which they came, each with an id of milliseconds and a number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, TypeAlias

from staleproof.providers.memory_structures.kinds import Arguments, Command, integer, refused

Place: TypeAlias = "tuple[int, int]"

LAST = 2**64 - 1
UNREADABLE = "ERR Invalid stream ID specified as stream command argument"


class Log:
    """Records in order. One that lost all of them is not gone: its next id must be above all that it gave."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.records: list[list[bytes]] = []
        self.last: Place = (0, 0)

    def __bool__(self) -> bool:
        return self.last > (0, 0)

    def cut(self, count: int) -> int:
        """Drop the oldest *count* records."""
        del self.places[:count], self.records[:count]
        return count


def _place(raw: bytes, sequence: int) -> Place:
    """Read an id, whose second number is *sequence* if it is left out."""
    milliseconds, dash, rest = bytes(raw).partition(b"-")
    if not milliseconds.isdigit() or (dash and not rest.isdigit()):
        raise refused(UNREADABLE)
    place = int(milliseconds), int(rest) if dash else sequence
    if max(place) > LAST:
        raise refused(UNREADABLE)
    return place


def _written(place: Place) -> bytes:
    return b"%d-%d" % place


def _xadd(body: Log, arguments: Arguments, now_ms: int) -> Any:
    """Take `[MAXLEN n] * field value`."""
    rest = list(arguments)
    most = integer(rest[1]) if rest[0] == b"MAXLEN" else None
    fields = rest[rest.index(b"*") + 1 :]
    body.last = (now_ms, 0) if now_ms > body.last[0] else (body.last[0], body.last[1] + 1)
    body.places.append(body.last)
    body.records.append(fields)
    if most is not None:
        body.cut(max(0, len(body.places) - most))
    return _written(body.last)


def _range(body: Log, low: bytes, high: bytes) -> slice:
    if low == b"-":
        start = 0
    elif low.startswith(b"("):
        start = bisect_right(body.places, _place(low[1:], 0))
    else:
        start = bisect_left(body.places, _place(low, 0))
    if high == b"+":
        return slice(start, None)
    if high.startswith(b"("):
        return slice(start, bisect_left(body.places, _place(high[1:], LAST)))
    return slice(start, bisect_right(body.places, _place(high, LAST)))


def _told(body: Log, part: slice, arguments: Arguments, *, newest_first: bool) -> Any:
    records = zip(body.places[part], body.records[part], strict=True)
    found = [[_written(place), list(fields)] for place, fields in records]
    if newest_first:
        found.reverse()
    return found[: integer(arguments[3])] if len(arguments) > 3 else found  # noqa: PLR2004 - low, high, COUNT, n


def _xrange(body: Log, arguments: Arguments, _: int) -> Any:
    return _told(body, _range(body, arguments[0], arguments[1]), arguments, newest_first=False)


def _xrevrange(body: Log, arguments: Arguments, _: int) -> Any:
    return _told(body, _range(body, arguments[1], arguments[0]), arguments, newest_first=True)


def _xtrim(body: Log, arguments: Arguments, _: int) -> Any:
    """Take `MAXLEN n` or `MINID id`."""
    if arguments[0] == b"MAXLEN":
        return body.cut(max(0, len(body.places) - integer(arguments[1])))
    return body.cut(bisect_left(body.places, _place(arguments[1], 0)))


COMMANDS = {
    "XADD": Command(Log, _xadd),
    "XRANGE": Command(Log, _xrange),
    "XREVRANGE": Command(Log, _xrevrange),
    "XTRIM": Command(Log, _xtrim),
    "XLEN": Command(Log, lambda body, _, __: len(body.places)),
}
