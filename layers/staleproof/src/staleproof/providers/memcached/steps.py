"""The steps of the algorithm as meta commands, without I/O.

Theory of operation
-------------------
A node executes what comes over one connection in order; nothing is atomic over two items. So what must be one step
is made of one item's compare-and-swap, and of orders that hold on one node:

* **Entry and lease** are two items on one node. *Store* first looks at the entry's cas (adding an empty placeholder
  where nothing is), then at the lease; if that is ours, it writes by that cas. *Invalidate* removes the lease, then the
  entry. If the lease was still ours when we looked, it is removed after our look at the entry, and so is the entry: the
  write then meets another cas, or nothing, and fails; or it came first, and is removed. *Put* writes in the same order.
* **Version, fence and guard** of a tag are on one node. *Snapshot* reads them in this order, *invalidate* writes them
  in the opposite one.
* Versions on different nodes are read at different moments. An entry under them is a hit if each of them is what it was
  before the load, at a moment after the read began; so nothing was invalidated in between.

A placeholder has client flag 1, and is absent to every reader. It lives for seconds.

Every step may be run again from its beginning: when a connection broke, or when the ring changed (`membership`). A
lease taken by the first run is recognised by its name; a store whose first run succeeded finds no lease and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.entry import TIMED, end_offset, head_bytes, prolonged
from staleproof.errors import ProviderRejectedError
from staleproof.ports import Begun, Claim, Deposit, Observed, Snapshot, Want
from staleproof.providers.memcached import lifetimes
from staleproof.providers.memcached.rounds import Round, at
from staleproof.providers.memcached.snapshots import capture, captured
from staleproof.providers.memcached.snapshots import guards as guards_of
from staleproof.providers.memcached.view import ENTRY
from staleproof.providers.memcached.wire import TOO_LARGE, delete, get, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.providers.memcached.rounds import Answers, Step, Ticket
    from staleproof.providers.memcached.view import View
    from staleproof.providers.memcached.wire import Reply
    from staleproof.tags import TagId

TRIES = 16
"""Compare-and-swaps that may fail in a row, each because somebody else's succeeded."""


class Steps:
    """The steps for one namespace.

    Args:
        clock: judges the end of entries: the server knows whole seconds only.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    # --- reading ---------------------------------------------------------------------------------

    def read(self, view: View, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`: the entry and the versions from all their nodes at once."""
        node, entry, _ = view.key(key)
        requests = {node: [get(entry, ENTRY)]}
        tickets = []
        for tag in tags:
            watched = view.tag(tag)
            some = requests.setdefault(watched.node, [])
            tickets.append((watched.node, len(some)))
            some.append(watched.ask)
        answers = yield requests
        return Observed(
            self._entry(answers[node][0]), [answers[name][place].value for name, place in tickets]
        )

    def read_many(self, view: View, wants: Sequence[Want]) -> Step[list[Observed]]:
        """See `Provider.read_many`: each version is read once, whoever wants it."""
        turn, versions = Round(), dict[bytes, "Ticket"]()
        entries = []
        for want in wants:
            placed = view.key(want.key)
            entries.append(turn.add(placed.node, get(placed.entry, ENTRY)))
        for want in wants:  # behind the entries, so that an entry under them was read before them
            for tag in want.tags:
                if tag not in versions:
                    watched = view.tag(tag)
                    versions[tag] = turn.add(watched.node, watched.ask)
        if not turn.requests:
            return []
        answers = yield turn.requests
        found = {tag: at(answers, ticket).value for tag, ticket in versions.items()}
        return [
            Observed(self._entry(at(answers, ticket)), [found[tag] for tag in want.tags])
            for want, ticket in zip(wants, entries, strict=True)
        ]

    def _entry(self, reply: Reply) -> bytes | None:
        """Return an entry that is none but a placeholder, and whose end has not come."""
        raw = reply.value
        if not raw:
            return raw if raw is not None and reply.line.endswith(b"f0") else None
        if reply.line.endswith(b"f0") and not is_over(raw, self._clock):
            return raw
        return None

    # --- loading ---------------------------------------------------------------------------------

    def snapshot(self, view: View, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Step[Snapshot]:
        """Versions, then row fences, then the guards: an invalidation writes these in the opposite order."""
        turn = Round()
        looks = capture(view, turn, tags, tag_ttl_ms)
        guards = guards_of(view, turn) if guard else None
        answers = (yield turn.requests) if turn.requests else {}
        return (yield from captured(view, answers, looks, guards, tag_ttl_ms))

    def begin_many(
        self, view: View, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[list[Begun]]:
        """The versions and the leases, then the entries' heads: what a holder before us stored is seen.

        Memcached gives a value whole or not at all, so an entry that is there comes whole.
        """
        if not claims:
            return []
        tags = list(dict.fromkeys(tag for claim in claims for tag in claim.tags))
        turn = Round()
        looks = capture(view, turn, tags, tag_ttl_ms)
        takes = [_take(view, turn, claim, lease_ms) for claim in claims]
        guards = guards_of(view, turn) if guard else None
        answers = yield turn.requests
        snapshot = yield from captured(view, answers, looks, guards, tag_ttl_ms)
        places = {tag: place for place, tag in enumerate(tags)}
        return [
            _begun(claim, snapshot, places, answers, take) for claim, take in zip(claims, takes, strict=True)
        ]

    def store_many(self, view: View, deposits: Sequence[Deposit]) -> Step[list[bool | Reply]]:
        """Say of each of *deposits* whether it was stored, or what the server said that cannot take it."""
        if not deposits:
            return []
        turn, looks = Round(), []
        for deposit in deposits:
            node, entry, lease = view.key(deposit.key)
            turn.add(node, placeholder(entry))
            looks.append((turn.add(node, get(entry, b"c")), turn.add(node, get(lease, b"v c"))))
        answers = yield turn.requests
        turn, writes = Round(), list["Ticket | None"]()
        for deposit, (place, holder) in zip(deposits, looks, strict=True):
            writes.append(_write(view, turn, deposit, at(answers, place), at(answers, holder)))
        if not turn.requests:
            return [False] * len(deposits)
        answers = yield turn.requests
        return [_outcome(answers, ticket) for ticket in writes]

    def expire(self, view: View, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> Step[bool]:
        """See `Provider.expire`. Only an end that moves rewrites the entry."""
        node, name, _ = view.key(key)
        for _ in range(TRIES):
            (reply,) = (yield {node: [get(name, b"v c f")]})[node]
            raw = reply.value if reply.number(b"f") == 0 else None
            moved = None if raw is None else prolonged(raw, seen_ms, expires_ms)
            if moved is None:
                return False
            life = lifetimes.lasting(ttl_ms)
            same = moved is raw
            request = get(name, life) if same else put(name, moved, b"C%d %b" % (reply.number(b"c"), life))
            (written,) = (yield {node: [request]})[node]
            if written.done:
                return True
        return False

    def put(self, view: View, key: str, entry: bytes, ttl_ms: int) -> Step[None]:
        """Break the lease before the value is written: a store that has not looked yet finds none, another loses."""
        node, name, lease = view.key(key)
        written = (yield {node: [delete(lease), put(name, entry, lifetimes.lasting(ttl_ms))]})[node][1]
        if not written.done:
            yield {node: [delete(name)]}
            raise unstored(key, entry, written)

    def release(self, view: View, key: str, lease: bytes) -> Step[None]:
        """See `Provider.release`."""
        node, _, name = view.key(key)
        (holder,) = (yield {node: [get(name, b"v c")]})[node]
        if holder.value == lease:
            yield {node: [delete(name, holder.flag(b"c"))]}


def is_over(raw: bytes, clock: Clock) -> bool:
    """Say whether an entry has ended whose end the server is to judge: it knows whole seconds only."""
    end = end_offset(raw)
    if end is None or raw[6] & TIMED:
        return False
    expires_ms = int.from_bytes(raw[end : end + 8], "little")
    return bool(expires_ms) and clock.wall() * 1_000 >= expires_ms


def placeholder(name: bytes) -> bytes:
    """Return the request that makes an empty item where nothing is, for its cas."""
    return put(name, b"", b"ME F1 T10")


def unstored(key: str, entry: bytes, reply: Reply) -> ProviderRejectedError:
    """Return what to raise for an entry that the server did not take."""
    if reply.line.startswith(TOO_LARGE):
        return ProviderRejectedError(
            f"entry of {key[:80]!r} has {len(entry)} bytes, more than the server takes; "
            "raise max_item_size (memcached -I), compress it, or store less"
        )
    text = reply.line[:200].decode(errors="replace")
    return ProviderRejectedError(f"memcached did not store {key[:80]!r}: {text}")


def _take(view: View, turn: Round, claim: Claim, lease_ms: int) -> tuple[Ticket, Ticket]:
    node, entry, lease = view.key(claim.key)
    turn.add(node, put(lease, claim.lease, lifetimes.leased(lease_ms) + b" ME"))
    return turn.add(node, get(lease)), turn.add(node, get(entry, ENTRY))


def _begun(
    claim: Claim,
    snapshot: Snapshot,
    places: Mapping[TagId, int],
    answers: Answers,
    take: tuple[Ticket, Ticket],
) -> Begun:
    """Return what *claim* got: its part of the whole snapshot, and whether the lease is ours."""
    own = [places[tag] for tag in claim.tags]
    mine = Snapshot(
        [snapshot.versions[n] for n in own], [snapshot.min_versions[n] for n in own], snapshot.guard
    )
    holder, entry = at(answers, take[0]), at(answers, take[1])
    there = entry.value if entry.line.endswith(b"f0") else None
    return Begun(mine, holder.value == claim.lease, (there or b"")[: head_bytes(len(claim.tags))])


def _write(view: View, turn: Round, deposit: Deposit, place: Reply, holder: Reply) -> Ticket | None:
    """Write *deposit* by the cas that was seen before the lease was; None if the lease is not ours."""
    cas, held = place.flag(b"c"), holder.flag(b"c")
    if holder.value != deposit.lease or cas is None or held is None:
        return None
    node, entry, lease = view.key(deposit.key)
    flags = b"C%b %b" % (cas, lifetimes.lasting(deposit.ttl_ms))
    written = turn.add(node, put(entry, deposit.entry, flags))
    turn.add(node, delete(lease, held))
    return written


def _outcome(answers: Answers, ticket: Ticket | None) -> bool | Reply:
    if ticket is None:
        return False
    reply = at(answers, ticket)
    return reply if reply.failed else reply.done
