"""What a provider must be able to do for data structures; an optional port, beside `Provider`.

Theory of operation
-------------------
A structure has a *key*, like an entry. Under the key's name lies a *stamp* instead of an entry, random bytes that go
when the key is evicted, as an entry would. What the structure holds, its *body*, lies under a name of its own, which is
made of the stamp and of the current versions of the structure's tags. So whatever rotates one of these, the body is not
found any more: the structure is empty, in constant time, and the old body ends with its time to live. Versions and
stamps are random and never come back, so neither does a body.

*The vocabulary* of operations is that of Redis, for it is known, exact, and what two of three servers speak: a command,
and its arguments behind the name of the body. Replies are those of RESP2: bytes, integers, None, lists of such. What is
not listed in `COMMANDS` is never asked. One command is not quite theirs: `PFMERGE` takes what other bodies hold, as
`GET` returns it, not their names.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from staleproof.tags import VERSION_BYTES, current, is_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.ports.answers import Observed
    from staleproof.tags import TagId

Argument: TypeAlias = "bytes | str | int"

COMMANDS = frozenset(
    """
    GET SET INCRBY INCRBYFLOAT SETBIT GETBIT BITCOUNT BITPOS PFADD PFCOUNT PFMERGE
    LPUSH RPUSH LPOP RPOP LRANGE LTRIM LLEN LINDEX
    HGET HMGET HSET HSETNX HDEL HGETALL HKEYS HEXISTS HLEN HINCRBY HINCRBYFLOAT
    SADD SREM SISMEMBER SMISMEMBER SMEMBERS SPOP SRANDMEMBER SCARD SSCAN
    ZADD ZINCRBY ZSCORE ZMSCORE ZRANK ZREVRANK ZRANGE ZCOUNT ZREM ZREMRANGEBYRANK ZCARD
    XADD XRANGE XREVRANGE XTRIM XLEN
    GEOADD GEOPOS GEODIST GEOSEARCH
    PTTL
    """.split()  # noqa: SIM905 - it reads better
)
"""Everything that a provider is asked to do with a body."""

STAMP = b"\xe7sp1"
STAMP_BYTES = len(STAMP) + VERSION_BYTES
DIGEST_BYTES = 16


class Operation(NamedTuple):
    """One command to a body.

    Attributes:
        command: one of `COMMANDS`.
        arguments: what stands behind the body's name.
        ttl_ms: for what writes, how long the body lives from then on, set in one step with the writing; 0 for a look.
        once: whether it must not be done twice: a second time it would do more, or tell something else.
    """

    command: str
    arguments: tuple[Argument, ...] = ()
    ttl_ms: int = 0
    once: bool = False


class StructuresProvider(Protocol):
    """The data structures of one namespace; a provider that has them has this as its attribute `structures`."""

    def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:
        """Return the name of the body of *key* under the current versions of *tags*.

        What is missing, stamp or versions, is made. Before a *write* all of them live for at least another *life_ms*;
        a look leaves their life as it is.

        Raises:
            ProviderRejectedError: under the key lies something else.
        """
        ...

    def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """Do *operations* in their order, and return a reply each.

        Raises:
            ProviderUnavailableError: the server cannot be reached; whether they are done is not known.
            ProviderRejectedError: one was refused, such as by a body of another kind; others are perhaps done.
        """
        ...


class AsyncStructuresProvider(Protocol):
    """`StructuresProvider`, as coroutines."""

    async def locate(self, key: str, tags: Sequence[TagId], life_ms: int, *, write: bool) -> bytes:
        """See `StructuresProvider.locate`."""
        ...

    async def operate(self, body: bytes, operations: Sequence[Operation]) -> list[Any]:
        """See `StructuresProvider.operate`."""
        ...


def is_stamp(held: object) -> bool:
    """Say whether *held*, found under a key's name, is the stamp of a structure."""
    return isinstance(held, bytes) and held.startswith(STAMP) and len(held) == STAMP_BYTES


def digest(stamp: bytes, versions: Sequence[bytes]) -> bytes:
    """Return what the name of a body ends in: of its *stamp*, and the current *versions* of its tags."""
    return blake2b(stamp + b"".join(versions), digest_size=DIGEST_BYTES).hexdigest().encode()


def observed_digest(observed: Observed) -> bytes | None:
    """Return `digest` of what a look at a key and its tags has found; None if something is missing or no version."""
    stamp, versions = observed
    if stamp is None or not is_stamp(stamp):
        return None
    known = [current(version) for version in versions if version is not None and is_version(version)]
    return digest(stamp, known) if len(known) == len(versions) else None


def occupied(key: str) -> str:
    """Return the message of who finds something else under *key*."""
    return f"{key[:80]!r} holds a cached value, and no data structure; evict it, or use another key"
