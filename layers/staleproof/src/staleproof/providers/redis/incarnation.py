"""Whether the server is still the one that acknowledged: for servers that may come back with older data.

Theory of operation
-------------------
A server restored from a snapshot, or a replica promoted before it had everything, holds old values under old versions:
they fit together, so they are hits. What it forgot are invalidations that were acknowledged, and no look at the data
can tell. But it is another *incarnation*: another process, or another line of replication. So a namespace may keep the
name of the incarnation in which it was last known to be whole. Every connection, before it carries anything else,
compares that with the server it has reached. If they differ, the namespace is cleared first, and the new name kept
then, in this order: whoever stops in between leaves it to the next.

A process reaches another incarnation only by a new connection, so nothing that was forgotten is served by those who
compare (P6). It costs a round trip a connection, and the namespace's values at every restart and failover, also at one
that lost nothing. A namespace that never kept a name is cleared once.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

from staleproof.errors import ConfigurationError
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.providers.redis.exchange import commands

if TYPE_CHECKING:
    from staleproof.providers.redis.journal import JournalSteps
    from staleproof.providers.redis.steps import Step

Restarts: TypeAlias = Literal["trust", "clear"]

_PROCESS = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_LINE = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)


def checked(restarts: Restarts) -> Restarts:
    """Return *restarts*.

    Raises:
        ConfigurationError: it is neither `"trust"` nor `"clear"`.
    """
    if restarts not in {"trust", "clear"}:
        raise ConfigurationError(f"restarts={restarts!r} is neither 'trust' nor 'clear'")
    return restarts


def incarnation(server: object, replication: object) -> bytes:
    """Return the name of the incarnation that answered `INFO server` and `INFO replication`.

    Raises:
        ConfigurationError: it does not tell.
    """
    process = _PROCESS.search(server) if isinstance(server, bytes) else None
    if process is None:
        raise ConfigurationError(
            "restarts='clear' needs INFO, which this server or user does not have; allow it, or use restarts='trust'"
        )
    line = _LINE.search(replication) if isinstance(replication, bytes) else None
    return process.group(1) + b":" + (line.group(1) if line else b"")


def vouch(steps: JournalSteps) -> Step[bool]:
    """Clear the namespace if another incarnation answers than the one it was whole in; say whether."""
    keys = steps.keys
    server, replication, known = yield commands(
        [("INFO", "server"), ("INFO", "replication"), ("GET", keys.incarnation)], foreign=True
    )
    found = incarnation(server, replication)
    if known == found:
        return False
    at_ms = time.time_ns() // 1_000_000
    record = Invalidation(id=new_id(), origin="", namespace=keys.namespace, clear=True, at_ms=at_ms)
    yield steps.invalidate([record], [record])
    yield commands([("SET", keys.incarnation, found)])
    return True
