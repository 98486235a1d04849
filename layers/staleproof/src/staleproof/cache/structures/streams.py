"""Streams: records that are appended, and read again from any place on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from staleproof.cache.patience import Patience
from staleproof.cache.structures.arguments import whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import CodecError, ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan
    from staleproof.ports.structures import Argument

V = TypeVar("V")

FIELD = b"d"
"""Under which a record has its value."""

_ID = re.compile(r"\d{1,20}(-\d{1,20})?\Z")


class Record(NamedTuple, Generic[V]):
    """One record.

    Attributes:
        id: its place, `milliseconds-number` by the server's clock.
        value: what was appended.
    """

    id: str
    value: V


class StreamOperations(Handle, Generic[V]):
    """The operations of streams. Ids grow; after an invalidation they go on by the server's clock."""

    kind: ClassVar[str] = "stream"

    @property
    def _value(self) -> Element[V]:
        return self._bound.elements[0]

    @method
    def append(self, value: V) -> Plan[str]:
        """Append *value*, drop the oldest records above the stream's *maxlen*, and return the record's id."""
        most: int | None = self._bound.limits["maxlen"]
        bound: tuple[Argument, ...] = () if most is None else ("MAXLEN", most)
        reply = yield from self._write("XADD", *bound, "*", FIELD, self._value.write(value), once=True)
        return str(reply.decode())

    @method
    def range(
        self, start: str | None = None, stop: str | None = None, *, limit: int | None = None
    ) -> Plan[list[Record[V]]]:
        """Return records from *start* to *stop*, ids that are both within, oldest first; at most *limit*."""
        first, last = _id("start", start, "-"), _id("stop", stop, "+")
        return self._read((yield from self._look("XRANGE", first, last, *_count(limit))))

    @method
    def newest(self, limit: int = 1) -> Plan[list[Record[V]]]:
        """Return the *limit* newest records, newest first."""
        return self._read((yield from self._look("XREVRANGE", "+", "-", *_count(limit))))

    @method
    def after(
        self,
        id: str | None = None,  # noqa: A002 - it is one
        *,
        limit: int | None = None,
        wait: float | str = 0,
    ) -> Plan[list[Record[V]]]:
        """Return records after *id*, oldest first; all if it is None.

        Args:
            id: the last one that was read.
            limit: how many at most.
            wait: for how long to wait for the first, if there is none, seconds or `"5s"`; see `List.pop_left`.
        """
        first = "-" if id is None else "(" + _id("id", id, "")
        patience = Patience(seconds(wait, "wait"), self._bound.face.core.clock)
        while True:
            reply = yield from self._look("XRANGE", first, "+", *_count(limit))
            if reply or patience.is_over():
                return self._read(reply)
            yield patience.pause()

    @method
    def trim(self, *, maxlen: int | None = None, before: str | None = None) -> Plan[int]:
        """Drop the oldest records above *maxlen*, or those *before* an id; return how many went.

        Raises:
            ConfigurationError: not one of the two is given.
        """
        if (maxlen is None) == (before is None):
            raise ConfigurationError("trim takes either maxlen= or before=")
        bound: tuple[Argument, ...] = (
            ("MINID", _id("before", before, "")) if maxlen is None else ("MAXLEN", whole("maxlen", maxlen, 0))
        )
        gone: int = yield from self._write("XTRIM", *bound)
        return gone

    @method
    def size(self) -> Plan[int]:
        """Return how many records there are."""
        number: int = yield from self._look("XLEN")
        return number

    def _read(self, reply: list[Any]) -> list[Record[V]]:
        return [Record(place.decode(), self._value.read(_field(fields))) for place, fields in reply]


def _field(fields: list[bytes]) -> bytes:
    if len(fields) != 2 or fields[0] != FIELD:  # noqa: PLR2004 - a name and a value
        raise CodecError("a stored record has other fields than ours; somebody else has written it")
    return fields[1]


def _id(field: str, given: Any, default: str) -> str:
    if given is None:
        return default
    if not isinstance(given, str) or not _ID.match(given):
        raise ConfigurationError(
            f"{field}={given!r} is no id of a record; write '1700000000000-0', or milliseconds"
        )
    return given


def _count(limit: int | None) -> tuple[Argument, ...]:
    return () if limit is None else ("COUNT", whole("limit", limit, 1))


class Stream(StreamOperations[V], BlockingHandle):
    """A stream of a blocking cache."""


class AsyncStream(StreamOperations[V], AwaitingHandle):
    """A stream of an asyncio cache."""
