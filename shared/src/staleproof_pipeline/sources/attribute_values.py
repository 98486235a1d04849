"""DynamoDB AttributeValues as plain Python values.

=====  ==================================================  =====  ===================
`S`    str                                                 `SS`   frozenset of str
`N`    int if it is whole, else Decimal                    `NS`   frozenset of numbers
`B`    bytes (base64 in JSON)                              `BS`   frozenset of bytes
`BOOL` bool                                                `L`    list
`NULL` None                                                `M`    dict
=====  ==================================================  =====  ===================

The bounds are DynamoDB's own, so a record beyond them was not written by DynamoDB: 32 levels, 38 digits,
magnitudes below 10^126. Without them a number of a few characters could ask for gigabytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from staleproof.errors import OversizedEventError
from staleproof_pipeline.sources.fields import wrong

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 32
MAX_NUMBER = 160
"""Characters of a number as text."""
MAX_MAGNITUDE = 126

_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)


def item(raw: Any, path: str) -> dict[str, Any]:
    """Return the attributes of an item or a key.

    Raises:
        MalformedEventError: a value is none that DynamoDB writes; the message has its path.
        OversizedEventError: values nest deeper than `MAX_DEPTH`.
    """
    return _map(raw, path, 0)


def _map(raw: Any, path: str, depth: int) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise wrong(path, raw, "an object of attribute values")
    return {str(name): value(each, f"{path}.{name}", depth) for name, each in raw.items()}


def value(raw: Any, path: str, depth: int = 0) -> Any:
    """Return one attribute's value; raises as `item` does."""
    if depth > MAX_DEPTH:
        raise OversizedEventError(
            f"{path[:200]}: nested deeper than {MAX_DEPTH}; DynamoDB writes no such item"
        )
    if not isinstance(raw, dict) or len(raw) != 1:
        raise wrong(path, raw, "one typed attribute value such as {'S': 'text'}")
    ((kind, content),) = raw.items()
    if kind == "M":
        return _map(content, path, depth + 1)
    if kind == "L":
        items = _elements(content, path)
        return [value(each, f"{path}[{at}]", depth + 1) for at, each in enumerate(items)]
    if kind in _SETS:
        return frozenset(_SETS[kind](each, path) for each in _elements(content, path))
    if kind not in _SCALARS:
        raise wrong(path, kind, "an attribute type (S, N, B, BOOL, NULL, SS, NS, BS, L, M)")
    return _SCALARS[kind](content, path)


def _elements(content: Any, path: str) -> list[Any]:
    if not isinstance(content, list):
        raise wrong(path, content, "a list")
    return content


def _string(content: Any, path: str) -> str:
    if not isinstance(content, str):
        raise wrong(path, content, "a string")
    return content


def _number(content: Any, path: str) -> int | Decimal:
    if not isinstance(content, str) or len(content) > MAX_NUMBER or not _NUMBER.match(content):
        raise wrong(path, content, "a number as text")
    number = Decimal(content)
    if number and number.adjusted() >= MAX_MAGNITUDE:
        raise wrong(path, content, f"a number below 10^{MAX_MAGNITUDE}")
    return int(number) if number == number.to_integral_value() else number


def _binary(content: Any, path: str) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise wrong(path, content, "base64") from error


def _boolean(content: Any, path: str) -> bool:
    if not isinstance(content, bool):
        raise wrong(path, content, "true or false")
    return content


def _null(content: Any, path: str) -> None:
    if content is not True:
        raise wrong(path, content, "true, which NULL always has")


_SCALARS: dict[str, Callable[[Any, str], Any]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
}
_SETS: dict[str, Callable[[Any, str], Any]] = {"SS": _string, "NS": _number, "BS": _binary}
