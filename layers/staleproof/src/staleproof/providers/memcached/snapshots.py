"""What stands before a load: its tags' versions, their row fences, and the guards; made where they are missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from staleproof.ports import Snapshot
from staleproof.providers.memcached import guard_log, lifetimes
from staleproof.providers.memcached.rounds import Round, at
from staleproof.providers.memcached.wire import get, put
from staleproof.tags import VERSION_BYTES, current, is_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.providers.memcached.rounds import Answers, Step, Ticket
    from staleproof.providers.memcached.view import View, Watched
    from staleproof.providers.memcached.wire import Reply
    from staleproof.tags import TagId

UNREADABLE_ROW = 2**64
"""Above every row version: under a fence that cannot be read, nothing is stored (P6)."""
MAX_ROW_DIGITS = 20


class Look(NamedTuple):
    """Where the replies will be that tell of one tag, and the version that was offered for it."""

    version: Ticket
    fence: Ticket
    tag: TagId
    watched: Watched
    offered: bytes


def capture(view: View, turn: Round, tags: Sequence[TagId], ttl_ms: int) -> list[Look]:
    """Make the versions of *tags* that are missing, and ask for all of them and for their fences."""
    pool = os.urandom(VERSION_BYTES * len(tags))
    made = lifetimes.lasting(ttl_ms) + b" ME"
    looks = []
    for place, tag in enumerate(tags):
        watched, offered = view.tag(tag), pool[place * VERSION_BYTES : (place + 1) * VERSION_BYTES]
        turn.add(watched.node, put(watched.version, offered, made))
        version = turn.add(watched.node, get(watched.version, b"v t"))
        fence = turn.add(watched.node, get(watched.fence))
        looks.append(Look(version, fence, tag, watched, offered))
    return looks


def guards(view: View, turn: Round) -> dict[str, Ticket]:
    """Ask every node for its guard: which tags a load will reveal is not known."""
    return {node: turn.add(node, get(view.guard(node), b"v c")) for node in view.nodes}


def captured(
    view: View, answers: Answers, looks: Sequence[Look], logs_at: Mapping[str, Ticket] | None, ttl_ms: int
) -> Step[Snapshot]:
    """Prolong what would go too soon, replace what is none of ours, and begin guards where there are none."""
    turn = Round()
    versions = [_version(turn, look, at(answers, look.version), ttl_ms) for look in looks]
    logs = {node: at(answers, ticket) for node, ticket in (logs_at or {}).items()}
    # A version that is made now must be made before the guard is read, like any other.
    made = any(version is look.offered for version, look in zip(versions, looks, strict=True))
    again = {
        node: _guard_again(view, turn, node, log)
        for node, log in logs.items()
        if made or not guard_log.usable(log.value)
    }
    renewed = (yield turn.requests) if turn.requests else {}
    held = {node: log.value for node, log in logs.items()}
    held |= {node: at(renewed, ticket).value for node, ticket in again.items()}
    rows = [_row_version(at(answers, look.fence).value) for look in looks]
    return Snapshot(versions, rows, None if logs_at is None else guard_log.packed(held))


def _version(turn: Round, look: Look, reply: Reply, ttl_ms: int) -> bytes:
    """Return the version that *look* found, and prolong it; or make one, if what lies there is none."""
    held, (node, name, *_) = reply.value, look.watched
    if held is None or not is_version(held):
        turn.add(node, put(name, look.offered, lifetimes.lasting(ttl_ms)))
        return look.offered
    longer = lifetimes.prolonging(reply.number(b"t"), ttl_ms)
    if longer is not None:
        turn.add(node, get(name, longer))
    return current(held)


def _guard_again(view: View, turn: Round, node: str, log: Reply) -> Ticket:
    """Read a node's guard once more, a new one if it was of no use."""
    name = view.guard(node)
    if not guard_log.usable(log.value):
        turn.add(node, guard_log.begun(name, log.flag(b"c")))
    return turn.add(node, get(name))


def _row_version(row: bytes | None) -> int | None:
    if row is None:
        return None
    return int(row) if row.isdigit() and len(row) <= MAX_ROW_DIGITS else UNREADABLE_ROW
