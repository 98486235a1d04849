"""Bodies that are hashes: fields with values."""

from __future__ import annotations

from itertools import chain
from typing import Any

from staleproof.providers.memory_structures.kinds import (
    Arguments,
    Command,
    added,
    added_floats,
    integer,
    number,
    written,
)


class Fields(dict[bytes, bytes]):
    """Fields with values."""


def _hset(body: Fields, arguments: Arguments, _: int) -> Any:
    before = len(body)
    body.update(zip(arguments[::2], arguments[1::2], strict=True))
    return len(body) - before


def _hsetnx(body: Fields, arguments: Arguments, _: int) -> Any:
    before = len(body)
    body.setdefault(arguments[0], arguments[1])
    return len(body) - before


def _hdel(body: Fields, arguments: Arguments, _: int) -> Any:
    return sum(body.pop(field, None) is not None for field in arguments)


def _hincrby(body: Fields, arguments: Arguments, _: int) -> Any:
    held = integer(body.get(arguments[0], b"0"), "ERR hash value is not an integer")
    body[arguments[0]] = b"%d" % added(held, integer(arguments[1]))
    return body[arguments[0]]


def _hincrbyfloat(body: Fields, arguments: Arguments, _: int) -> Any:
    held = number(body.get(arguments[0], b"0"), "ERR hash value is not a float")
    body[arguments[0]] = written(added_floats(held, number(arguments[1])))
    return body[arguments[0]]


COMMANDS = {
    "HSET": Command(Fields, _hset),
    "HSETNX": Command(Fields, _hsetnx),
    "HDEL": Command(Fields, _hdel),
    "HINCRBY": Command(Fields, _hincrby),
    "HINCRBYFLOAT": Command(Fields, _hincrbyfloat),
    "HGET": Command(Fields, lambda body, arguments, _: body.get(arguments[0])),
    "HMGET": Command(Fields, lambda body, arguments, _: [body.get(field) for field in arguments]),
    "HGETALL": Command(Fields, lambda body, _, __: list(chain.from_iterable(body.items()))),
    "HKEYS": Command(Fields, lambda body, _, __: list(body)),
    "HEXISTS": Command(Fields, lambda body, arguments, _: int(arguments[0] in body)),
    "HLEN": Command(Fields, lambda body, _, __: len(body)),
}
