"""A tour of all primaries, page by page: where it goes on, and when it is over. Without I/O.

A node's own cursor means nothing to another: if the node that a cursor names serves nothing any more, the tour begins
again. Slots that change hands on the way may be overtaken, with the keys in them: then the tour goes round again, at
most `ROUNDS` times, for a resharding may last longer than anybody wants to look. So a key that moves may come twice,
and in a resharding that overtakes every round it may not come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.providers.redis.topology import Address, Topology

ROUNDS = 3


class Stop(NamedTuple):
    """Where a tour is.

    Attributes:
        place: the node's own cursor.
        host: of the node.
        port: of the node.
        checksum: of the topology when this round began.
        turn: which round it is, from 1.
    """

    place: str
    host: str
    port: int
    checksum: str
    turn: int

    @property
    def address(self) -> Address:
        """The node's address."""
        return self.host, self.port

    def cursor(self) -> str:
        """Return the cursor that leads here."""
        return " ".join(map(str, self))


def first(topology: Topology, turn: int = 1) -> Stop:
    """Return where a round begins."""
    return Stop("0", *topology.primaries[0], topology.checksum, turn)


def stop(topology: Topology, cursor: str) -> Stop:
    """Return where *cursor* leads, "" to the beginning.

    Raises:
        ConfigurationError: it is no cursor of a tour.
    """
    if not cursor:
        return first(topology)
    try:
        place, host, port, checksum, turn = cursor.split(" ")
        found = Stop(str(int(place)), host, int(port), checksum, int(turn))
    except ValueError:
        raise ConfigurationError(f"cursor {cursor!r} is none that a scan of a cluster returned") from None
    return found if found.address in topology.primaries else first(topology, found.turn)


def is_last(topology: Topology, at: Stop, place: bytes) -> bool:
    """Say whether the page that *at* ended with *place* is the last of its round."""
    return place == b"0" and at.address >= topology.primaries[-1]


def following(topology: Topology, at: Stop, place: bytes) -> str:
    """Return the cursor after that page; "" if all was seen."""
    if place != b"0":
        return at._replace(place=place.decode()).cursor()
    later = [each for each in topology.primaries if each > at.address]
    if later:
        host, port = later[0]
        return at._replace(place="0", host=host, port=port).cursor()
    if at.checksum == topology.checksum or at.turn >= ROUNDS:
        return ""
    return first(topology, at.turn + 1).cursor()
