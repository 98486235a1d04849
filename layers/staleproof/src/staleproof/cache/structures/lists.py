"""Lists: values in order, cheap at both ends; queues, stacks, the latest so-many."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from staleproof.cache.missing import MISSING, Missing
from staleproof.cache.patience import Patience
from staleproof.cache.structures.arguments import inclusive, whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

V = TypeVar("V")


class ListOperations(Handle, Generic[V]):
    """The operations of lists.

    A list is no message broker: what an invalidation, an eviction or a failover takes is gone, and so is a value whose
    pop was answered to nobody.
    """

    kind: ClassVar[str] = "list"

    @property
    def _value(self) -> Element[V]:
        return self._bound.elements[0]

    @method
    def push_right(self, *values: V) -> Plan[int]:
        """Append *values*; return how long the list is then."""
        return (yield from self._push("RPUSH", values))

    @method
    def push_left(self, *values: V) -> Plan[int]:
        """Put *values* before the first, one after the other, so that the last of them is the first of all."""
        return (yield from self._push("LPUSH", values))

    def _push(self, command: str, values: tuple[V, ...]) -> Plan[int]:
        if not values:
            return (yield from self._size())
        pushed = [(self._value.write(each),) for each in values]
        length: int = (yield from self._write_each(command, pushed, once=True))[-1]
        return length

    @method
    def pop_left(self, *, wait: float | str = 0) -> Plan[V | Missing]:
        """Remove the first value and return it; `MISSING` if there is none, also after waiting for one.

        Args:
            wait: for how long at most, seconds or `"5s"`. It looks again at intervals of up to 0.15 seconds, so nothing
                is held open meanwhile, and a list that is emptied and filled anew is noticed.
        """
        return (yield from self._pop("LPOP", wait))

    @method
    def pop_right(self, *, wait: float | str = 0) -> Plan[V | Missing]:
        """Remove the last value and return it; see `pop_left`."""
        return (yield from self._pop("RPOP", wait))

    def _pop(self, command: str, wait: float | str) -> Plan[V | Missing]:
        patience = Patience(seconds(wait, "wait"), self._bound.face.core.clock)
        while True:
            reply = yield from self._write(command, once=True)
            if reply is not None:
                return self._value.read(reply)
            if patience.is_over():
                return MISSING
            yield patience.pause()

    @method
    def range(self, start: int = 0, stop: int | None = None) -> Plan[list[V]]:
        """Return the values at `[start:stop]`, as a slice of a list."""
        places = inclusive(start, stop)
        if places is None:
            return []
        reply = yield from self._look("LRANGE", *places)
        return list(map(self._value.read, reply))

    @method
    def at(self, index: int) -> Plan[V | Missing]:
        """Return the value at *index*, counted from the end if negative; `MISSING` if there is none."""
        reply = yield from self._look("LINDEX", whole("index", index))
        return MISSING if reply is None else self._value.read(reply)

    @method
    def trim(self, start: int = 0, stop: int | None = None) -> Plan[None]:
        """Keep what is at `[start:stop]`, and remove everything else."""
        yield from self._write("LTRIM", *(inclusive(start, stop) or (1, 0)), once=True)

    @method
    def size(self) -> Plan[int]:
        """Return how long it is."""
        return (yield from self._size())

    def _size(self) -> Plan[int]:
        length: int = yield from self._look("LLEN")
        return length


class List(ListOperations[V], BlockingHandle):
    """A list of a blocking cache."""


class AsyncList(ListOperations[V], AwaitingHandle):
    """A list of an asyncio cache."""
