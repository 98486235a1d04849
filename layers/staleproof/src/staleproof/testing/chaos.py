"""`Chaos`: faults on purpose, the same ones for the same seed and the same calls.

    chaos = Chaos(7, Faults(before=0.05, after=0.02), partitions=0.01)
    cache = Cache(ChaosProvider(provider, chaos))
    ...
    print(chaos.log)                    # what was injected, in order

Theory of operation: every call of a provider draws a fixed number of random numbers, so a fault more or less leaves the
later ones where they were. What a fault does to a call:

=============  =======================================================================================================
`before`       `ProviderUnavailableError`, and the server never heard of it
`after`        `ProviderUnavailableError`, but the server did it: the reply was lost
`rejected`     `ProviderRejectedError`, as by a server out of memory; of calls that write only
`lost`         a store is acknowledged, and gone: as by a failover to a replica that did not have it yet
`delay`        it takes a while
`partition`    this call and some after it fail as by `before`
`evicted`      the server has forgotten something by itself: an entry, a lease, a version, the guard or the journal
=============  =======================================================================================================
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from staleproof.errors import ProviderError

READS: Final = frozenset({"read", "read_following", "read_many", "scan", "journal"})
"""Methods that a server out of memory still answers."""

STORES: Final = frozenset({"store", "store_many", "put"})
REMEMBERED = 64
"""Names of which one is evicted at random."""


class Faults(NamedTuple):
    """The share of calls that meet each fault, from 0 to 1."""

    before: float = 0.0
    after: float = 0.0
    rejected: float = 0.0
    lost: float = 0.0
    delay: float = 0.0


class Injected(NamedTuple):
    """One fault: at which call, counted from 1, of which method, and which."""

    call: int
    method: str
    fault: str


class Verdict(NamedTuple):
    """What is to happen to one call.

    Attributes:
        fault: `before`, `after`, `rejected`, `lost`, or None to let it through.
        delay: seconds before it.
        evict: a thing on the server to remove before it, by name; or None.
    """

    fault: str | None
    delay: float
    evict: bytes | None

    @property
    def refused(self) -> ProviderError | None:
        """What is raised in place of the call, if it is not let through at all."""
        if self.fault == "before":
            return ProviderUnavailableError("chaos: the server cannot be reached")
        if self.fault == "rejected":
            return ProviderRejectedError("chaos: the server is out of memory")
        return None

    def checked(self, reply: Any) -> Any:
        """Return the *reply* of a call that was let through, unless it gets lost."""
        if self.fault == "after":
            raise ProviderUnavailableError("chaos: the reply was lost")
        return reply


class Chaos:
    """The source of faults for one provider or several.

    Args:
        seed: decides everything.
        faults: their shares, for all methods alike or by the method's name; others have none.
        partitions: the share of calls with which a partition begins.
        partition_calls: how many calls it lasts at most.
        evictions: the share of calls before which the server forgets something.
        longest_delay: seconds.

    Raises:
        ConfigurationError: a share is not from 0 to 1, or the faults of one method are more than 1 together.

    Attributes:
        log: what was injected.
        calls: how many calls there were.
    """

    def __init__(
        self,
        seed: int,
        faults: Faults | Mapping[str, Faults] = Faults(),  # noqa: B008 - an immutable tuple
        *,
        partitions: float = 0.0,
        partition_calls: int = 20,
        evictions: float = 0.0,
        longest_delay: float = 0.01,
    ) -> None:
        by_method = {"": faults} if isinstance(faults, Faults) else faults
        for name, each in by_method.items():
            _check(name or "faults", each, sum(each[:-1]))
        _check("partitions and evictions", (partitions, evictions), 0.0)
        self._random = Random(seed)
        self._faults = by_method
        self._partitions = partitions
        self._partition_calls = partition_calls
        self._evictions = evictions
        self._longest_delay = longest_delay
        self._known: deque[bytes] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self._left = 0
        self._cut = 0
        self._calm = 0
        self.calls = 0
        self.log: list[Injected] = []

    def decide(self, method: str, names: Iterable[bytes] = ()) -> Verdict:
        """Return what is to happen to the next call, of *method*, which concerns *names* on the server."""
        with self._lock:
            self.calls += 1
            for name in names:
                self._known.append(name)
            draws = [self._random.random() for _ in range(6)]
            if self._calm:
                return Verdict(None, 0.0, None)
            fault = self._fault(method, draws[0]) if not self._is_cut(draws[1], draws[2]) else "partition"
            evict = self._evicted(draws[3]) if draws[4] < self._evictions else None
            delay = self._delay(method, draws[5])
            injected = (fault, "evicted" if evict else None, "delay" if delay else None)
            self.log += [Injected(self.calls, method, each) for each in injected if each is not None]
            return Verdict("before" if fault == "partition" else fault, delay, evict)

    @property
    def evicts(self) -> bool:
        """Whether the server is to forget things."""
        return self._evictions > 0

    def _of(self, method: str) -> Faults:
        return self._faults.get(method) or self._faults.get("") or Faults()

    def _fault(self, method: str, draw: float) -> str | None:
        for name, share in zip(Faults._fields[:-1], self._of(method), strict=False):
            if draw < share:
                out_of_place = (name == "rejected" and method in READS) or (
                    name == "lost" and method not in STORES
                )
                return None if out_of_place else name
            draw -= share
        return None

    def _delay(self, method: str, draw: float) -> float:
        share = self._of(method).delay
        return self._longest_delay * draw / share if draw < share else 0.0

    def _is_cut(self, begins: float, lasts: float) -> bool:
        if self._left:
            self._left -= 1
            return True
        if begins < self._partitions:
            self._left = int(lasts * self._partition_calls)
            return True
        return bool(self._cut)

    def _evicted(self, draw: float) -> bytes | None:
        return self._known[int(draw * len(self._known))] if self._known else None

    # --- by hand -----------------------------------------------------------------------------------

    @contextmanager
    def partitioned(self) -> Iterator[None]:
        """Within, no call reaches the server."""
        self._cut += 1
        try:
            yield
        finally:
            self._cut -= 1

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Within, nothing is injected, and a partition that began by itself is over."""
        self._calm += 1
        self._left = 0
        try:
            yield
        finally:
            self._calm -= 1

    def counted(self) -> dict[str, int]:
        """Return how often each fault was injected."""
        counts: dict[str, int] = {}
        for each in self.log:
            counts[each.fault] = counts.get(each.fault, 0) + 1
        return counts


def _check(name: str, shares: Iterable[float], together: float) -> None:
    if together > 1 or any(not 0 <= share <= 1 for share in shares):
        raise ConfigurationError(
            f"chaos: {name}={tuple(shares)} must be shares from 0 to 1, at most 1 together"
        )
