"""Reading a raw record field by field, with errors that name the field, the value and the fix."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from staleproof_pipeline.change import shown
from staleproof_pipeline.errors import FieldError

T = TypeVar("T")

_KINDS: dict[type, str] = {str: "a string", dict: "an object", list: "a list", int: "a whole number"}
_TEXT = {str}
_REDRIVE = "correct the producer, then redrive"


def wrong(path: str, value: Any, expected: str, fix: str = _REDRIVE) -> FieldError:
    """Return the error for *value* at *path* that is not *expected*."""
    return FieldError(f"{path}: {shown(value)} is not {expected}; {fix}", path)


def an_object(record: Any, path: str = "record") -> dict[str, Any]:
    """Return *record* if it is a JSON object."""
    if not isinstance(record, dict) or not set(map(type, record)) <= _TEXT:
        raise wrong(path, record, "an object with string keys")
    return record


def required(record: dict[str, Any], name: str, kind: type[T], *, path: str = "") -> T:
    """Return the field *name*; *path* says where *record* lies, for the message.

    Raises:
        MalformedEventError: it is missing or of another kind.
    """
    where = f"{path}{name}"
    if name not in record:
        raise FieldError(
            f"{where} is missing; the record needs {_KINDS.get(kind, kind.__name__)}: {_REDRIVE}", where
        )
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise wrong(where, value, _KINDS.get(kind, kind.__name__))
    return value


def optional(record: dict[str, Any], name: str, kind: type[T], default: T, *, path: str = "") -> T:
    """Return the field *name*, or *default* if it is missing or null."""
    return default if record.get(name) is None else required(record, name, kind, path=path)


def milliseconds(path: str, value: Any) -> int:
    """Return the UTC milliseconds of *value*, epoch seconds or ISO 8601 text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise wrong(path, value, "a time")  # a list times 1,000 is a longer list
    try:
        if isinstance(value, Decimal):
            return int(float(value) * 1_000)  # a number as JSON in a text has it, of any magnitude
        if isinstance(value, str):
            return int(datetime.fromisoformat(value).timestamp() * 1_000)
        return int(value * 1_000)
    except (ValueError, OverflowError, OSError) as error:
        raise wrong(path, value, "a time") from error
