"""MongoDB's Extended JSON as plain Python values, as far as keys and tags are made of it.

`{"$oid": "65…"}` is its 24 hex digits, numbers are numbers, dates are datetimes in UTC (a number of milliseconds where
no datetime reaches), `$uuid`, also as a `$binary` of subtype 04, is its text; what else begins with a dollar sign stays
as it is.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from staleproof.errors import OversizedEventError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 100
"""As deep as MongoDB nests documents."""
MAX_NUMBER = 64
"""Characters of a number as text; Decimal128 has 34 digits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(raw: Any, path: str, depth: int = 0) -> Any:
    """Return *raw* without type wrappers.

    Raises:
        OversizedEventError: it nests deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise OversizedEventError(f"{path}: nested deeper than {MAX_DEPTH}; MongoDB writes no such document")
    if isinstance(raw, list):
        return [plain(each, path, depth + 1) for each in raw]
    if not isinstance(raw, dict):
        return raw
    if len(raw) == 1:
        ((name, content),) = raw.items()
        if name in _WRAPPERS:
            return _unwrapped(name, content, raw)
    return {name: plain(each, path, depth + 1) for name, each in raw.items()}


def _unwrapped(name: str, content: Any, raw: dict[str, Any]) -> Any:
    try:
        return _WRAPPERS[name](content)
    except (ValueError, TypeError, OverflowError, KeyError, InvalidOperation, binascii.Error):
        return raw  # an application's own field that happens to be called so


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise TypeError
    return content


def _number(kind: Callable[[str], Any]) -> Callable[[Any], Any]:
    def convert(content: Any) -> Any:
        text = _text(content)
        if len(text) > MAX_NUMBER:
            raise ValueError
        return kind(text)

    return convert


def _date(content: Any) -> Any:
    if isinstance(content, str):
        return datetime.fromisoformat(content)
    milliseconds = int(content["$numberLong"]) if isinstance(content, dict) else int(content)
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return milliseconds


def _binary(content: Any) -> Any:
    raw = base64.b64decode(content["base64"] if isinstance(content, dict) else _text(content), validate=True)
    if isinstance(content, dict) and content.get("subType") in _UUIDS and len(raw) == _UUID_BYTES:
        return str(UUID(bytes=raw))  # what `$uuid` is short for
    return raw


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if number.is_snan():  # it raises wherever it is compared
        raise ValueError
    return number


_UUIDS = ("04", "4")
_UUID_BYTES = 16


_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "$oid": _text,
    "$uuid": _text,
    "$symbol": _text,
    "$numberInt": _number(int),
    "$numberLong": _number(int),
    "$numberDouble": _number(float),
    "$numberDecimal": _number(_decimal),
    "$date": _date,
    "$binary": _binary,
}
