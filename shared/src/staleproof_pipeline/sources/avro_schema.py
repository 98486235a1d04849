"""Avro schemas: read from JSON, and compiled into functions that read values.

=======================================  ======================================================================
`null boolean int long float double`     None, bool, int, float
`bytes string enum fixed`                bytes, str, the symbol, bytes
`array map record`                       list, dict, dict
a union                                  the value alone
`decimal date timestamp-*`               Decimal, date, datetime in UTC
`local-timestamp-*`                      datetime without a zone
a `connect.name` of Debezium             as `connect_values` reads it; other logical types stay what they are
=======================================  ======================================================================
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof.errors import MalformedEventError
from staleproof_pipeline.sources import connect_values

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from staleproof_pipeline.sources.avro import Cursor

    Reader: TypeAlias = Callable[[Cursor], Any]

MAX_DEPTH = 64
MAX_TEXT = 1_048_576
MAX_FIXED = 1_048_576
NAMED = ("record", "error", "enum", "fixed")
"""Types that have a name, by which others may call them."""


class SchemaError(ValueError):
    """A schema is none that this release reads; the message says what is wrong."""


def parsed(text: str | bytes) -> Any:
    """Return the schema that the JSON *text* is.

    Raises:
        SchemaError: it is no JSON, or too long.
    """
    if len(text) > MAX_TEXT:
        raise SchemaError(f"{len(text)} characters exceed {MAX_TEXT}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"no JSON: {error}") from error


def reader(schema: Any) -> Reader:
    """Return the function that reads values of *schema*.

    Raises:
        SchemaError: something in it is no schema.
    """
    return _compiled(schema, _Names(), "", 0)


class _Names:
    """Types by their full names, which may be named before they are complete: records hold records of their kind."""

    def __init__(self) -> None:
        self._readers: dict[str, Reader] = {}

    def begin(self, name: str) -> None:
        if name in self._readers:
            raise SchemaError(f"{name!r} is defined twice")
        self._readers[name] = partial(self._later, name)

    def end(self, name: str, found: Reader) -> Reader:
        self._readers[name] = found
        return found

    def get(self, name: str) -> Reader:
        if name not in self._readers:
            raise SchemaError(f"{name[:80]!r} is no type")
        return self._readers[name]

    def _later(self, name: str, cursor: Cursor) -> Any:
        return self._readers[name](cursor)


def _compiled(schema: Any, names: _Names, space: str, depth: int) -> Reader:
    if depth > MAX_DEPTH:
        raise SchemaError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(schema, str):
        return PRIMITIVES.get(schema) or names.get(full(schema, space))
    if isinstance(schema, list):
        return _union([_compiled(each, names, space, depth + 1) for each in schema])
    if not isinstance(schema, dict) or "type" not in schema:
        raise SchemaError(f"{str(schema)[:80]!r} is no type")
    return _converted(schema, _complex(schema, names, space, depth + 1))


def _complex(schema: dict[str, Any], names: _Names, space: str, depth: int) -> Reader:
    kind = schema["type"]
    if kind in ("array", "map"):
        inner = _compiled(schema.get("items" if kind == "array" else "values"), names, space, depth)
        return _array(inner) if kind == "array" else _map(inner)
    if not isinstance(kind, str) or kind not in NAMED:
        return _compiled(kind, names, space, depth)
    name = full_name(schema, space)
    names.begin(name)
    if kind == "enum":
        return names.end(name, _enum(schema))
    if kind == "fixed":
        return names.end(name, _fixed(schema))
    inner_space = name.rpartition(".")[0]
    fields = [
        (each["name"], _compiled(each.get("type"), names, inner_space, depth)) for each in _fields(schema)
    ]
    return names.end(name, _record(fields))


def _fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in fields
    ):
        raise SchemaError(f"record {str(schema.get('name'))[:80]!r} needs a list of named fields")
    return fields


def full_name(schema: dict[str, Any], space: str) -> str:
    """Return the full name of the type that *schema* defines within the namespace *space*."""
    name, own = schema.get("name"), schema.get("namespace", space)
    if not isinstance(name, str) or not isinstance(own, str):
        raise SchemaError(f"{str(schema)[:80]!r} needs a name")
    return full(name, own)


def full(name: str, space: str) -> str:
    """Return the full name of the type that is called *name* within the namespace *space*."""
    return name if "." in name or not space else f"{space}.{name}"


# --- reading --------------------------------------------------------------------------------------


def _boolean(cursor: Cursor) -> bool:
    return cursor.take(1) != b"\x00"


PRIMITIVES: dict[str, Reader] = {
    "null": lambda _: None,
    "boolean": _boolean,
    "int": lambda cursor: cursor.long(),
    "long": lambda cursor: cursor.long(),
    "float": lambda cursor: cursor.double("<f"),
    "double": lambda cursor: cursor.double("<d"),
    "bytes": lambda cursor: cursor.take(cursor.long()),
    "string": lambda cursor: cursor.text(),
}


def _record(fields: list[tuple[str, Reader]]) -> Reader:
    def read(cursor: Cursor) -> dict[str, Any]:
        cursor.enter(len(fields))
        found = {name: each(cursor) for name, each in fields}
        cursor.depth -= 1
        return found

    return read


def _array(inner: Reader) -> Reader:
    def read(cursor: Cursor) -> list[Any]:
        cursor.enter()
        found = [inner(cursor) for _ in cursor.blocks()]
        cursor.depth -= 1
        return found

    return read


def _map(inner: Reader) -> Reader:
    def read(cursor: Cursor) -> dict[str, Any]:
        cursor.enter()
        found = {cursor.text(): inner(cursor) for _ in cursor.blocks()}
        cursor.depth -= 1
        return found

    return read


def _union(branches: list[Reader]) -> Reader:
    def read(cursor: Cursor) -> Any:
        return _at(branches, cursor.long(), "branch")(cursor)

    return read


def _enum(schema: dict[str, Any]) -> Reader:
    symbols = schema.get("symbols")
    if not isinstance(symbols, list):
        raise SchemaError(f"enum {schema['name']!r} needs symbols")
    return lambda cursor: _at(symbols, cursor.long(), "symbol")


def _fixed(schema: dict[str, Any]) -> Reader:
    size = schema.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FIXED:
        raise SchemaError(f"fixed {schema['name']!r} needs a size of at most {MAX_FIXED}")
    return lambda cursor: cursor.take(size)


def _at(choices: list[Any], number: int, what: str) -> Any:
    if not 0 <= number < len(choices):
        raise MalformedEventError(
            f"Avro: {what} {number} of {len(choices)}; look whether the schema is theirs"
        )
    return choices[number]


# --- meanings -------------------------------------------------------------------------------------


def _converted(schema: dict[str, Any], inner: Reader) -> Reader:
    meaning = _meaning(schema)
    return inner if meaning is None else lambda cursor: meaning(inner(cursor))


def _meaning(schema: dict[str, Any]) -> Callable[[Any], Any] | None:
    logical, connect = schema.get("logicalType"), schema.get("connect.name")
    if logical == "decimal" and schema["type"] in ("bytes", "fixed"):
        scale = schema.get("scale", 0)
        if not isinstance(scale, int):
            raise SchemaError(f"a decimal's scale {str(scale)[:40]!r} is no number")
        return lambda raw: connect_values.unscaled(raw, scale, "Avro decimal")
    if isinstance(connect, str) and connect in connect_values.MEANINGS:
        return lambda raw: connect_values.value(raw, {"name": connect}, "Avro value")
    return _LOGICAL.get(logical) if isinstance(logical, str) else None


def _since(epoch: datetime, **unit: int) -> Callable[[Any], Any]:
    step = timedelta(**unit)

    def convert(raw: Any) -> Any:
        try:
            return epoch + raw * step
        except (OverflowError, TypeError):
            return raw

    return convert


def _day(raw: Any) -> Any:
    try:
        return date(1970, 1, 1) + timedelta(days=raw)
    except (OverflowError, TypeError):
        return raw


_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL = _UTC.replace(tzinfo=None)
_LOGICAL: dict[str, Callable[[Any], Any]] = {
    "date": _day,
    "timestamp-millis": _since(_UTC, milliseconds=1),
    "timestamp-micros": _since(_UTC, microseconds=1),
    "local-timestamp-millis": _since(_LOCAL, milliseconds=1),
    "local-timestamp-micros": _since(_LOCAL, microseconds=1),
}
