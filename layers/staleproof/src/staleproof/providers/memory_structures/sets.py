"""Bodies that are sets."""

from __future__ import annotations

import random
from typing import Any

from staleproof.providers.memory_structures.kinds import Arguments, Command, integer


class Members(dict[bytes, None]):
    """Members, in the order in which they came: a dict, for a random one of a `set` costs a walk through all."""


def _sadd(body: Members, arguments: Arguments, _: int) -> Any:
    before = len(body)
    body.update(dict.fromkeys(arguments))
    return len(body) - before


def _srem(body: Members, arguments: Arguments, _: int) -> Any:
    before = len(body)
    for member in arguments:
        body.pop(member, None)
    return before - len(body)


def _spop(body: Members, _: Arguments, __: int) -> Any:
    if not body:
        return None
    member = random.choice(list(body))
    del body[member]
    return member


def _srandmember(body: Members, arguments: Arguments, _: int) -> Any:
    count = integer(arguments[0])
    return random.sample(list(body), min(count, len(body)))


COMMANDS = {
    "SADD": Command(Members, _sadd),
    "SREM": Command(Members, _srem),
    "SPOP": Command(Members, _spop),
    "SRANDMEMBER": Command(Members, _srandmember),
    "SISMEMBER": Command(Members, lambda body, arguments, _: int(arguments[0] in body)),
    "SMISMEMBER": Command(Members, lambda body, arguments, _: [int(each in body) for each in arguments]),
    "SMEMBERS": Command(Members, lambda body, _, __: list(body)),
    "SCARD": Command(Members, lambda body, _, __: len(body)),
    "SSCAN": Command(Members, lambda body, _, __: [b"0", list(body)]),  # a page may be of any size: all of it
}
