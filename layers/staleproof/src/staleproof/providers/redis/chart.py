"""`Chart`: what everybody who uses a cluster's connections knows about it together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from staleproof.providers.redis.durability import Replicas
from staleproof.providers.redis.topology import UNKNOWN, Topology

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from staleproof.errors import ProviderUnavailableError
    from staleproof.providers.redis.topology import Address

REFRESH_EVERY = 0.1
"""Seconds for which an answer to "who serves what?" is good enough for others who ask."""

NEVER = float("-inf")

MOST_ASKED = 2
"""Nodes that are asked for it, one after another, before the endpoint's name is looked up again."""


class Chart:
    """Who serves what, when that was asked last, and how many replicas each has.

    Reading takes no lock: a topology is immutable, and replaced whole. Two corrections at the same time may lose one of
    them, which costs another redirection.
    """

    def __init__(self, timeout: float) -> None:
        self.topology = UNKNOWN
        self._timeout = timeout
        self._refreshed = NEVER
        self._failure: ProviderUnavailableError | None = None
        self._replicas: dict[Address, Replicas] = {}

    @property
    def unsure(self) -> bool:
        """Whether nothing is known, or somebody had reason to doubt it."""
        return self._refreshed == NEVER

    def is_due(self) -> bool:
        """Say whether it is time to ask again.

        Raises:
            ProviderUnavailableError: nobody answered just now.
        """
        if time.monotonic() - self._refreshed >= REFRESH_EVERY:
            return True
        if self._failure is not None:
            raise self._failure
        return False

    def replace(self, topology: Topology) -> None:
        """Take what the cluster said just now."""
        self.topology = topology
        self._refreshed, self._failure = time.monotonic(), None

    def fail(self, error: ProviderUnavailableError | None) -> None:
        """Take notice that nobody answered, and raise *error*."""
        if error is None:
            return
        self._refreshed, self._failure = time.monotonic(), error
        raise error

    def correct(self, changes: Mapping[int, Address]) -> None:
        """Take what nodes said of single slots."""
        owners = self.topology.owners
        if any(owners[slot] != owner for slot, owner in changes.items()):
            self.topology = self.topology.moved(changes)

    def doubt(self) -> None:
        """Have the next who needs it ask again, however lately that was done."""
        self._refreshed = NEVER

    def asked(self, lost: Collection[Address] = ()) -> list[Address]:
        """Return whom to ask, in the order of trying: some primaries that are not *lost*, another first each time."""
        known = [each for each in self.topology.primaries if each not in lost]
        start = int(time.monotonic() * 1_000) % len(known) if known else 0
        return [*known[start:], *known[:start]][:MOST_ASKED]

    def replicas_of(self, address: Address) -> Replicas:
        """Return what is known of the replicas of the primary at *address*."""
        found = self._replicas.get(address)
        if found is None:
            count = self.topology.replicas.get(address, 1)
            found = self._replicas[address] = Replicas(f"{address[0]}:{address[1]}", self._timeout, count)
        return found
