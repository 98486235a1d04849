"""The text of a value inside a key or a tag: escaped, and the same whatever type or notation an equal value came in."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MAGNITUDE = 400
"""Powers of ten that a number in a key may reach; floats end at 308, DynamoDB's numbers at 126."""

_LIMIT = 10 ** (MAX_MAGNITUDE + 1)
_RESERVED = {ord(c): f"%{ord(c):02X}" for c in ":{}%" + "".join(map(chr, range(33))) + "\x7f"}


def utf8(text: str) -> bytes:
    """Return *text* in UTF-8.

    Raises:
        ConfigurationError: it holds half of a surrogate pair, which no encoding has a form for.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{text[:80]!r} holds a lone surrogate and cannot be a key or tag; decode the input properly first"
        ) from error


NONE = "%none"
"""The text of `None`: no escaped string looks so, for after % it has two hex digits."""


def text(value: Any) -> str:
    """Render one field's value, escaped.

    Raises:
        ConfigurationError: the value has no single obvious text (a list, a dict, an arbitrary object).
    """
    if type(value) is str:
        return value.translate(_RESERVED)
    if type(value) is int:
        return _integer(value)
    value = unwrapped(value)
    return NONE if value is None else plain(value).translate(_RESERVED)


def unwrapped(value: Any) -> Any:
    """Return what an `Enum` or boto3's `Binary` stands for, and anything else as it is."""
    while isinstance(value, Enum) or isinstance(getattr(value, "value", None), bytes):
        value = value.value
    return value


def plain(value: Any) -> str:
    """Render a value other than None, and do not escape it; raises as `text` does."""
    value = unwrapped(value)
    for kind, render in _RENDERERS:
        if isinstance(value, kind):
            return render(value)
    raise ConfigurationError(
        f"a key field cannot be made of {type(value).__name__}; pass a str, int, float, bool, bytes, date, UUID, "
        "Decimal or Enum, or name an attribute of it in the template, such as {user.id}"
    )


def _number(value: float | Decimal) -> str:
    """Render a number so that its equal has the same text, whatever type or notation it came in.

    `1`, `1.0`, `Decimal("1.00")` and a change record's `1e0` are one number and must be one key.
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, str) or exact.adjusted() > MAX_MAGNITUDE or exponent < -MAX_MAGNITUDE:
        raise ConfigurationError(
            f"a key field cannot be made of the number {value!r}; pass a finite one, or a text"
        )
    if exact == exact.to_integral_value():
        return str(int(exact))
    return format(exact, "f").rstrip("0")  # not `normalize()`, which rounds to the context's 28 digits


def _integer(value: int) -> str:
    if not -_LIMIT < value < _LIMIT:
        raise ConfigurationError(
            f"a key field cannot be made of a number of {value.bit_length()} bits; pass a smaller one, or a text"
        )
    return str(int(value))


_RENDERERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (int, _integer),
    ((float, Decimal), _number),
    ((str, UUID), str),
    ((datetime, date), lambda value: value.isoformat()),
    ((bytes, bytearray), lambda value: value.hex()),
)
