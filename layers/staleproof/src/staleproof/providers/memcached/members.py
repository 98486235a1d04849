"""`Member` and `Ring`: the nodes of a cluster, and which of them owns a key.

The ring is ketama's (R. Jones, last.fm, 2007), by `uhashring`: the same for every client that has the same list of
nodes, whatever its order. A node's name on the ring is `host:port`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from uhashring import HashRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Names: TypeAlias = tuple[str, ...]
"""The names of a ring's members, sorted."""


class Member(NamedTuple):
    """One node.

    Attributes:
        host: its name, which a TLS certificate must show.
        port: its port.
        ip: its address, or "" where only the name is known.
    """

    host: str
    port: int
    ip: str = ""

    @property
    def name(self) -> str:
        """What it is called on the ring."""
        return f"{self.host}:{self.port}"


def names(members: Iterable[Member]) -> Names:
    """Return what *members* are called, in the order in which lists of them are compared."""
    return tuple(sorted(member.name for member in members))


@lru_cache(maxsize=32)
def ring(members: Names) -> Callable[[str], str]:
    """Return the function that names the owner of a key among *members*."""
    if len(members) == 1:
        (only,) = members
        return lambda _: only
    owner: Any = HashRing(list(members), hash_fn="ketama").get_node
    return cast("Callable[[str], str]", owner)


def member_of(name: str) -> Member:
    """Return the member that is called *name* on the ring."""
    host, _, port = name.rpartition(":")
    return Member(host, int(port))
