"""Formatters: what a template's field may go through before it is escaped: `{email:strip|lower}`.

===================  ==============================================================================
`lower` `upper`      the text in lower or upper case
`strip` `trim`       the text without white space around it
`int`                the whole number: of `7`, `"007"`, `7.0`
`date`               the day (of a date, a datetime, an ISO text); an aware datetime's day is UTC's
`sha256`             64 hex digits of SHA-256 of the text, or of the bytes, as any program computes it
`hash`               32 hex digits: of a text shorter than SHA-256's, and of lists, dicts, dataclasses too
`slot`               last in a chain: keys that agree in this field share a cluster slot
===================  ==============================================================================

A formatter is pure: a key that is rendered twice is the same twice. What it makes equal shares a key, which is its
purpose; it is escaped like any value. `None` goes through none of them and renders as ever.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.digests import blake2b
from staleproof.errors import ConfigurationError
from staleproof.texts import plain, unwrapped, utf8

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[[Any], Any]")

SLOT = "slot"
FORMATTERS: dict[str, Callable[[Any], Any]] = {}
"""Every formatter by name, each wrapped so that None passes it by. Names are added and never changed."""


def formatter(name: str) -> Callable[[F], F]:
    """Register a function as a formatter: `@formatter("slug")`, then `{title:slug}` in any template written later.

    The function takes the field's value, or what the formatter before it returned, and returns what can be rendered: a
    text, a number, a date. It must be pure, for what it returns is remembered.

    Raises:
        ConfigurationError: the name is taken, or is no lower-case word.
    """
    if not (name.isascii() and name.isidentifier() and name.islower() and name[0] != "_"):
        raise ConfigurationError(f"formatter {name!r} is no lower-case word; call it such as 'slug'")

    def register(function: F) -> F:
        passing = _passing_none(function)
        if name == SLOT or FORMATTERS.setdefault(name, passing) is not passing:
            raise ConfigurationError(f"formatter {name!r} is taken; choose another name")
        return function

    return register


def _passing_none(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def passing(value: Any) -> Any:
        return None if value is None else function(value)

    return passing


def check(name: str, source: str) -> None:
    """Raise `ConfigurationError` if the template *source* asks for a formatter *name* that nobody registered."""
    if name in FORMATTERS:
        return
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    known = sorted([*FORMATTERS, SLOT])
    close = get_close_matches(name, known, 1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigurationError(
        f"template {source!r}: there is no formatter {name!r}; {meant}the formatters are: {', '.join(known)}; "
        "register your own with `staleproof.formatter` before the template is written"
    )


@formatter("lower")
def _lower(value: Any) -> str:
    return plain(value).lower()


@formatter("upper")
def _upper(value: Any) -> str:
    return plain(value).upper()


@formatter("strip")
@formatter("trim")
def _strip(value: Any) -> str:
    return plain(value).strip()


@formatter("int")
def _int(value: Any) -> int:
    value = unwrapped(value)
    try:
        # A number by its text, which is bounded and has a point in it only if the number is not whole.
        return int(value if isinstance(value, int | str) else plain(_number(value)))
    except ValueError:
        raise ConfigurationError(
            f"{{…:int}} cannot be made of {value!r:.80}; pass a whole number, or its text"
        ) from None


def _number(value: Any) -> float | Decimal:
    if isinstance(value, float | Decimal):
        return value
    raise ValueError(value)


@formatter("date")
def _date(value: Any) -> date:
    value = unwrapped(value)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    try:
        if isinstance(moment, datetime):
            return moment.date() if moment.tzinfo is None else moment.astimezone(UTC).date()
        if isinstance(moment, date):
            return moment
    except OverflowError:  # the first and the last day of the calendar, elsewhere
        pass
    raise ConfigurationError(
        f"{{…:date}} cannot be made of {value!r:.80}; pass a date, a datetime or an ISO text"
    )


@formatter("sha256")
def _sha256(value: Any) -> str:
    from hashlib import sha256  # noqa: PLC0415 - see `staleproof.digests`

    return sha256(_bytes(value)).hexdigest()


@formatter("hash")
def _hash(value: Any) -> str:
    try:
        return blake2b(_bytes(value), digest_size=16, person=b"sp-text").hexdigest()
    except ConfigurationError:
        from staleproof.keys.canonical import canonical  # noqa: PLC0415 - few need it

        # No text, so no meeting with one: another personalisation is another hash function.
        return blake2b(canonical(value), digest_size=16, person=b"sp-canonical").hexdigest()


def _bytes(value: Any) -> bytes:
    value = unwrapped(value)
    return bytes(value) if isinstance(value, bytes | bytearray) else utf8(plain(value))
