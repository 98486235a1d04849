"""Everyday types of the standard library that are stored as text.

The table serves two masters: a declared type that msgspec does not know (a path, an address) is stored by it, and so
is everything but builtins where the declared type is `Any`. Types are recognised by name: nobody pays for the import
of a module that no value comes from.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Scalar(NamedTuple):
    """One type that is stored as text.

    Attributes:
        name: how JSON names it.
        code: how MessagePack names it, as an extension.
        cls: the type.
        write: a value to its text.
        read: the text to a value; raises whatever the type raises.
    """

    name: str
    code: int
    cls: Any
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _isoformat(value: Any) -> str:
    return str(value.isoformat())


def _duration_text(value: Any) -> str:
    return f"{value.days} {value.seconds} {value.microseconds}"


def _duration(text: str) -> Any:
    return import_module("datetime").timedelta(*map(int, text.split(" ", 2)))


def _complex_text(value: complex) -> str:
    return f"{value.real!r} {value.imag!r}"


def _complex(text: str) -> complex:
    real, imag = map(float, text.split())
    return complex(real, imag)


def _fraction(text: str) -> Any:
    # Not by `Fraction(text)`: it reads "1e999999999" too, and is busy for a long time.
    numerator, _, denominator = text.partition("/")
    return import_module("fractions").Fraction(int(numerator), int(denominator or 1))


def _zone_key(value: Any) -> str:
    if value.key is None:
        raise TypeError("a ZoneInfo without a key has no name to be stored by")
    return str(value.key)


# module, attribute: name, code, writer, reader (None: the type itself; a text: one of its methods).
# Names and codes are part of the stored format: none is ever given to another type.
_ROWS: dict[tuple[str, str], tuple[str, int, Any, Any]] = {
    ("datetime", "datetime"): ("datetime", 1, _isoformat, "fromisoformat"),
    ("datetime", "date"): ("date", 2, _isoformat, "fromisoformat"),
    ("datetime", "time"): ("time", 3, _isoformat, "fromisoformat"),
    ("datetime", "timedelta"): ("timedelta", 4, _duration_text, _duration),
    ("decimal", "Decimal"): ("decimal", 5, str, None),
    ("uuid", "UUID"): ("uuid", 6, str, None),
    ("builtins", "complex"): ("complex", 7, _complex_text, _complex),
    ("fractions", "Fraction"): ("fraction", 8, str, _fraction),
    ("zoneinfo", "ZoneInfo"): ("zone", 9, _zone_key, None),
    ("pathlib", "PosixPath"): ("path", 10, str, None),
    ("pathlib", "PurePosixPath"): ("pure-path", 11, str, None),
    ("pathlib", "WindowsPath"): ("windows-path", 12, str, None),
    ("pathlib", "PureWindowsPath"): ("pure-windows-path", 13, str, None),
    ("ipaddress", "IPv4Address"): ("ipv4", 14, str, None),
    ("ipaddress", "IPv6Address"): ("ipv6", 15, str, None),
    ("ipaddress", "IPv4Network"): ("ipv4-network", 16, str, None),
    ("ipaddress", "IPv6Network"): ("ipv6-network", 17, str, None),
    ("ipaddress", "IPv4Interface"): ("ipv4-interface", 18, str, None),
    ("ipaddress", "IPv6Interface"): ("ipv6-interface", 19, str, None),
}
_BY_NAME: dict[str | int, tuple[str, str]] = {
    each: home for home, row in _ROWS.items() for each in (row[0], row[1])
}


@lru_cache(maxsize=256)
def of_class(cls: Any) -> Scalar | None:
    """Return how values of exactly the class *cls* are stored, or None if the table does not know it."""
    # `pathlib._local` and the like: where a module keeps its classes is its own business.
    home = (getattr(cls, "__module__", "").partition(".")[0], getattr(cls, "__qualname__", ""))
    found = _scalar(home) if home in _ROWS else None
    return found if found is not None and found.cls is cls else None


def named(name: str | int) -> Scalar | None:
    """Return the type that stored values call *name*, in JSON's way or in MessagePack's; or None."""
    home = _BY_NAME.get(name)
    return None if home is None else _scalar(home)


@lru_cache(maxsize=64)
def _scalar(home: tuple[str, str]) -> Scalar:
    name, code, write, read = _ROWS[home]
    cls = getattr(import_module(home[0]), home[1])
    return Scalar(name, code, cls, write, getattr(cls, read) if isinstance(read, str) else read or cls)
