"""Which node of a cluster serves which slot, as the cluster said last. Immutable; a change makes another one.

It may be out of date at any moment. That harms nothing: a node that is asked for a slot which it does not serve says so
(`MOVED`), and a replica that was not told to answer reads says the same.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.failures import UNREADABLE, translate, unreadable
from staleproof.providers.redis.slots import SLOTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Address: TypeAlias = tuple[str, int]
"""Host and port."""

UNKNOWN_HOSTS = (b"", b"?", None)
"""What a node says instead of a host that it does not know: then it is where it was reached."""


class Topology:
    """Who serves what.

    Attributes:
        owners: by slot, the address of its primary; None where nobody serves it.
        replicas: by primary, how many replicas it has that are not known to be down.
    """

    def __init__(self, owners: Sequence[Address | None], replicas: Mapping[Address, int]) -> None:
        self.owners = owners
        self.replicas = replicas

    @cached_property
    def primaries(self) -> list[Address]:
        """All that serve slots, in order of their addresses."""
        return sorted({owner for owner in self.owners if owner is not None})

    @cached_property
    def checksum(self) -> str:
        """Tells two topologies apart, by who serves what."""
        return f"{zlib.crc32(repr(self.owners).encode()):08x}"

    def moved(self, changes: Mapping[int, Address]) -> Topology:
        """Return the same with other owners for some slots."""
        owners = list(self.owners)
        for slot, owner in changes.items():
            owners[slot] = owner
        return Topology(owners, self.replicas)


UNKNOWN = Topology([None] * SLOTS, {})
"""Before anybody was asked."""


def understood(reply: Any, asked: Address) -> Topology:
    """Return what the reply to `CLUSTER SLOTS` says; *asked* is the node that gave it.

    Raises:
        ConfigurationError: it is no cluster's.
        ProviderUnavailableError: it knows of no slot that is served (yet).
        ProviderRejectedError: it cannot be read.
    """
    place = f"{asked[0]}:{asked[1]}"
    if isinstance(reply, Exception):
        if "cluster support disabled" in str(reply):
            raise ConfigurationError(f"cache URL: {place} is no cluster; leave out cluster=True")
        raise translate(reply, place)
    try:
        found = _told(reply, asked)
    except UNREADABLE as error:
        raise unreadable(error, place) from error
    if not found.replicas:
        raise ProviderUnavailableError(f"{place} knows of no hash slot that is served; retry")
    return found


def _told(reply: Any, asked: Address) -> Topology:
    owners: list[Address | None] = [None] * SLOTS
    replicas: dict[Address, int] = {}
    for first, last, primary, *others in reply:
        if not 0 <= first <= last < SLOTS:
            raise ValueError(f"there are no hash slots from {first} to {last}")
        address = _address(primary, asked)
        owners[first : last + 1] = [address] * (last + 1 - first)
        replicas[address] = len(others)
    return Topology(owners, replicas)


def _address(node: Sequence[Any], asked: Address) -> Address:
    host, port, *_ = node
    if host not in UNKNOWN_HOSTS:
        return host.decode(), int(port)
    facts: Sequence[Any] = node[3] if len(node) > 3 else ()  # noqa: PLR2004 - host, port, id, and what else is known, in pairs
    known: dict[Any, Any] = dict(zip(facts[::2], facts[1::2], strict=False))
    ip = known.get(b"ip")
    return (ip.decode() if ip else asked[0]), int(port)
