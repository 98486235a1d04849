"""Bodies that are one string: counters and bitmaps."""

from __future__ import annotations

from typing import Any

from staleproof.providers.memory_structures.kinds import (
    Arguments,
    Command,
    added,
    added_floats,
    integer,
    number,
    refused,
    written,
)

NO_INTEGER = "ERR value is not an integer or out of range"


class Text(bytearray):
    """A string that can be changed; one that is empty is none."""


def _get(body: Text, _: Arguments, __: int) -> Any:
    return bytes(body) if body else None


def _set(body: Text, arguments: Arguments, _: int) -> Any:
    body[:] = arguments[0]
    return b"OK"


def _incrby(body: Text, arguments: Arguments, _: int) -> Any:
    total = added(integer(bytes(body) or b"0"), integer(arguments[0]))
    body[:] = b"%d" % total
    return bytes(body)


def _incrbyfloat(body: Text, arguments: Arguments, _: int) -> Any:
    total = added_floats(number(bytes(body) or b"0"), number(arguments[0]))
    body[:] = written(total)
    return bytes(body)


# --- bits: the first one is the most significant of the first byte ------------------------------------------


def _setbit(body: Text, arguments: Arguments, _: int) -> Any:
    at, bit = integer(arguments[0]), integer(arguments[1])
    byte, mask = at >> 3, 0x80 >> (at & 7)
    if byte >= len(body):
        body.extend(bytes(byte + 1 - len(body)))
    old = 1 if body[byte] & mask else 0
    body[byte] = body[byte] | mask if bit else body[byte] & ~mask
    return old


def _getbit(body: Text, arguments: Arguments, _: int) -> Any:
    at = integer(arguments[0])
    byte = at >> 3
    return 1 if byte < len(body) and body[byte] & (0x80 >> (at & 7)) else 0


def _bits(body: Text, start: int, stop: int) -> tuple[int, int, int]:
    """Return the bits from *start* to *stop* as a number, how many these are, and where they begin."""
    length = 8 * len(body)
    first = max(0, start + length if start < 0 else start)
    last = min(stop + length if stop < 0 else stop, length - 1)
    if first > last:
        return 0, 0, first
    whole = int.from_bytes(body, "big") >> (length - 1 - last)
    return whole & ((1 << (last - first + 1)) - 1), last - first + 1, first


def _bitcount(body: Text, arguments: Arguments, _: int) -> Any:
    if not arguments:
        return int.from_bytes(body, "big").bit_count()
    if bytes(arguments[2]).upper() != b"BIT":
        raise refused("ERR syntax error")
    return _bits(body, integer(arguments[0]), integer(arguments[1]))[0].bit_count()


def _bitpos(body: Text, arguments: Arguments, _: int) -> Any:
    bit = integer(arguments[0])
    if not body:
        return -1 if bit else 0
    start = 8 * integer(arguments[1]) if len(arguments) > 1 else 0
    found, length, first = _bits(body, start, -1)
    wanted = found if bit else found ^ ((1 << length) - 1)
    if wanted:
        return first + length - wanted.bit_length()
    return -1 if bit or not length else first + length


COMMANDS = {
    "GET": Command(Text, _get),
    "SET": Command(Text, _set),
    "INCRBY": Command(Text, _incrby),
    "INCRBYFLOAT": Command(Text, _incrbyfloat),
    "SETBIT": Command(Text, _setbit),
    "GETBIT": Command(Text, _getbit),
    "BITCOUNT": Command(Text, _bitcount),
    "BITPOS": Command(Text, _bitpos),
}
