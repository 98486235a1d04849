"""The step that invalidates: guards, row fences, versions, leases, entries; see `steps` for why in this order.

A plain invalidation is one exchange with each node concerned. Row fences and soft ones must look before they write, and
write by compare-and-swap; then the removals wait until the fences stand.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from staleproof.entry import ended
from staleproof.errors import ProviderUnavailableError
from staleproof.providers.memcached import guard_log, lifetimes
from staleproof.providers.memcached.rounds import Round, at
from staleproof.providers.memcached.snapshots import MAX_ROW_DIGITS
from staleproof.providers.memcached.steps import TRIES
from staleproof.providers.memcached.wire import delete, get, put
from staleproof.tags import VERSION_BYTES, is_version, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from staleproof.events import Invalidation
    from staleproof.providers.memcached.rounds import Answers, Step, Ticket
    from staleproof.providers.memcached.view import View
    from staleproof.providers.memcached.wire import Reply
    from staleproof.tags import TagId

T = TypeVar("T")

Place: TypeAlias = "tuple[str, bytes]"
"""A node, and an item's name there."""

Change: TypeAlias = "tuple[bytes, bytes] | Literal['remove', 'leave']"
"""What becomes of an item: a new value and its life, or that it goes, or stays as it is."""


def invalidate(view: View, invalidations: Sequence[Invalidation]) -> Step[None]:
    """See `Provider.invalidate`; there is no journal to append to."""
    tags = list(dict.fromkeys(tag for each in invalidations for tag in each.tag_ids))
    fences = _row_fences(view, invalidations)
    turn = Round()
    bumps = _bump(view, turn, tags)
    if fences:
        yield from _settled((yield turn.requests), bumps, view)
        yield from _swap(fences, _raised, done=(b"HD",))
        turn, bumps = Round(), {}
    _remove(view, turn, invalidations)
    if turn.requests:
        answers = yield turn.requests
        if (yield from _settled(answers, bumps, view)):
            # The guard did not move before the versions went, and is gone now: let them go once more.
            turn = Round()
            _remove(view, turn, invalidations)
            yield turn.requests
    soft = _soft(view, invalidations)
    if soft:
        yield from _swap(soft, _softened, done=(b"HD", b"NF"))  # what is gone meanwhile is no longer fresh


def _bump(view: View, turn: Round, tags: Sequence[TagId]) -> dict[str, Ticket]:
    """Move the guard of every node that has a version of one of *tags*."""
    by_node: dict[str, list[TagId]] = {}
    for tag in tags:
        by_node.setdefault(view.tag(tag).node, []).append(tag)
    return {node: turn.add(node, guard_log.bump(view.guard(node), some)) for node, some in by_node.items()}


def _settled(answers: Answers, bumps: Mapping[str, Ticket], view: View) -> Step[bool]:
    """Remove the guards that could not be moved, because they are full or the node is; say whether there were any."""
    stuck = [node for node, ticket in bumps.items() if at(answers, ticket).failed]
    if stuck:
        yield {node: [delete(view.guard(node))] for node in stuck}
    return bool(stuck)


def _remove(view: View, turn: Round, invalidations: Iterable[Invalidation]) -> None:
    """Versions of hard ones, leases, entries of hard ones. Hard ones first: what they remove cannot become stale."""
    for each in invalidations:
        if not each.soft:
            for tag in each.tag_ids:
                watched = view.tag(tag)
                turn.add(watched.node, delete(watched.version))
        for key in each.evicted:
            node, entry, lease = view.key(key)
            turn.add(node, delete(lease))
            if not each.soft:
                turn.add(node, delete(entry))


def _row_fences(view: View, invalidations: Iterable[Invalidation]) -> dict[Place, tuple[int, int]]:
    """Return the fences to raise: the least row version, and the milliseconds for which it is to stand."""
    fences: dict[Place, tuple[int, int]] = {}
    for each in invalidations:
        if each.row_version is None or not each.lag_ms:
            continue
        for tag in each.tag_ids:
            watched = view.tag(tag)
            row, lag_ms = fences.get((watched.node, watched.fence), (0, 0))
            fences[watched.node, watched.fence] = max(row, each.row_version), max(lag_ms, each.lag_ms)
    return fences


def _soft(view: View, invalidations: Iterable[Invalidation]) -> dict[Place, tuple[str, int]]:
    """Return what is to become stale, whether a tag or an entry, and since when."""
    soft: dict[Place, tuple[str, int]] = {}
    for each in invalidations:
        if not each.soft:
            continue
        for tag in each.tag_ids:
            watched = view.tag(tag)
            soft[watched.node, watched.version] = "tag", each.at_ms
        for key in each.evicted:
            placed = view.key(key)
            soft[placed.node, placed.entry] = "entry", each.at_ms
    return soft


def _swap(
    places: Mapping[Place, T], change: Callable[[Reply, T], Change], *, done: tuple[bytes, ...]
) -> Step[None]:
    """Look at all *places*, and write what *change* makes of each, until every answer is one of *done*."""
    left = dict(places)
    for _ in range(TRIES):
        turn = Round()
        looks = {place: turn.add(place[0], get(place[1], b"v c f t")) for place in left}
        answers = yield turn.requests
        turn, writes = Round(), dict[Place, "Ticket"]()
        for place, ticket in looks.items():
            request = _request(place[1], at(answers, ticket), change(at(answers, ticket), left[place]))
            if request is not None:
                writes[place] = turn.add(place[0], request)
        if not turn.requests:
            return
        answers = yield turn.requests
        left = {
            place: left[place]
            for place, ticket in writes.items()
            if not at(answers, ticket).line.startswith(done)
        }
        if not left:
            return
    raise ProviderUnavailableError("memcached: others kept changing what was to be invalidated; retry")


def _request(name: bytes, seen: Reply, change: Change) -> bytes | None:
    """Return the request that changes what was *seen*, and nothing newer."""
    if change == "leave":
        return None
    cas = seen.flag(b"c")
    if change == "remove":
        return delete(name, cas)
    value, life = change
    return put(name, value, life + (b" ME" if cas is None else b" C" + cas))


def _raised(reply: Reply, wanted: tuple[int, int]) -> Change:
    """Raise a row fence; never lower what stands, nor shorten it."""
    (row, lag_ms), held, life = wanted, reply.value, lifetimes.seconds_for(wanted[1])
    if held is not None:
        known = int(held) if held.isdigit() and len(held) <= MAX_ROW_DIGITS else 0
        row, left = max(row, known), reply.number(b"t")
        if left < 0:
            return b"%d" % row, b"T0"
        if left > life:
            return b"%d" % row, lifetimes.remaining(left)
    return b"%d" % row, lifetimes.lasting(lag_ms)


def _softened(reply: Reply, wanted: tuple[str, int]) -> Change:
    """Let a version be succeeded by another, or an entry be over; what cannot become stale goes."""
    kind, at_ms = wanted
    held = reply.value
    if held is None:
        return "leave"
    if kind == "tag":
        stale = succeeded(held, os.urandom(VERSION_BYTES), at_ms) if is_version(held) else None
    else:
        stale = ended(held, at_ms) if not reply.number(b"f") else None
    return "remove" if stale is None else (stale, lifetimes.remaining(reply.number(b"t")))
