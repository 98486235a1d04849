"""The port to the peers: a link takes records and says which were delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation


class Shipment(NamedTuple):
    """What became of a sequence of records handed to a link.

    Attributes:
        delivered: one flag a record, in their order.
        error: why some were not, "" if all were.
    """

    delivered: Sequence[bool]
    error: str = ""


class Link(Protocol):
    """A way to one peer or to all of them. What it took, it or its transport delivers at least once, in any order.

    Attributes:
        name: of the link's position in the journal; a renamed link starts again from the journal's beginning.
    """

    @property
    def name(self) -> str:
        """The link's name."""
        ...

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        """Hand over *records*. Never raises for the transport: what failed is told in the shipment."""
        ...


class MemoryLink:
    """A link within the process: what it took lies in `records`. For tests and for trying things out."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.records: list[Invalidation] = []

    def send(self, records: Sequence[Invalidation]) -> Shipment:
        """See `Link.send`."""
        self.records += records
        return Shipment([True] * len(records))
