"""`Credentials`: what connections say who they are with, where this is more than a password in the address.

Theory of operation: redis-py asks for them whenever a connection opens (its own `CredentialProvider` has the same two
methods), so what is handed out may change at any time. Two things are ours. A server that refuses them is told to
their owner, `rejected`, and asked once more with what it then hands out: a rotated password costs one failed attempt,
not an outage. And a connection may have to prove anew who it is after some time, `lifetime`: ElastiCache cuts those
authenticated by IAM after 12 hours. An `AgeingWire` is replaced before, between two exchanges, so that no exchange
meets the cut. Which moment it is differs by wire, or all would be replaced at once.

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
"""

from __future__ import annotations

import random
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.providers.redis.wire import Wire

if TYPE_CHECKING:
    from staleproof.clock import Instant

SPREAD = 0.1
"""The part of a lifetime over which the ends of connections that began together are spread."""


class Credentials(Protocol):
    """Where user name and password come from; asked by several threads or tasks at once.

    Attributes:
        lifetime: seconds for which a connection may stay open; None for ever.
    """

    lifetime: float | None

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return the password, or user name and password; may ask a service."""
        ...

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same without holding up the event loop."""
        ...

    def rejected(self) -> None:
        """Take notice that the server refused what was handed out last; the next ones must not be from memory."""
        ...


class Age:
    """How long a connection may be used: *lifetime* seconds, a little less each, by the larger of two clocks."""

    __slots__ = ("_clock", "_limit", "_opened")

    def __init__(self, lifetime: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._limit = lifetime * (1 - random.random() * SPREAD)
        self._opened: Instant = clock.now()

    @property
    def over(self) -> bool:
        """Whether the connection is to be replaced."""
        return self._clock.now().elapsed(self._opened) >= self._limit


class AgeingWire(Wire):
    """A wire that closes, and opens anew, when it is too old for another exchange."""

    __slots__ = ("_age", "_clock", "_lifetime")

    def __init__(
        self,
        connection: Any,
        timeout: float,
        lifetime: float,
        clock: Clock = SYSTEM_CLOCK,
        watch: float = inf,
    ) -> None:
        super().__init__(connection, timeout, watch)
        self._lifetime = lifetime
        self._clock = clock
        self._age = Age(lifetime, clock)

    def exchange(self, packed: bytes, replies: int | None) -> Any:
        """See `Wire.exchange`."""
        self._grow_young()
        return super().exchange(packed, replies)

    def send(self, packed: bytes) -> None:
        """See `Wire.send`."""
        self._grow_young()
        super().send(packed)

    def _grow_young(self) -> None:
        if self.opened and self._age.over:
            self.close()
        if not self.opened:
            self._age = Age(self._lifetime, self._clock)
