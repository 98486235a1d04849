"""When a connection may be used without a second thought, and when it must show first what it is good for.

Theory of operation: two things happen to a connection that no error tells.

*It is dead.* Balancers and firewalls forget connections that were silent for minutes, and a frozen function sleeps
through the end of its own. A question then has no answer, for the whole timeout. So one that was silent for
`IDLE_SECONDS` is opened anew instead.

*It leads to a replica.* A failover that was planned demotes a primary without closing anything, and a replica answers
reads: with what it has. Writes are refused there, and so noticed; somebody who only reads would be served from behind
for ever. So a connection to a primary asks `HELLO`, which everybody may, once in `watch` seconds, in the same write
as what it is used for. What it read in between is as old as that, plus what the replica lags behind.

Both go by the wall clock: a frozen process's other clocks stand still.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as ConnectionLostError
from redis.exceptions import ReadOnlyError

from staleproof.errors import ConfigurationError
from staleproof.providers.redis.exchange import commands

IDLE_SECONDS = 120.0
"""Below the 350 seconds after which AWS's load balancers and NAT gateways forget a connection."""

STEP = 1.0
"""Seconds for which a connection counts as used just now."""

WATCH = 1.0
"""Seconds for which a connection to a primary is believed."""

ROLE = commands([("HELLO",)]).packed
PRIMARIES = (b"master", b"primary")


class DemotedError(ReadOnlyError, ConnectionLostError):
    """The connection leads to a replica, where a primary is wanted."""


class Proof(NamedTuple):
    """From when until when a connection needs no second thought, seconds by the wall clock."""

    since: float
    until: float

    @classmethod
    def of(cls, now: float, watch: float) -> Proof:
        """Return that of a connection that has shown at *now* what it is good for."""
        return cls(now, now + (STEP if watch == inf else watch))

    def is_old(self, now: float) -> bool:
        """Say whether the connection has been silent for too long."""
        return not 0 <= now - self.since <= IDLE_SECONDS


UNPROVED = Proof(inf, inf)


def checked_watch(watch: float) -> float:
    """Return *watch*, in seconds.

    Raises:
        ConfigurationError: it is negative, or no number.
    """
    given: object = watch
    if not isinstance(given, int | float) or not given >= 0:
        raise ConfigurationError(f"watch={watch!r}: use seconds, 0 to ask each time, math.inf never to ask")
    return float(watch)


def must_be_primary(reply: Any) -> None:
    """Raise unless the reply to `ROLE` comes from a primary; a server that does not tell is believed.

    Raises:
        DemotedError: it comes from a replica.
    """
    if not isinstance(reply, list):
        return
    told = dict(zip(reply[::2], reply[1::2], strict=False))
    if told.get(b"role", PRIMARIES[0]) not in PRIMARIES:
        raise DemotedError("it leads to a replica, and a primary is wanted")
