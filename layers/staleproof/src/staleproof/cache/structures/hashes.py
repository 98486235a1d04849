"""Hashes: values by field, each to be read and changed by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from staleproof.cache.missing import MISSING, Missing
from staleproof.cache.structures.arguments import finite, several, whole
from staleproof.cache.structures.elements import is_number
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

F = TypeVar("F")
V = TypeVar("V")


class HashOperations(Handle, Generic[F, V]):
    """The operations of hashes."""

    kind: ClassVar[str] = "hash"

    @property
    def _field(self) -> Element[F]:
        return self._bound.elements[0]

    @property
    def _value(self) -> Element[V]:
        return self._bound.elements[1]

    @method
    def get(self, field: F) -> Plan[V | Missing]:
        """Return the value of *field*, or `MISSING`."""
        reply = yield from self._look("HGET", self._field.write(field))
        return MISSING if reply is None else self._value.read(reply)

    @method
    def get_many(self, fields: Iterable[F]) -> Plan[dict[F, V]]:
        """Return the values of those of *fields* that are there."""
        asked = several("fields", fields)
        found = yield from self._look_each("HMGET", [self._field.write(each) for each in asked])
        read = self._value.read
        return {each: read(raw) for each, raw in zip(asked, found, strict=True) if raw is not None}

    @method
    def all(self) -> Plan[dict[F, V]]:
        """Return all fields with their values."""
        reply = yield from self._look("HGETALL")
        field, value = self._field.read, self._value.read
        return {field(name): value(raw) for name, raw in zip(reply[::2], reply[1::2], strict=True)}

    @method
    def fields(self) -> Plan[list[F]]:
        """Return all fields, in no order."""
        reply = yield from self._look("HKEYS")
        return list(map(self._field.read, reply))

    @method
    def contains(self, field: F) -> Plan[bool]:
        """Say whether *field* is there."""
        return bool((yield from self._look("HEXISTS", self._field.write(field))))

    @method
    def size(self) -> Plan[int]:
        """Return how many fields there are."""
        number: int = yield from self._look("HLEN")
        return number

    @method
    def set(self, field: F, value: V) -> Plan[bool]:
        """Set *field*; say whether it is new."""
        return bool((yield from self._write("HSET", self._field.write(field), self._value.write(value))))

    @method
    def set_many(self, values: Mapping[F, V]) -> Plan[int]:
        """Set many fields; return how many are new. Above 500 others may see some of them set and some not yet."""
        pairs = [(self._field.write(field), self._value.write(value)) for field, value in values.items()]
        return sum((yield from self._write_each("HSET", pairs)))

    @method
    def add(self, field: F, value: V) -> Plan[bool]:
        """Set *field* if it is not there; say whether it was set."""
        pair = self._field.write(field), self._value.write(value)
        return bool((yield from self._write("HSETNX", *pair, once=True)))

    @method
    def incr(self, field: F, by: float = 1) -> Plan[V]:
        """Add to the number in *field*, 0 if it is new; return the sum. Values must be `int`, of 64 bits, or `float`.

        Raises:
            ConfigurationError: values are no numbers, or *by* is none of theirs.
            ProviderRejectedError: the sum does not fit.
        """
        kind = self._value.kind
        if not is_number(kind):
            raise ConfigurationError(f"value={kind!r} cannot be counted up; declare value=int or value=float")
        given: Any = whole("by", by) if kind is int else repr(finite("by", by))
        command = "HINCRBY" if kind is int else "HINCRBYFLOAT"
        reply = yield from self._write(command, self._field.write(field), given, once=True)
        return self._value.read(reply)

    @method
    def delete(self, *fields: F) -> Plan[int]:
        """Remove *fields*; return how many were there."""
        gone = [(self._field.write(each),) for each in fields]
        return sum((yield from self._write_each("HDEL", gone)))


class Hash(HashOperations[F, V], BlockingHandle):
    """A hash of a blocking cache."""


class AsyncHash(HashOperations[F, V], AwaitingHandle):
    """A hash of an asyncio cache."""
