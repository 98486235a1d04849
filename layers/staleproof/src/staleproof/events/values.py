"""Values of rows, as a message carries them: JSON, and in a tag or key the same text as the value itself.

An application tags what it loads by the values that its database driver returns; the pipeline invalidates by the
values that a message tells. Both must write the same text, so each type has one form here:

===============================  =====================================================================
`bool`, `None`, `str`            as they are
`int`, `float`, `Decimal`        a JSON number with all its digits; `42.0` is 42
`datetime`, `date`               `isoformat()`; a naive `datetime` stays one
`UUID`                           lower-case text with hyphens
`bytes`, `bytearray`, `Binary`   lower-case hex
`Enum`                           its value
`Mapping`                        an object; its keys are texts
`list`, `tuple`                  an array
`set`, `frozenset`               an array in a fixed order
===============================  =====================================================================

A reader that parses numbers as binary floats keeps 15 digits of a fraction; write longer ones as texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from staleproof.errors import MalformedEventError
from staleproof.texts import MAX_MAGNITUDE, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 32
"""Objects and arrays within each other."""

LONGEST_NUMBER = 400
"""Digits of a number."""


def carried(value: Any, field: str, depth: int = DEEPEST) -> Any:
    """Return *value* as a message carries it; *field* names it in errors.

    Raises:
        MalformedEventError: it, or something in it, has no form in JSON.
    """
    if type(value) is str:
        return well_formed(value, field)
    value = unwrapped(value)
    if value is None or value is True or value is False:
        return value
    for kinds, form in _FORMS:
        if isinstance(value, kinds):
            return form(value, field, depth)
    raise MalformedEventError(
        f"{field}: a {type(value).__name__} has no form in a message; pass text, numbers, booleans, None, dates, "
        "UUIDs, bytes, lists and dicts of them"
    )


def row(value: Any, field: str) -> dict[str, Any]:
    """Return a row's attributes as a message carries them; raises as `carried` does, also if it is no mapping."""
    if not isinstance(value, Mapping):
        raise MalformedEventError(f"{field}={value!r:.80} is no object; pass a dict of attributes")
    made: dict[str, Any] = carried(value, field)
    return made


def well_formed(text: str, field: str) -> str:
    """Return *text*, or refuse what no encoding has a form for."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise MalformedEventError(
                f"{field} holds half of a surrogate pair; send well-formed text"
            ) from error
    return str(text)


def _number(value: float | Decimal, field: str, _: int) -> int | Decimal:
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    _, digits, exponent = exact.as_tuple()
    if isinstance(exponent, str):
        raise MalformedEventError(f"{field}={value!r} is no number in JSON; leave it out, or pass a text")
    if exact.adjusted() > MAX_MAGNITUDE or exponent < -MAX_MAGNITUDE or len(digits) > LONGEST_NUMBER:
        raise MalformedEventError(
            f"{field}={value!r:.80} has more than {MAX_MAGNITUDE} digits; pass a smaller number, or a text"
        )
    return int(exact) if exact == exact.to_integral_value() else exact


def _integer(value: int, field: str, _: int) -> int:
    if value.bit_length() > LONGEST_NUMBER * 3:
        raise MalformedEventError(
            f"{field} is a number of {value.bit_length()} bits; pass a smaller one, or a text"
        )
    return int(value)


def _object(value: Mapping[Any, Any], field: str, depth: int) -> dict[str, Any]:
    _check_depth(field, depth)
    made = {}
    for name, inner in value.items():
        if not isinstance(name, str):
            raise MalformedEventError(f"{field}: the name {name!r:.80} is no text; write it as one")
        made[well_formed(name, f"{field}: a name")] = carried(inner, f"{field}.{name[:80]}", depth - 1)
    return made


def _array(value: list[Any] | tuple[Any, ...], field: str, depth: int) -> list[Any]:
    _check_depth(field, depth)
    return [carried(inner, f"{field}[{at}]", depth - 1) for at, inner in enumerate(value)]


def _set(value: frozenset[Any], field: str, depth: int) -> list[Any]:
    return sorted(_array(list(value), field, depth), key=lambda each: (type(each).__name__, each))


def _check_depth(field: str, depth: int) -> None:
    if depth <= 0:
        raise MalformedEventError(f"{field[:160]} lies more than {DEEPEST} deep; pass a flatter row")


_FORMS: tuple[tuple[type | tuple[type, ...], Callable[[Any, str, int], Any]], ...] = (
    (int, _integer),
    (str, lambda value, field, _: well_formed(str(value), field)),
    ((float, Decimal), _number),
    (Mapping, _object),
    ((list, tuple), _array),
    (date, lambda value, *_: value.isoformat()),
    (UUID, lambda value, *_: str(value)),
    ((bytes, bytearray), lambda value, *_: value.hex()),
    ((set, frozenset), _set),
)
