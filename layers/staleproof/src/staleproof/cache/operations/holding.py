"""Locks: who holds one, for how long he may believe so, and the plans.

Theory of operation
-------------------
A lock is one key: an owner's name that nobody else has, and when it ends by itself, by the server's clock. The server
gives every holder a *token*, greater than those of all before him under this name: it is above the last one that the
server remembers, and above the server's time in microseconds.

*A lock alone protects nothing.* Its holder may be stopped (by a garbage collection, a frozen Lambda, a slow network)
past the lock's end, and go on believing that it is his while another has it. No lock service can prevent that; what
helps is that the *resource* refuses a token below one that it has seen: a fence. See Martin Kleppmann, "How to do
distributed locking" (2016), https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html. So: with the
token, where correctness depends on it; without it, to spare work that would merely be done twice.

*What a token survives*: the lock's end and eviction, and that of its memory, as the server's time has gone on; a flush
and a restart from nothing, likewise; a failover to a replica that did not have it yet, unless the new server's clock is
behind the old one's by more than the time since. *What mutual exclusion does not*: eviction of the lock, a flush, and
a failover before the replica had it. Then there are two holders, and the older one's token is below.

*A holder's belief* counts from before the question was sent, by the clock that says more, so that a process which was
frozen knows it. It is not re-entrant: a name, not a thread, is locked, and who has it already must not ask again.

*Waiting* asks again after pauses that grow and are spread, 0.1 s at most, as for a lease, and not past the lock's end.
There is no order among those who wait.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from staleproof.cache.commands import Pause
from staleproof.cache.operations.performing import Perform
from staleproof.cache.patience import Patience
from staleproof.errors import ConfigurationError, ProviderError, ProviderUnavailableError
from staleproof.policies.duration import seconds
from staleproof.ports.operations import FreeLock, Held, KeepLock, TakeLock

if TYPE_CHECKING:
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.clock import Clock, Instant

SHORTEST, LONGEST = 0.01, 86_400.0
"""Seconds that a lock may be held for without being prolonged."""

RENEW_AT = 3
"""What is prolonged in the background is so after this part of its time: two tries may fail."""

OWNER_BYTES = 16


class Terms:
    """How a lock is held.

    Args:
        ttl: for how long, if it is not prolonged.
        wait: for how long to wait for it.
        renew: for how long at most it is prolonged in the background, from when it was taken; None for not at all.

    Raises:
        ConfigurationError: an argument is out of its bounds.
    """

    def __init__(self, ttl: float | str, wait: float | str, renew: float | str | None) -> None:
        self.ttl = lifetime(ttl)
        self.wait = seconds(wait, "wait")
        self.renew = 0.0 if renew is None else seconds(renew, "renew")
        if self.renew and self.renew <= self.ttl:
            raise ConfigurationError(f"renew={renew!r} must be longer than ttl={ttl!r}, or left out")


def lifetime(ttl: float | str) -> float:
    """Return *ttl* in seconds.

    Raises:
        ConfigurationError: it is out of bounds.
    """
    given = seconds(ttl, "ttl")
    if not SHORTEST <= given <= LONGEST:
        raise ConfigurationError(f"ttl={ttl!r} must be between 10 ms and a day; renew= prolongs it")
    return given


class Claim:
    """One holding of a lock, as far as this process knows.

    Args:
        name: the lock's.
        clock: tells how long it has been held.

    Attributes:
        owner: what nobody else calls himself.
        token: the fencing token, 0 before it is held.
        lost: whether it was found to be another's.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.owner = token_hex(OWNER_BYTES)
        self.token = 0
        self.lost = False
        self._clock = clock
        self._since = clock.now()
        self._ttl = 0.0

    def holds(self, token: int, ttl: float, since: Instant) -> None:
        """Note that it is held under *token* for *ttl* seconds from *since*, when the server was asked."""
        self.token, self._ttl, self._since = token, ttl, since

    def remaining(self) -> float:
        """Return for how many seconds one may believe that it is held."""
        if self.lost or not self.token:
            return 0.0
        return max(0.0, self._ttl - self._clock.now().elapsed(self._since))


def acquire(core: Core, claim: Claim, ttl: float, wait: float) -> Plan[bool]:
    """Take the lock of *claim*, or wait for it; say whether it was taken."""
    patience = Patience(wait, core.clock)
    while True:
        asked = core.clock.now()
        held = yield from _take(claim, ttl)
        if held.token:
            claim.holds(held.token, ttl, asked)
            return True
        if patience.is_over():
            return False
        pause = patience.pause()
        left = held.left_ms / 1_000
        yield Pause(min(pause.seconds, left)) if left > 0 else pause


def _take(claim: Claim, ttl: float) -> Plan[Held]:
    """Ask once. Whoever is interrupted meanwhile gives back what he may have got."""
    try:
        return (yield Perform(TakeLock(claim.name, claim.owner, round(ttl * 1_000))))  # type: ignore[no-any-return]
    except (ProviderError, ConfigurationError, GeneratorExit):
        raise
    except BaseException:
        yield from _give_back(claim)
        raise


def _give_back(claim: Claim) -> Plan[None]:
    try:
        yield Perform(FreeLock(claim.name, claim.owner, 0))
    except ProviderError:
        return  # it runs out


def renew(core: Core, claim: Claim, ttl: float) -> Plan[bool]:
    """Hold it for *ttl* seconds from now; say whether it was still ours."""
    asked, token = core.clock.now(), claim.token
    kept: bool = yield Perform(KeepLock(claim.name, claim.owner, token, round(ttl * 1_000)))
    if not kept:
        claim.lost = True
    elif claim.token:  # it was not freed meanwhile, by another thread
        claim.holds(token, ttl, asked)
    return kept


def release(claim: Claim) -> Plan[bool]:
    """Free it; say whether nobody else had it since it was taken. A server that is away frees it by itself, later.

    Raises:
        ProviderRejectedError: the server refused.
    """
    token, claim.token = claim.token, 0
    try:
        freed: bool = yield Perform(FreeLock(claim.name, claim.owner, token))
    except ProviderUnavailableError:
        return not claim.lost
    claim.lost = claim.lost or not freed
    return freed
