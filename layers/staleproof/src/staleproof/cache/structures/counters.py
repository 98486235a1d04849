"""Counters: one number, counted up and down by many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from staleproof.cache.structures.arguments import finite, whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method

if TYPE_CHECKING:
    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

N = TypeVar("N", int, float)


class CounterOperations(Handle, Generic[N]):
    """The operations of counters: integers of 64 bits, or floats. One that is not there counts as 0."""

    kind: ClassVar[str] = "counter"

    @property
    def _number(self) -> Element[N]:
        return self._bound.elements[0]

    @method
    def incr(self, by: N | int = 1) -> Plan[N]:
        """Add *by*; return the sum.

        Raises:
            ProviderRejectedError: the sum does not fit; nothing was added.
            ProviderUnavailableError: whether it was added may not be known; it is not added twice by itself.
        """
        return (yield from self._add(self._checked("by", by)))

    @method
    def decr(self, by: N | int = 1) -> Plan[N]:
        """Subtract *by*; see `incr`."""
        return (yield from self._add(-self._checked("by", by)))

    def _add(self, by: Any) -> Plan[N]:
        whole_numbers = self._number.kind is int
        command, given = ("INCRBY", by) if whole_numbers else ("INCRBYFLOAT", repr(by))
        reply = yield from self._write(command, given, once=True)
        return self._number.read(reply)

    @method
    def get(self) -> Plan[N]:
        """Return the number."""
        reply = yield from self._look("GET")
        return self._number.read(b"0" if reply is None else reply)

    @method
    def set(self, value: N) -> Plan[None]:
        """Set the number."""
        yield from self._write("SET", self._number.write(self._checked("value", value)))

    def _checked(self, field: str, value: Any) -> Any:
        return whole(field, value) if self._number.kind is int else finite(field, value)


class Counter(CounterOperations[N], BlockingHandle):
    """A counter of a blocking cache."""


class AsyncCounter(CounterOperations[N], AwaitingHandle):
    """A counter of an asyncio cache."""
