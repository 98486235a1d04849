"""What a ring's nodes know, and what they are to know next; see `staleproof.providers.memcached.charter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.providers.memcached import charter as charters
from staleproof.providers.memcached.members import Member, member_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.providers.memcached.charter import Charter
    from staleproof.providers.memcached.members import Names as Members
    from staleproof.providers.memcached.wire import Reply


class Seen(NamedTuple):
    """A node's charter if it has one, the item's cas, and the line that a look at it is answered with."""

    charter: Charter | None
    cas: bytes | None
    line: bytes


class OvertakenError(Exception):
    """The ring is another one than the one that was to be adopted."""


def read(reply: Reply) -> Seen:
    """Return what a node said when it was asked for its charter."""
    cas = reply.flag(b"c")
    line = b"HD c%b f%b" % (cas or b"", reply.flag(b"f") or b"")
    return Seen(None if reply.value is None else charters.decode(reply.value), cas, line)


def former(seen: Mapping[str, Seen], by_name: Mapping[str, Member]) -> dict[str, Member]:
    """Return the members of the rings before that are none of this one."""
    before = {name for each in seen.values() if each.charter for name in each.charter.members}
    return {name: member_of(name) for name in before - by_name.keys()}


def following(known: Charter | None, version: int, ring: Members, *, complete: bool) -> Charter:
    """Return the charter that a node is to have."""
    if known is None:
        return charters.fresh(version, ring, complete=complete)
    if known.version > version or (known.version == version and known.members != ring):
        raise OvertakenError
    if known.version == version:
        return charters.completed(known) if complete else known
    charter = charters.advanced(known, version, ring)
    return charters.completed(charter) if complete else charter
