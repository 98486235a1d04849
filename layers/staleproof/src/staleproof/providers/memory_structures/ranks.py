"""Bodies that are sorted sets; a place on earth is a member whose score says where (`staleproof...geo`)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from staleproof.providers.memory_structures.kinds import (
    Arguments,
    Command,
    bounds,
    integer,
    number,
    refused,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = {b"NX", b"XX", b"GT", b"LT", b"CH"}


class Ranks(dict[bytes, float]):
    """Members with scores, and beside them all in order: by score, equal ones by their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple[float, bytes]] = []

    def put(self, member: bytes, score: float) -> None:
        """Set the score of *member*."""
        self.remove(member)
        self[member] = score
        insort(self.order, (score, member))

    def remove(self, member: bytes) -> bool:
        """Remove *member*; say whether it was there."""
        score = self.pop(member, None)
        if score is None:
            return False
        del self.order[bisect_left(self.order, (score, member))]
        return True


def add(body: Ranks, flags: set[bytes], pairs: Sequence[tuple[float, bytes]]) -> int:
    """Set scores as *flags* allow; return how many members are new, with `CH` also how many scores changed."""
    count = 0
    for score, member in pairs:
        held = body.get(member)
        if held is None:
            if b"XX" in flags:
                continue
            count += 1
        elif (
            b"NX" in flags
            or (b"GT" in flags and score <= held)
            or (b"LT" in flags and score >= held)
            or score == held
        ):
            continue
        else:
            count += b"CH" in flags
        body.put(member, score)
    return count


def _zadd(body: Ranks, arguments: Arguments, _: int) -> Any:
    rest = list(arguments)
    flags: set[bytes] = set()
    while rest[0] in FLAGS:
        flags.add(rest.pop(0))
    return add(
        body, flags, [(number(score), member) for score, member in zip(rest[::2], rest[1::2], strict=True)]
    )


def _zincrby(body: Ranks, arguments: Arguments, _: int) -> Any:
    total = body.get(arguments[1], 0.0) + number(arguments[0])
    if total != total:  # noqa: PLR0124 - NaN
        raise refused("ERR resulting score is not a number (NaN)")
    body.put(arguments[1], total)
    return written(total)


def _score(body: Ranks, member: bytes) -> Any:
    score = body.get(member)
    return None if score is None else written(score)


def _zrank(body: Ranks, arguments: Arguments, _: int) -> Any:
    score = body.get(arguments[0])
    return None if score is None else bisect_left(body.order, (score, arguments[0]))


def _zrevrank(body: Ranks, arguments: Arguments, _: int) -> Any:
    rank = _zrank(body, arguments, 0)
    return None if rank is None else len(body) - 1 - rank


def _place(body: Ranks, raw: bytes, *, upper: bool) -> int:
    """Return where in the order a bound by score lies, `(1.5` without and `1.5` with what is equal to it."""
    exclusive = raw.startswith(b"(")
    score = number(raw[1:] if exclusive else raw, "ERR min or max is not a float")
    return (bisect_right if upper != exclusive else bisect_left)(body.order, score, key=itemgetter(0))


def _between(body: Ranks, low: bytes, high: bytes) -> tuple[int, int]:
    start = _place(body, low, upper=False)
    return start, max(start, _place(body, high, upper=True))


def _zrange(body: Ranks, arguments: Arguments, _: int) -> Any:
    """Take `start stop [BYSCORE] [REV] [LIMIT offset count] [WITHSCORES]`."""
    options = list(arguments[2:])
    if b"BYSCORE" in options:
        low, high = (arguments[1], arguments[0]) if b"REV" in options else arguments[:2]
        found = body.order[slice(*_between(body, low, high))]
        found = found[::-1] if b"REV" in options else found
    else:
        ordered = body.order[::-1] if b"REV" in options else body.order
        found = ordered[slice(*bounds(integer(arguments[0]), integer(arguments[1]), len(body)))]
    if b"LIMIT" in options:
        at = options.index(b"LIMIT")
        offset, count = integer(options[at + 1]), integer(options[at + 2])
        found = found[offset : None if count < 0 else offset + count]
    if b"WITHSCORES" in options:
        return list(chain.from_iterable((member, written(score)) for score, member in found))
    return [member for _, member in found]


def _zcount(body: Ranks, arguments: Arguments, _: int) -> Any:
    start, stop = _between(body, *arguments)
    return stop - start


def _zremrangebyrank(body: Ranks, arguments: Arguments, _: int) -> Any:
    gone = body.order[slice(*bounds(integer(arguments[0]), integer(arguments[1]), len(body)))]
    return sum(body.remove(member) for _, member in gone)


COMMANDS = {
    "ZADD": Command(Ranks, _zadd),
    "ZINCRBY": Command(Ranks, _zincrby),
    "ZSCORE": Command(Ranks, lambda body, arguments, _: _score(body, arguments[0])),
    "ZMSCORE": Command(Ranks, lambda body, arguments, _: [_score(body, each) for each in arguments]),
    "ZRANK": Command(Ranks, _zrank),
    "ZREVRANK": Command(Ranks, _zrevrank),
    "ZRANGE": Command(Ranks, _zrange),
    "ZCOUNT": Command(Ranks, _zcount),
    "ZREM": Command(Ranks, lambda body, arguments, _: sum(map(body.remove, arguments))),
    "ZREMRANGEBYRANK": Command(Ranks, _zremrangebyrank),
    "ZCARD": Command(Ranks, lambda body, _, __: len(body)),
}
