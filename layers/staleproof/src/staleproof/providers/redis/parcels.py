"""What a step sends to a cluster: parcels, each for one hash slot, in waves that follow one another.

Theory of operation: where one server executes a step's commands in their order, a cluster's nodes know no common order.
So a step for a cluster is cut where the order matters, and only there. What may happen in any order is one *wave*: it
goes to all nodes at once. A *parcel* is what must be executed in order within a wave, on one node, so it is about one
slot. Its commands name one key each, except a script's: during a resharding the keys of one slot lie on two nodes, and
a command about several of them must wait, while each key alone is always somewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Parcel(NamedTuple):
    """Commands about one hash slot, to be executed in order.

    Attributes:
        slot: where they go.
        name: a key in that slot.
        packed: the commands, one reply each.
    """

    slot: int
    name: bytes
    packed: tuple[bytes, ...]


class Waves(NamedTuple):
    """Parcels in waves: the next begins when the one before was answered.

    Attributes:
        foreign: whether a key of another type is met as an error among the replies: it is a miss, not a failure.
        once: whether no command must be executed twice: then the whole step is run again.
    """

    waves: Sequence[Sequence[Parcel]]
    foreign: bool = False
    once: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return any(self.waves)


class Tour(NamedTuple):
    """A page of the names that match *pattern*, of all primaries one after another.

    Attributes:
        cursor: what the page before told; "" for the first.
        pattern: as SCAN takes it.
        limit: about how many names to return.
    """

    cursor: str
    pattern: bytes
    limit: int
    foreign: bool = False
