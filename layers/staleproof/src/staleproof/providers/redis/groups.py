"""`Group`: what one node is sent at once; and the shortest way of a wave that meets no trouble.

A read is one command a parcel. If every node answers every command, its replies are put together here, without a
`Delivery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.providers.redis.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from staleproof.errors import ProviderUnavailableError
    from staleproof.providers.redis.parcels import Parcel
    from staleproof.providers.redis.topology import Address

    Outcome: TypeAlias = "list[Any] | ProviderUnavailableError"


class Group(NamedTuple):
    """What one node is sent in one round."""

    address: Address
    exchange: Exchange


def grouped(parcels: Sequence[Parcel], owners: Sequence[Address | None]) -> dict[Address | None, list[int]]:
    """Return which of *parcels* go where."""
    places: dict[Address | None, list[int]] = {}
    for at, parcel in enumerate(parcels):
        places.setdefault(owners[parcel.slot], []).append(at)
    return places


def groups(parcels: Sequence[Parcel], places: dict[Address | None, list[int]]) -> list[Group]:
    """Return what to send where."""
    return [
        Group(address, Exchange(b"".join([parcels[at].packed[0] for at in some]), len(some)))  # type: ignore[arg-type]
        for address, some in places.items()
    ]


def gathered(
    count: int, places: dict[Address | None, list[int]], outcomes: Sequence[Outcome]
) -> list[Any] | None:
    """Return the replies in the order of the parcels; None if there was any trouble."""
    found: list[Any] = [None] * count
    for some, outcome in zip(places.values(), outcomes, strict=True):
        if isinstance(outcome, Exception):
            return None
        for at, reply in zip(some, outcome, strict=True):
            if isinstance(reply, Exception):
                return None
            found[at] = reply
    return found
