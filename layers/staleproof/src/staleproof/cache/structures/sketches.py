"""HyperLogLogs: how many distinct members there were, in 12 kB, with an error of about 0.8 %."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method

if TYPE_CHECKING:
    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

M = TypeVar("M")


class HyperLogLogOperations(Handle, Generic[M]):
    """The operations of HyperLogLogs."""

    kind: ClassVar[str] = "hyperloglog"

    @property
    def _member(self) -> Element[M]:
        return self._bound.elements[0]

    @method
    def add(self, *members: M) -> Plan[bool]:
        """Count *members*; say whether the estimate may have changed."""
        new = [(self._member.write(each),) for each in members]
        return any((yield from self._write_each("PFADD", new, once=True)))

    @method
    def count(self) -> Plan[int]:
        """Return about how many distinct members were added."""
        number: int = yield from self._look("PFCOUNT")
        return number

    @method
    def merge(self, *others: HyperLogLogOperations[M]) -> Plan[None]:
        """Count what *others* have counted, too; they are read one after the other, and stay as they are."""
        held: list[bytes | None] = []
        for other in others:
            self._check_beside(other)
            held.append((yield from other._look("GET")))  # noqa: SLF001 - another of our own
        merged = [(raw,) for raw in held if raw is not None]
        yield from self._write_each("PFMERGE", merged)


class HyperLogLog(HyperLogLogOperations[M], BlockingHandle):
    """A HyperLogLog of a blocking cache."""


class AsyncHyperLogLog(HyperLogLogOperations[M], AwaitingHandle):
    """A HyperLogLog of an asyncio cache."""
