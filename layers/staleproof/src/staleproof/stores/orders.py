"""Orders: which entry a store lets go of next.

==========  =========================================================================================================
`lru`       the one unused for longest
`fifo`      the one written first, used or not
`lfu`       the one used least often since it came; of those, the one unused for longest. It never forgets: what
            was popular once stays
`tinylfu`   W-TinyLFU: keeps what was used often of late, see `staleproof.stores.tinylfu`
==========  =========================================================================================================

An order knows keys and weights, not values. It has no lock: its owner's guards it. `OrderedDict` and not `dict` holds
the keys: taking the first key of a dict steps over all that were taken before, until the dict is built anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Any

    from staleproof.stores.bounds import Bounds

EVICTIONS: Final = ("lru", "lfu", "fifo", "tinylfu")


class Order(Protocol):
    """Which key goes next."""

    def add(self, key: Any, weight: int) -> None:
        """Take in *key*, which it does not hold."""
        ...

    def replace(self, key: Any, weight: int) -> None:
        """Note that *key*, which it holds, was written anew, and what it weighs now."""
        ...

    def used(self, key: Any, /) -> None:
        """Note that *key*, which it holds, was used; what follows from it may wait for the next write."""
        ...

    def remove(self, key: Any) -> None:
        """Let go of *key*, which it holds."""
        ...

    def victim(self) -> Any:
        """Return the key that goes next: never the one written last, unless it is the only one."""
        ...

    def clear(self) -> None:
        """Let go of every key."""
        ...


class Lru:
    """Least recently used."""

    __slots__ = ("_keys", "clear", "used")

    def __init__(self) -> None:
        self._keys: OrderedDict[object, None] = OrderedDict()
        self.used = self._keys.move_to_end  # no call of Python's own on a store's hit
        self.clear = self._keys.clear

    def add(self, key: object, weight: int) -> None:  # noqa: ARG002 - other orders ask for it
        """See `Order.add`."""
        self._keys[key] = None

    def replace(self, key: object, weight: int) -> None:  # noqa: ARG002
        """See `Order.replace`."""
        self._keys.move_to_end(key)

    def remove(self, key: object) -> None:
        """See `Order.remove`."""
        del self._keys[key]

    def victim(self) -> object:
        """See `Order.victim`."""
        return next(iter(self._keys))


class Fifo(Lru):
    """First in, first out: use changes nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.used = _unmoved  # type: ignore[assignment]


def _unmoved(_key: object) -> None:
    """Leave the key where it is."""


class _Uses:
    """The keys that were used equally often, between those used less and those used more."""

    __slots__ = ("keys", "less", "more", "times")

    def __init__(self, times: int) -> None:
        self.times = times
        self.keys: OrderedDict[object, None] = OrderedDict()
        self.less = self.more = self

    def insert_after(self, less: _Uses) -> None:
        """Join the ring after *less*."""
        self.less, self.more = less, less.more
        self.less.more = self.more.less = self

    def leave(self) -> None:
        """Leave the ring."""
        self.less.more, self.more.less = self.more, self.less


class Lfu:
    """Least frequently used, in constant time.

    The ring of `_Uses` is from Ketan Shah, Anirban Mitra, Dhruv Matani, "An O(1) algorithm for implementing the LFU
    cache eviction scheme" (2010).
    """

    __slots__ = ("_newest", "_ring", "_uses")

    def __init__(self) -> None:
        self._ring = _Uses(0)  # holds no key: where the ring begins and ends
        self._uses: dict[object, _Uses] = {}
        self._newest: object = None

    def add(self, key: object, weight: int) -> None:  # noqa: ARG002
        """See `Order.add`."""
        self._newest = key
        self._join(key, self._ring)

    def replace(self, key: object, weight: int) -> None:  # noqa: ARG002
        """See `Order.replace`; it keeps its count."""
        self._newest = key
        self.used(key)

    def used(self, key: object) -> None:
        """See `Order.used`."""
        uses = self._uses[key]
        self._join(key, uses)
        self._leave(key, uses)

    def remove(self, key: object) -> None:
        """See `Order.remove`."""
        self._leave(key, self._uses.pop(key))

    def victim(self) -> object:
        """See `Order.victim`."""
        uses = self._ring.more
        for key in uses.keys:
            if key != self._newest:
                return key
        # Nothing but the newest was used so little, and evicting it would keep every newcomer out.
        return next(iter(uses.more.keys), self._newest)

    def clear(self) -> None:
        """See `Order.clear`."""
        self._ring = _Uses(0)
        self._uses.clear()
        self._newest = None

    def _join(self, key: object, less: _Uses) -> None:
        uses = less.more
        if uses.times != less.times + 1:
            uses = _Uses(less.times + 1)
            uses.insert_after(less)
        uses.keys[key] = None
        self._uses[key] = uses

    @staticmethod
    def _leave(key: object, uses: _Uses) -> None:
        del uses.keys[key]
        if not uses.keys:
            uses.leave()


def order(eviction: str, bounds: Bounds) -> Order:
    """Return the order called *eviction* for a store of these *bounds*.

    Raises:
        ConfigurationError: there is no such order.
    """
    if eviction == "tinylfu":
        from staleproof.stores.tinylfu import TinyLfu  # noqa: PLC0415 - only what is used is imported

        return TinyLfu(bounds)
    kinds: dict[str, type[Lru | Lfu]] = {"lru": Lru, "lfu": Lfu, "fifo": Fifo}
    if eviction not in kinds:
        raise ConfigurationError(f"eviction={eviction!r} is unknown; use one of {', '.join(EVICTIONS)}")
    return kinds[eviction]()
