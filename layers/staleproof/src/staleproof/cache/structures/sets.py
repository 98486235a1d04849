"""Sets: members without order, each once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from staleproof.cache.missing import MISSING, Missing
from staleproof.cache.structures.arguments import several, whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

M = TypeVar("M")

_CURSOR = re.compile(r"[0-9]{1,20}\Z")
PAGE = 500
"""About how many members a page of a scan has."""


class Page(NamedTuple, Generic[M]):
    """Some members of a set, and where to go on; "0" when all were seen."""

    members: Sequence[M]
    cursor: str


class SetOperations(Handle, Generic[M]):
    """The operations of sets. What concerns several sets reads each: they may lie on different nodes of a cluster."""

    kind: ClassVar[str] = "set"

    @property
    def _member(self) -> Element[M]:
        return self._bound.elements[0]

    @method
    def add(self, *members: M) -> Plan[int]:
        """Add *members*; return how many are new."""
        new = [(self._member.write(each),) for each in members]
        return sum((yield from self._write_each("SADD", new, once=True)))

    @method
    def remove(self, *members: M) -> Plan[int]:
        """Remove *members*; return how many were there."""
        gone = [(self._member.write(each),) for each in members]
        return sum((yield from self._write_each("SREM", gone)))

    @method
    def contains(self, member: M) -> Plan[bool]:
        """Say whether *member* is in it."""
        return bool((yield from self._look("SISMEMBER", self._member.write(member))))

    @method
    def contains_many(self, members: Iterable[M]) -> Plan[set[M]]:
        """Return those of *members* that are in it."""
        asked = several("members", members)
        found = yield from self._look_each("SMISMEMBER", [self._member.write(each) for each in asked])
        return {each for each, there in zip(asked, found, strict=True) if there}

    @method
    def members(self) -> Plan[set[M]]:
        """Return all members at once; see `scan` for large sets."""
        return (yield from self._members())

    def _members(self) -> Plan[set[M]]:
        reply = yield from self._look("SMEMBERS")
        return set(map(self._member.read, reply))

    @method
    def page(self, cursor: str = "0", limit: int = PAGE) -> Plan[Page[M]]:
        """Return about *limit* members after *cursor*, which is what the page before told, "0" for the first.

        What is in the set all the time comes at least once; what comes or goes meanwhile may come or not.
        """
        if not _CURSOR.match(str(cursor)):
            raise ConfigurationError(
                f"cursor={cursor!r} is none; pass what the page before told, '0' for the first"
            )
        following, found = yield from self._look("SSCAN", cursor, "COUNT", whole("limit", limit, 1))
        return Page(list(map(self._member.read, found)), following.decode())

    @method
    def pop(self) -> Plan[M | Missing]:
        """Remove some member and return it; `MISSING` if there is none."""
        reply = yield from self._write("SPOP", once=True)
        return MISSING if reply is None else self._member.read(reply)

    @method
    def random(self, count: int = 1) -> Plan[list[M]]:
        """Return *count* members by chance, each once; all if there are not so many."""
        reply = yield from self._look("SRANDMEMBER", whole("count", count, 0))
        return list(map(self._member.read, reply))

    @method
    def size(self) -> Plan[int]:
        """Return how many members there are."""
        number: int = yield from self._look("SCARD")
        return number

    @method
    def union(self, *others: SetOperations[M]) -> Plan[set[M]]:
        """Return what is in this set or in one of *others*, read one after the other."""
        found = yield from self._members()
        for other in others:
            found |= yield from self._of(other)
        return found

    @method
    def intersection(self, *others: SetOperations[M]) -> Plan[set[M]]:
        """Return what is in this set and in all *others*, read one after the other."""
        found = yield from self._members()
        for other in others:
            found &= yield from self._of(other)
        return found

    @method
    def difference(self, *others: SetOperations[M]) -> Plan[set[M]]:
        """Return what is in this set and in none of *others*, read one after the other."""
        found = yield from self._members()
        for other in others:
            found -= yield from self._of(other)
        return found

    def _of(self, other: SetOperations[M]) -> Plan[set[M]]:
        self._check_beside(other)
        return (yield from other._members())


class Set(SetOperations[M], BlockingHandle):
    """A set of a blocking cache."""

    def scan(self, limit: int = PAGE) -> Iterator[M]:
        """Go through all members, about *limit* at a time; see `page`. A member may come twice."""
        handle, cursor = self.pinned(), "0"
        while True:
            found, cursor = handle.page(cursor, limit)
            yield from found
            if cursor == "0":
                return


class AsyncSet(SetOperations[M], AwaitingHandle):
    """A set of an asyncio cache."""

    async def scan(self, limit: int = PAGE) -> AsyncIterator[M]:
        """See `Set.scan`."""
        handle, cursor = await self.pinned(), "0"
        while True:
            found, cursor = await handle.page(cursor, limit)
            for member in found:
                yield member
            if cursor == "0":
                return
