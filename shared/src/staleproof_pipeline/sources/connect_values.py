"""Values of Kafka Connect's JSON converter, read by the schema that lies beside them.

Without a schema everything stays as JSON has it: a decimal is base64 text, a day a number. With one (`schemas.enable`),

======================================================  ===================================================
`org.apache.kafka.connect.data.Decimal`                 Decimal: base64 of an unscaled big-endian number, and a scale
`io.debezium.data.VariableScaleDecimal`                 Decimal: a struct of both
`io.debezium.time.Date`, `...connect.data.Date`         date: days since 1970
`...Timestamp`, `Micro...`, `Nano...`, `connect...`      datetime without a zone, as the column has none
`io.debezium.time.ZonedTimestamp`                       datetime in UTC
`io.debezium.data.Json`                                 the document
`bytes` without a name                                  bytes
======================================================  ===================================================

and everything else (times of day, years beyond 9999) stays as it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from staleproof.errors import EventError, OversizedEventError
from staleproof_pipeline.sources.documents import decoded, document
from staleproof_pipeline.sources.fields import wrong

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 64
MAX_DIGITS_BYTES = 512
"""Bytes of an unscaled number: more than a thousand digits, more than any database keeps."""
MAX_SCALE = 1_000

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the column has no zone, so its value has none


def value(raw: Any, schema: Any, path: str, depth: int = 0) -> Any:
    """Return *raw* as *schema* says; what the schema does not say of it is left alone.

    Raises:
        MalformedEventError: a value is not what its schema says.
        OversizedEventError: schema and value nest deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise OversizedEventError(f"{path[:200]}: nested deeper than {MAX_DEPTH}; send flat rows")
    if raw is None or not isinstance(schema, dict):
        return raw
    name, kind = schema.get("name"), schema.get("type")
    if isinstance(name, str) and name in MEANINGS:
        return MEANINGS[name](raw, schema, path)
    if kind == "struct" and isinstance(raw, dict):
        return _struct(raw, schema, path, depth)
    if kind == "array" and isinstance(raw, list):
        items = schema.get("items")
        return [value(each, items, f"{path}[{at}]", depth + 1) for at, each in enumerate(raw)]
    if kind == "bytes":
        return decoded(raw, path)
    return raw


def _struct(raw: dict[str, Any], schema: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
    fields = schema.get("fields")
    if not isinstance(fields, list):
        return raw
    known = {
        each["field"]: each
        for each in fields
        if isinstance(each, dict) and isinstance(each.get("field"), str)
    }
    return {name: value(each, known.get(name), f"{path}.{name}", depth + 1) for name, each in raw.items()}


def unscaled(raw: bytes, scale: int, path: str) -> Decimal:
    """Return the number of the unscaled big-endian two's complement *raw*, exactly; raises as `value` does."""
    if len(raw) > MAX_DIGITS_BYTES or abs(scale) > MAX_SCALE:
        raise OversizedEventError(
            f"{path}: a decimal of {len(raw)} bytes and scale {scale}; no database has it"
        )
    number = int.from_bytes(raw, "big", signed=True)
    digits = tuple(map(int, str(abs(number))))
    return Decimal((int(number < 0), digits, -scale))


def _decimal(raw: Any, schema: dict[str, Any], path: str) -> Any:
    parameters = schema.get("parameters")
    scale = parameters.get("scale") if isinstance(parameters, dict) else None
    if not isinstance(raw, str):
        return raw  # `decimal.format=NUMERIC` writes a number
    return unscaled(decoded(raw, path), _scale(scale, path), path)


def _variable_decimal(raw: Any, _schema: dict[str, Any], path: str) -> Any:
    if not isinstance(raw, dict):
        return raw
    return unscaled(decoded(raw.get("value"), f"{path}.value"), _scale(raw.get("scale"), path), path)


def _scale(told: Any, path: str) -> int:
    try:
        return int(told)
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong(f"{path}: scale", told, "a whole number") from error


def _day(raw: Any, _schema: dict[str, Any], _path: str) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, int):
        return raw
    try:
        return date(1970, 1, 1) + timedelta(days=raw)
    except OverflowError:
        return raw


def _moment(**unit: int) -> Callable[[Any, dict[str, Any], str], Any]:
    step = timedelta(**unit)

    def convert(raw: Any, _schema: dict[str, Any], _path: str) -> Any:
        if isinstance(raw, bool) or not isinstance(raw, int):
            return raw
        try:
            return _EPOCH + raw * step
        except OverflowError:
            return raw

    return convert


def _nanoseconds(raw: Any, schema: dict[str, Any], path: str) -> Any:
    """A datetime has microseconds, which is what drivers of databases return."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        return raw
    moment = _MICROSECONDS(raw // 1_000, schema, path)
    return moment if isinstance(moment, datetime) else raw


def _zoned(raw: Any, _schema: dict[str, Any], _path: str) -> Any:
    try:
        return datetime.fromisoformat(raw).astimezone(UTC) if isinstance(raw, str) else raw
    except (ValueError, OverflowError):
        return raw


def _json(raw: Any, _schema: dict[str, Any], path: str) -> Any:
    """What drivers of databases return: the document. A text that is none stays a text."""
    try:
        return document(raw, path) if isinstance(raw, str) else raw
    except EventError:
        return raw


_MICROSECONDS = _moment(microseconds=1)
MEANINGS: dict[str, Callable[[Any, dict[str, Any], str], Any]] = {
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "org.apache.kafka.connect.data.Date": _day,
    "io.debezium.time.Date": _day,
    "org.apache.kafka.connect.data.Timestamp": _moment(milliseconds=1),
    "io.debezium.time.Timestamp": _moment(milliseconds=1),
    "io.debezium.time.MicroTimestamp": _MICROSECONDS,
    "io.debezium.time.NanoTimestamp": _nanoseconds,
    "io.debezium.time.ZonedTimestamp": _zoned,
    "io.debezium.data.Json": _json,
}
