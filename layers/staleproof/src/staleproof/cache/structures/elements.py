"""Elements: what members, fields and values of structures are on the server.

The everyday types are written plainly, so that a server can count with them and other programs can read them: `str` as
UTF-8, `int` in decimals, `bytes` as they are. Values of any other type are written by the cache's codec.

*Members* are found by their bytes: those that are equal must be written alike, by every process and every release. So a
member is of a type for which that holds: the ones above, `float` (but for NaN), `bool`, `UUID`, `date`, an `Enum`, and
tuples, named tuples and frozen dataclasses of these, without floats: `1` and `1.0` are equal there and not alike.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from staleproof.codecs import MsgpackCodec
from staleproof.errors import CodecError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MOST_BYTES = 16 * 2**20
"""What an element may have; a server copies it several times."""

_PARTS = (str, int, bytes, bool, UUID, date, type(None))


class Element(NamedTuple, Generic[T]):
    """How elements of one type are written and read.

    Attributes:
        kind: the type.
        write: an element to bytes; raises `CodecError` if it is of another type.
        read: bytes to an element; raises `CodecError` if they are none.
    """

    kind: Any
    write: Callable[[T], bytes]
    read: Callable[[bytes], T]


class _Form(NamedTuple):
    accepts: tuple[type, ...]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


_BOOLS: dict[bytes, bool] = {b"0": False, b"1": True}
_FORMS: dict[Any, _Form] = {
    str: _Form((str,), str.encode, bytes.decode),
    int: _Form((int,), lambda value: b"%d" % value, int),
    float: _Form((float, int), lambda value: _float(float(value)), float),
    bytes: _Form((bytes,), bytes, bytes),
    bool: _Form((bool,), lambda value: b"1" if value else b"0", lambda raw: _BOOLS[raw]),
    UUID: _Form((UUID,), lambda value: str(value).encode(), lambda raw: UUID(raw.decode())),
    date: _Form(
        (date,), lambda value: value.isoformat().encode(), lambda raw: date.fromisoformat(raw.decode())
    ),
}


def _float(value: float) -> bytes:
    return repr(value + 0.0 if value else 0.0).encode()  # not -0.0, which is equal to 0.0


def value_element(codec_for: Callable[[Any], Any], kind: type[T]) -> Element[T]:
    """Return how values of type *kind* are written, plainly or by the codec that *codec_for* returns.

    Raises:
        ConfigurationError: values of this type could not be read back.
    """
    if any(kind is plain for plain in (str, int, bytes, float)):
        return _plain(kind)
    codec = codec_for(kind)
    return Element(kind, lambda value: _bounded(codec.encode(value)), codec.decode)


def member_element(kind: Any, field: str) -> Element[Any]:
    """Return how members of type *kind* are written; *field* is the argument's name.

    Raises:
        ConfigurationError: equal ones would not be written alike.
    """
    if any(kind is plain for plain in _FORMS):
        return _plain(kind, exact=True)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _named(kind)
    if not _is_canonical(kind):
        raise ConfigurationError(
            f"{field}={kind!r}: equal elements must be written alike, so use str, int, float, bytes, bool, UUID, date, "
            "an Enum, or a tuple, NamedTuple or frozen dataclass of these without floats; or an id instead of an object"
        )
    codec = MsgpackCodec().codec_for(kind)
    return Element(kind, lambda value: _bounded(codec.encode(value)), codec.decode)


def _plain(kind: Any, *, exact: bool = False) -> Element[Any]:
    form = _FORMS[kind]

    def write(value: Any) -> bytes:
        if type(value) not in form.accepts:
            raise CodecError(f"a {type(value).__qualname__} is no {kind.__name__}, as which it is declared")
        if exact and value != value:  # noqa: PLR0124 - NaN
            raise CodecError("NaN is equal to nothing, so it cannot be found again")
        try:
            return _bounded(form.write(value))
        except (ValueError, OverflowError) as error:  # a lone surrogate, thousands of digits
            raise CodecError(f"a {kind.__name__} cannot be stored: {type(error).__name__}") from error

    def read(raw: bytes) -> Any:
        try:
            value = form.read(raw)
        except (ValueError, KeyError) as error:
            raise CodecError(f"a stored element is no {kind.__name__}: {type(error).__name__}") from error
        # `1_0` reads as 10, and would not be found as 10; NaN is found by nobody.
        if exact and (value != value or form.write(value) != raw):  # noqa: PLR0124 - NaN
            raise CodecError(
                f"a stored element is no {kind.__name__} as we write it; somebody else has written it"
            )
        return value

    return Element(kind, write, read)


def _named(kind: Any) -> Element[Any]:
    def write(value: Any) -> bytes:
        if type(value) is not kind:
            raise CodecError(f"a {type(value).__qualname__} is no {kind.__name__}, as which it is declared")
        return str(value.name).encode()

    def read(raw: bytes) -> Any:
        try:
            return kind[raw.decode()]
        except (ValueError, KeyError) as error:
            raise CodecError(f"a stored element is no {kind.__name__}") from error

    return Element(kind, write, read)


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MOST_BYTES:
        raise CodecError(
            f"an element has {len(raw):,} bytes; the limit is {MOST_BYTES:,}: keep it apart, by its id"
        )
    return raw


def _is_canonical(kind: Any) -> bool:
    """Say whether equal objects of type *kind* are written alike, by MessagePack."""
    if any(kind is plain for plain in _PARTS):
        return True
    if get_origin(kind) is tuple:
        return all(part is Ellipsis or _is_canonical(part) for part in get_args(kind))
    if not isinstance(kind, type):
        return False
    if issubclass(kind, Enum):
        return True
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return all(map(_is_canonical, get_type_hints(kind).values())) and kind.__eq__ is tuple.__eq__
    return _is_frozen(kind) and all(map(_is_canonical, get_type_hints(kind).values()))


def _is_frozen(kind: type) -> bool:
    """Say whether *kind* is a dataclass whose objects are equal by all their fields, and stay so."""
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not (parameters.frozen and parameters.eq):
        return False
    return all(field.compare for field in dataclasses.fields(kind))


def is_number(kind: Any) -> bool:
    """Say whether a server can count with values of type *kind*."""
    return kind is int or kind is float
