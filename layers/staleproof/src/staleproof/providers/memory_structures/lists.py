"""Bodies that are lists."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

from staleproof.providers.memory_structures.kinds import Arguments, Command, bounds, integer


class Row(deque[bytes]):
    """A list that is long at no cost at either end."""


def _rpush(body: Row, arguments: Arguments, _: int) -> Any:
    body.extend(map(bytes, arguments))
    return len(body)


def _lpush(body: Row, arguments: Arguments, _: int) -> Any:
    body.extendleft(map(bytes, arguments))
    return len(body)


def _lpop(body: Row, _: Arguments, __: int) -> Any:
    return body.popleft() if body else None


def _rpop(body: Row, _: Arguments, __: int) -> Any:
    return body.pop() if body else None


def _lrange(body: Row, arguments: Arguments, _: int) -> Any:
    return list(islice(body, *bounds(integer(arguments[0]), integer(arguments[1]), len(body))))


def _ltrim(body: Row, arguments: Arguments, _: int) -> Any:
    kept = _lrange(body, arguments, 0)
    body.clear()
    body.extend(kept)
    return b"OK"


def _llen(body: Row, _: Arguments, __: int) -> Any:
    return len(body)


def _lindex(body: Row, arguments: Arguments, _: int) -> Any:
    at = integer(arguments[0])
    return body[at] if -len(body) <= at < len(body) else None


COMMANDS = {
    "RPUSH": Command(Row, _rpush),
    "LPUSH": Command(Row, _lpush),
    "LPOP": Command(Row, _lpop),
    "RPOP": Command(Row, _rpop),
    "LRANGE": Command(Row, _lrange),
    "LTRIM": Command(Row, _ltrim),
    "LLEN": Command(Row, _llen),
    "LINDEX": Command(Row, _lindex),
}
