r"""Comparison operators of EventBridge's event patterns, each as a test of one value.

Source: "Comparison operators for use in event patterns", Amazon EventBridge User Guide.

===========================  ====================================================================================
`"text"` `5` `true` `null`   exactly this; numbers by how they are written: 300 is not 300.0
`prefix` `suffix`            a text that begins or ends so; with `{equals-ignore-case: ...}` in any case
`equals-ignore-case`         a text in any case
`wildcard`                   a text, `*` being any characters; `\*` and `\\` are those characters
`anything-but`               any value that is there, but these; or but those that `prefix`, `suffix`, `wildcard` or
                             `equals-ignore-case` (one or a list) match
`numeric`                    a number: `["=", 5]`, `[">", 0, "<=", 5]`
`cidr`                       an IP address, version 4 or 6, of this range
`exists`                     `true`: a value is there; `false`: none is; not a test of a value, see `pattern`
===========================  ====================================================================================

A test takes any value and never raises. A value may hold 400 kB that somebody else wrote: every test is linear in it.
"""

from __future__ import annotations

import ipaddress
import operator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = Callable[[Any], bool]

Place = tuple[str | int, ...]

OPERATORS = (
    "prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "cidr", "exists",
)  # fmt: skip
MAX_NUMERIC = 5_000_000_000
"""Bounds of a numeric comparison lie within plus and minus this."""

_LONGEST_NUMBER = 400
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class PlacedError(ValueError):
    """Something in the rules file means nothing.

    Args:
        message: what is wrong, and what to write.
        place: where, below the field that is read.
    """

    def __init__(self, message: str, place: Place = ()) -> None:
        super().__init__(message)
        self.place = place


def test_of(matcher: Any, place: Place) -> Test:
    """Return the test that *matcher*, an element of a pattern's list, stands for.

    Raises:
        PlacedError: it stands for none.
    """
    if not isinstance(matcher, dict):
        return _exactly(matcher, place)
    if len(matcher) != 1:
        raise PlacedError(
            f"a comparison has one operator, and this has {len(matcher)}; write several comparisons in a list",
            place,
        )
    ((name, operand),) = matcher.items()
    make = _MAKERS.get(name)
    if make is None:
        raise PlacedError(
            f"there is no operator {str(name)[:40]!r}; the operators are {', '.join(OPERATORS)}", place
        )
    return make(operand, (*place, name))


def number(value: Any) -> bool:
    """Say whether *value* is a number; true and false are none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _digits(value: float | Decimal) -> str:
    """How a number is written, without an exponent. 12.50 is 12.5: a rules file cannot keep the last zero."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite() or abs(exact.adjusted()) > _LONGEST_NUMBER:
        return str(exact)
    whole, point, fraction = format(exact, "f").partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}" if point else whole


def _exactly(wanted: Any, place: Place) -> Test:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: _text(value) == wanted
    if number(wanted):
        digits = _digits(wanted)
        return lambda value: number(value) and _digits(value) == digits
    raise PlacedError(f"{wanted!r:.80} cannot be compared with; write a text, in quotes if need be", place)


def _text(value: Any) -> str | None:
    """The text of *value* if it is one; bytes and dates have the text that they have in templates."""
    if isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else None


def _on_text(test: Callable[[str], bool]) -> Test:
    def tested(value: Any) -> bool:
        text = _text(value)
        return text is not None and test(text)

    return tested


def _operand(value: Any, place: Place, kind: str = "a text") -> str:
    if not isinstance(value, str) or not value:
        raise PlacedError(f"{value!r:.80} is not {kind}; write {place[-1]}: 'abc'", place)
    return value


def _end(operand: Any, place: Place) -> Test:
    """`prefix` or `suffix`, the last name of *place*."""
    method = str.startswith if place[-1] == "prefix" else str.endswith
    if isinstance(operand, dict):
        if list(operand) != ["equals-ignore-case"]:
            raise PlacedError("write a text, or {equals-ignore-case: 'abc'}", place)
        wanted = _operand(operand["equals-ignore-case"], (*place, "equals-ignore-case")).lower()
        return _on_text(lambda text: method(text.lower(), wanted))
    wanted = _operand(operand, place)
    return _on_text(lambda text: method(text, wanted))


def _in_any_case(operand: Any, place: Place) -> Test:
    wanted = _operand(operand, place).lower()
    return _on_text(lambda text: text.lower() == wanted)


def _wildcard(operand: Any, place: Place) -> Test:
    first, *rest = _pieces(_operand(operand, place), place)
    if not rest:
        return _on_text(lambda text: text == first)
    *middle, last = rest

    def like(text: str) -> bool:
        """The first piece begins it, the last ends it, and the others come between, each as early as it can."""
        if not text.startswith(first):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return at <= end and text.endswith(last)

    return _on_text(like)


def _pieces(pattern: str, place: Place) -> list[str]:
    r"""What lies between the stars; `\*` and `\\` are taken as they are."""
    pieces, at, starred = [""], 0, False
    while at < len(pattern):
        mark, after = pattern[at], pattern[at + 1 : at + 2]
        if mark == "*":
            if starred:
                raise PlacedError(f"{pattern!r:.80}: two stars in a row; write one", place)
            pieces.append("")
        elif mark == "\\":
            if after not in {"*", "\\"} or not after:
                raise PlacedError(rf"{pattern!r:.80}: a backslash goes before '*' or '\'; write '\\'", place)
            pieces[-1] += after
            at += 1
        else:
            pieces[-1] += mark
        starred = mark == "*"
        at += 1
    return pieces


def _anything_but(operand: Any, place: Place) -> Test:
    if isinstance(operand, dict):
        tests = list(_excluded_by(operand, place))
    else:
        listed = operand if isinstance(operand, list) else [operand]
        same = all(isinstance(each, str) for each in listed) or all(map(number, listed))
        if not listed or not same:
            raise PlacedError(
                f"{operand!r:.80}: write a text, a number, or a list of texts or of numbers", place
            )
        tests = [_exactly(each, place) for each in listed]
    return lambda value: not any(test(value) for test in tests)


def _excluded_by(operand: dict[str, Any], place: Place) -> list[Test]:
    name = next(iter(operand), "")
    if len(operand) != 1 or name not in {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
        raise PlacedError(
            f"{operand!r:.80}: anything-but takes one of prefix, suffix, equals-ignore-case and wildcard",
            place,
        )
    value = operand[name]
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise PlacedError("the list is empty; write what is excluded", (*place, name))
    return [_MAKERS[name](each, (*place, name)) for each in listed]


def _numeric(operand: Any, place: Place) -> Test:
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise PlacedError(f"{operand!r:.80}: write such as ['=', 5] or ['>', 0, '<=', 5]", place)
    bounds = [(operand[at], operand[at + 1]) for at in range(0, len(operand), 2)]
    for sign, bound in bounds:
        if sign not in _COMPARE or not number(bound) or not abs(bound) <= MAX_NUMERIC:
            raise PlacedError(
                f"{sign!r:.20} {bound!r:.40}: write one of {', '.join(_COMPARE)} and a number within {MAX_NUMERIC}",
                place,
            )
    if len(bounds) == 2:  # noqa: PLR2004 - a range has two ends
        (low_sign, low), (high_sign, high) = bounds
        if low_sign not in {">", ">="} or high_sign not in {"<", "<="} or not low < high:
            raise PlacedError(
                f"{operand!r:.80} is no range; write the lower end first: ['>', 0, '<=', 5]", place
            )

    def within(value: Any) -> bool:
        if not number(value) or (isinstance(value, Decimal) and value.is_nan()):
            return False
        return all(_COMPARE[sign](value, bound) for sign, bound in bounds)

    return within


def _cidr(operand: Any, place: Place) -> Test:
    text = _operand(operand, place, "a range of addresses")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise PlacedError(
            f"{text!r:.80} is no range of addresses; write such as 10.0.0.0/24", place
        ) from error

    def inside(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return inside


_MAKERS: dict[str, Callable[[Any, Place], Test]] = {
    "prefix": _end,
    "suffix": _end,
    "equals-ignore-case": _in_any_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
