"""A budget: bytes that several near caches of one process share.

Theory of operation: whoever wants to hold more claims it first. If that would be too much, the near cache that holds
most lets its coldest copy go, and so on until there is room. So an idle namespace gives way to busy ones, and one that
holds little is left alone. Locks are never nested the wrong way: a near cache returns bytes while it holds its own
lock; the budget asks near caches to shed while it holds none. Who comes back here in the midst of that, from a
finalizer or a signal handler, gets no room, and what he gives back is counted right after (`Latch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from staleproof.stores.bounds import checked
from staleproof.stores.latch import Latch, deferring

if TYPE_CHECKING:
    from typing import Any


class Member(Protocol):
    """A near cache that shares a budget."""

    def shed(self) -> bool:
        """Let the coldest copy go; say whether there was one."""
        ...


class Budget:
    """Bytes for several near caches together, which join it by being made with `budget=`.

    Args:
        max_bytes: how many bytes their copies weigh together at most.

    Raises:
        ConfigurationError: *max_bytes* is no integer above 0.

    Example:
        >>> from staleproof import NearCache
        >>> from staleproof.near.budget import Budget
        >>> shared = Budget(64 * 2**20)
        >>> shop, users = NearCache(budget=shared), NearCache(budget=shared)
        >>> shared.held
        0
    """

    def __init__(self, max_bytes: int) -> None:
        checked(None, max_bytes)
        self.max_bytes = max_bytes
        self._lock = Latch()
        self._weights: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    @property
    def held(self) -> int:
        """How many bytes are claimed."""
        with self._lock:
            return sum(self._weights.values())

    def claim(self, member: Member, weight: int) -> bool:
        """Claim *weight* bytes for *member*, and have room made for them; say whether there is."""
        if self._lock.nested:
            return False
        while weight <= self.max_bytes:
            with self._lock:
                weights = dict(self._weights)
                if sum(weights.values()) + weight <= self.max_bytes:
                    self._weights[member] = weights.get(member, 0) + weight
                    return True
            heaviest_first = sorted(weights, key=lambda each: weights[each], reverse=True)
            if not any(each.shed() for each in heaviest_first):
                return False
        return False

    @deferring
    def release(self, member: Member, weight: int) -> None:
        """Give back *weight* bytes."""
        with self._lock:
            self._weights[member] -= weight

    def after_fork(self, member: Member) -> None:
        """Begin anew for *member* in a child process: it holds nothing there."""
        self._lock = Latch()
        self._weights.pop(member, None)
