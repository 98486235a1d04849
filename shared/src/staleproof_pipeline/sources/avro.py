"""Avro values, read within bounds: by a schema that is configured, or by the one that an object container carries.

Why not a library: a container's schema is its sender's, and a few bytes may claim a billion empty items or a block that
inflates to gigabytes. Here every length is checked against the bytes that are there, values and depth are counted, and
inflating stops. A schema is compiled into functions once; see `avro_schema` for the language.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError, MalformedEventError, OversizedEventError
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources import avro_fingerprint, avro_schema
from staleproof_pipeline.sources.avro_schema import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"Obj\x01"
SINGLE_OBJECT = b"\xc3\x01"
MAX_VALUES = 500_000
"""Fields of records and elements of arrays and maps, in one message."""
MAX_DEPTH = 64
MAX_INFLATED = 8 * 1_048_576
"""Bytes of a container's block."""

_SYNC = 16
_VARINT_BYTES = 10
_FINGERPRINT = 8


class Cursor:
    """Bytes, how far they are read, and what may still be read of them.

    Attributes:
        depth: of what nests at the moment; whoever enters raises it, and lowers it again.
    """

    __slots__ = ("_at", "_data", "_left", "depth")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = MAX_VALUES
        self.depth = 0

    @property
    def done(self) -> bool:
        """Whether everything is read."""
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes.

        Raises:
            MalformedEventError: there are fewer.
        """
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise MalformedEventError(
                f"Avro: {size} bytes are claimed at {self._at} of {len(self._data)}; look whether the schema is theirs"
            )
        found = self._data[self._at : end]
        self._at = end
        return found

    def long(self) -> int:
        """Return the next number, of variable length."""
        number = shift = 0
        for byte in self._data[self._at : self._at + _VARINT_BYTES]:
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit says that another byte follows
                return (number >> 1) ^ -(number & 1)
            shift += 7
        raise MalformedEventError(
            f"Avro: a number ends within at {self._at}; look whether the schema is theirs"
        )

    def double(self, form: str) -> float:
        """Return the next floating-point number of *form*, as `struct` names it."""
        number: float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return number

    def text(self) -> str:
        """Return the next text."""
        try:
            return self.take(self.long()).decode()
        except UnicodeDecodeError as error:
            raise MalformedEventError(f"Avro: {error}; look whether the schema is theirs") from error

    def blocks(self) -> Iterator[None]:
        """Yield once an item of the array or map that comes next."""
        while count := self.long():
            if count < 0:
                count = -count
                self.long()  # the block's size, for readers that skip it
            self._spend(count)
            for _ in range(count):
                yield

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise OversizedEventError(f"Avro: more than {MAX_VALUES} values; send several messages")

    def enter(self, fields: int = 0) -> None:
        """Step into an array, a map, or a record of *fields*.

        Raises:
            OversizedEventError: there are more than `MAX_VALUES`, or they nest deeper than `MAX_DEPTH`.
        """
        self._spend(fields)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OversizedEventError(f"Avro: nested deeper than {MAX_DEPTH}; send flat rows")


class Schema:
    """A schema that reads values.

    Args:
        text: the schema as JSON.

    Attributes:
        read: reads one value from a cursor, and raises as `value` does.
        fingerprint: CRC-64-AVRO of its canonical form, as the single-object encoding names it.

    Raises:
        SchemaError: it is none.
    """

    def __init__(self, text: str | bytes) -> None:
        found = avro_schema.parsed(text)
        self.read = avro_schema.reader(found)
        self.fingerprint = avro_fingerprint.fingerprint(found)

    @classmethod
    def configured(cls, text: str, name: str) -> Schema:
        """Return the schema that is configured as *name*.

        Raises:
            ConfigurationError: it is none.
        """
        try:
            return cls(text)
        except SchemaError as error:
            raise ConfigurationError(f"schema {name!r}: {error}; write an Avro schema as JSON") from error

    def value(self, raw: bytes) -> Any:
        """Return the one value that *raw* is.

        Raises:
            MalformedEventError: it was not written by this schema.
            OversizedEventError: it holds more than the bounds allow.
        """
        cursor = Cursor(raw)
        found = self.read(cursor)
        if not cursor.done:
            raise MalformedEventError("Avro: bytes are left over; look whether the schema is theirs")
        return found


def single_object(raw: bytes, schema: Schema) -> Any:
    """Return the value in the single-object encoding *raw*.

    Raises:
        UnsupportedFormatError: another schema wrote it.
        EventError: as `Schema.value` does.
    """
    start = len(SINGLE_OBJECT) + _FINGERPRINT
    told = raw[len(SINGLE_OBJECT) : start]
    if told != schema.fingerprint:
        raise UnsupportedFormatError(
            f"Avro: written by the schema of fingerprint {told.hex()}, and {schema.fingerprint.hex()} is configured; "
            "configure the writer's"
        )
    return schema.value(raw[start:])


def container(raw: bytes) -> list[Any]:
    """Return the values of the object container *raw*.

    Raises:
        MalformedEventError: it is none, or is cut off.
        OversizedEventError: it holds more than the bounds allow.
        UnsupportedFormatError: its blocks are compressed otherwise than by deflate.
    """
    cursor = Cursor(raw)
    cursor.take(len(MAGIC))
    meta = {cursor.text(): cursor.take(cursor.long()) for _ in cursor.blocks()}
    sync = cursor.take(_SYNC)
    try:
        schema = _schema_of(meta.get("avro.schema", b""))
    except SchemaError as error:
        raise MalformedEventError(f"Avro: the container's schema: {error}; correct the producer") from error
    found: list[Any] = []
    while not cursor.done:
        count, block = cursor.long(), cursor.take(cursor.long())
        found += _block(_inflated(block, meta.get("avro.codec", b"null")), schema, count)
        if cursor.take(_SYNC) != sync:
            raise MalformedEventError("Avro: a block does not end with the container's marker; send it whole")
        if len(found) > MAX_VALUES:
            raise OversizedEventError(f"Avro: more than {MAX_VALUES} values; send several messages")
    return found


def _block(data: bytes, schema: Schema, count: int) -> list[Any]:
    if not 0 <= count <= MAX_VALUES:
        raise OversizedEventError(f"Avro: a block of {count} values; send at most {MAX_VALUES}")
    cursor = Cursor(data)
    found = [schema.read(cursor) for _ in range(count)]
    if not cursor.done:
        raise MalformedEventError(f"Avro: a block of {count} values has more; send it whole")
    return found


def _inflated(block: bytes, codec: bytes) -> bytes:
    if codec == b"null":
        return block
    if codec != b"deflate":
        raise UnsupportedFormatError(
            f"Avro: blocks compressed by {codec[:40]!r}; write the container with deflate, or plain"
        )
    return inflated(block, -zlib.MAX_WBITS)


def inflated(packed: bytes, window: int) -> bytes:
    """Return what zlib packed into *packed*.

    Raises:
        MalformedEventError: it did not.
        OversizedEventError: it unpacks to more than `MAX_INFLATED`.
    """
    unpacker = zlib.decompressobj(window)
    try:
        found = unpacker.decompress(packed, MAX_INFLATED)
    except zlib.error as error:
        raise MalformedEventError(f"compressed data: {error}; send it whole") from error
    if unpacker.unconsumed_tail:
        raise OversizedEventError(
            f"compressed data unpacks to more than {MAX_INFLATED} bytes; send less at once"
        )
    return found


@lru_cache(maxsize=64)
def _schema_of(text: bytes) -> Schema:
    return Schema(text)
