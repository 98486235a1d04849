"""Bodies that count distinct members without keeping them: HyperLogLog, with an error of about 0.8 %.

A member's hash chooses one of 16,384 registers by 14 of its bits, and each register keeps the most zeros that the other
50 began with. How many members there were is estimated from how the registers are spread (Otmar Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches", 2017, algorithm 6). The hash is not that of a server, so what one holds
is of no use to the other.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from math import inf, log
from typing import Any

from staleproof.providers.memory_structures.kinds import Arguments, Command, refused
from staleproof.providers.memory_structures.texts import Text

BITS = 14
REGISTERS = 1 << BITS
RANKS = 64 - BITS
ALPHA = 0.5 / log(2)


class Registers(Text):
    """The registers; none yet if it is empty."""


def _add(body: Registers, arguments: Arguments, _: int) -> Any:
    body = _whole(body)
    changed = False
    for member in arguments:
        hashed = int.from_bytes(blake2b(member, digest_size=8).digest(), "big")
        at, rest = hashed & (REGISTERS - 1), hashed >> BITS
        rank = RANKS - rest.bit_length() + 1
        if rank > body[at]:
            body[at] = rank
            changed = True
    return int(changed)


def _whole(body: Registers) -> Registers:
    if not body:
        body.extend(bytes(REGISTERS))
    return body


def _count(body: Registers, _: Arguments, __: int) -> Any:
    if not body:
        return 0
    held = Counter(bytes(body))
    estimate = REGISTERS * _tau(1 - held[RANKS + 1] / REGISTERS)
    for rank in range(RANKS, 0, -1):
        estimate = 0.5 * (estimate + held[rank])
    estimate += REGISTERS * _sigma(held[0] / REGISTERS)
    return round(ALPHA * REGISTERS * REGISTERS / estimate)


def _sigma(share: float) -> float:
    if share == 1:
        return inf
    factor, total, before = 1.0, share, -1.0
    while total != before:
        share *= share
        before = total
        total += share * factor
        factor += factor
    return total


def _tau(share: float) -> float:
    if share in {0.0, 1.0}:
        return 0.0
    factor, total, before = 1.0, 1 - share, -1.0
    while total != before:
        share **= 0.5
        before = total
        factor *= 0.5
        total -= (1 - share) ** 2 * factor
    return total / 3


def _merge(body: Registers, arguments: Arguments, _: int) -> Any:
    body = _whole(body)
    for other in arguments:
        if len(other) != REGISTERS:
            raise refused("WRONGTYPE Key is not a valid HyperLogLog string value.")
        body[:] = bytes(map(max, body, other))
    return 1


COMMANDS = {
    "PFADD": Command(Registers, _add),
    "PFCOUNT": Command(Registers, _count),
    "PFMERGE": Command(Registers, _merge),
}
