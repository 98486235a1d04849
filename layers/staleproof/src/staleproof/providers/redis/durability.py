"""`durability="replicated"`: an invalidation is acknowledged when every replica that is online has it.

Theory of operation
-------------------
Replication is asynchronous: a primary that dies may take acknowledged writes with it, and the replica that is promoted
still has the old versions. So behind the writes, on the same connection, go `WAIT` and `INFO replication`: the server
holds the answer back until so many replicas have everything up to here, and then says how many are online. If fewer
have it, nothing is acknowledged.

*How many* is not the caller's guess. The number asked for is the number that were online the last time; if more are
now, one waits again, for all of them. None online is nothing replicated, and not acknowledged either.

*What `WAIT` waits for* is the last write of its own connection, on newer servers only one that changed something. To
remove what is gone already changes nothing; but it may have gone by an earlier attempt that no replica has seen. So the
last write is one that always counts: the journal's record, or a *mark*, a key that expires within seconds.

What remains: a replica that was not online when the invalidation was acknowledged, and is promoted all the same. Redis
prefers the replica that has most.

Source: https://valkey.io/commands/wait/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.redis.exchange import Exchange, commands

if TYPE_CHECKING:
    from collections.abc import Generator

Durability: TypeAlias = Literal["primary", "replicated"]

MARK_MS = 2_000
"""How long a mark stands."""

WAIT_SHARE = 0.5
"""The part of the timeout for which a server waits for its replicas: its answer must still come in time."""

_ONLINE = re.compile(rb"^(?:slave|replica)\d+:[^\r\n]*\bstate=online\b", re.MULTILINE)
_INFO = commands([("INFO", "replication")]).packed


def checked(durability: Durability) -> bool:
    """Say whether *durability* is `"replicated"`.

    Raises:
        ConfigurationError: it is neither that nor `"primary"`.
    """
    if durability not in {"primary", "replicated"}:
        raise ConfigurationError(f"durability={durability!r} is neither 'primary' nor 'replicated'")
    return durability == "replicated"


def told(options: dict[str, Any]) -> Durability:
    """Take `durability=` of an address's query out of *options*, what was read of it, and return it.

    Raises:
        ConfigurationError: it is neither `"primary"` nor `"replicated"`.
    """
    durability: Durability = options.pop("durability", "primary")
    checked(durability)
    return durability


def mark(name: bytes) -> bytes:
    """Pack the write of the mark *name*."""
    return commands([("SET", name, b"", "PX", MARK_MS)]).packed


class Waiting(NamedTuple):
    """What is sent behind the writes, two replies; and for how many *replicas* it waits."""

    packed: bytes
    replicas: int


class Replicas:
    """How many replicas of one primary were online the last time.

    Args:
        where: the primary's address, for messages.
        timeout: seconds that a reply may take.
        count: what is known from elsewhere.
    """

    def __init__(self, where: str, timeout: float, count: int = 1) -> None:
        self._where = where
        self._wait_ms = max(1, round(1_000 * timeout * WAIT_SHARE))
        self._count = max(1, count)

    def waiting(self) -> Waiting:
        """Return what to send behind the writes."""
        count = self._count
        return Waiting(commands([("WAIT", count, self._wait_ms)]).packed + _INFO, count)

    def have(self, asked: int, acknowledged: Any, info: Any) -> bool:
        """Say whether all have the writes, from the two replies; if not, it was waited for too few of them.

        Raises:
            ProviderUnavailableError: too few had them in time, or none is online.
            ProviderRejectedError: the server does not tell.
        """
        if not isinstance(acknowledged, int) or not isinstance(info, bytes):
            raise ProviderRejectedError(
                f"{self._where} refused WAIT or INFO, which durability='replicated' needs: "
                f"{acknowledged if isinstance(acknowledged, Exception) else info}; allow both to the user"
            )
        online = len(_ONLINE.findall(info))
        self._count = max(1, online)
        if online and acknowledged >= online:
            return True
        if online > asked:
            return False
        had = f"{acknowledged} of {online} replicas have it" if online else "no replica is online"
        raise ProviderUnavailableError(
            f"what was written is applied at {self._where} but not acknowledged, for {had}; retry"
        )


def settle(exchange: Exchange, replicas: Replicas, name: bytes) -> Generator[Exchange, list[Any], list[Any]]:
    """Send *exchange*, whose last command writes in any case, and wait for *replicas*; *name* is that of a mark."""
    waiting = replicas.waiting()
    *replies, acknowledged, info = yield Exchange(exchange.packed + waiting.packed, exchange.replies + 2)
    if any(isinstance(reply, Exception) for reply in replies):
        return replies  # not acknowledged anyway
    while not replicas.have(waiting.replicas, acknowledged, info):
        waiting = replicas.waiting()
        _, acknowledged, info = yield Exchange(mark(name) + waiting.packed, 3)
    return replies
