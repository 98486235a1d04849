"""What the codecs of typed values share: a value is read back when it is written, and any doubt is a `CodecError`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from staleproof.errors import CodecError, InexactError
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
MAX_FORMS = 1_024
_NOTHING: Any = object()
_HELD = r"(Invalid (?:enum )?(?:value|tag)) .*?(?= - at `|$)"


class Form(Record, frozen=True):
    """How values of one type are written and read in one format.

    Attributes:
        write: a value to bytes; raises whatever it is that does not fit.
        read: bytes to a value; raises likewise.
        exact: whether whatever can be written is known to come back as it was.
        wide: makes the form of what `write` loses, if there is one: integers where a float is declared. It is written
            after `mark`, which nothing begins with that `write` makes.
        mark: see *wide*.
    """

    write: Callable[[Any], bytes]
    read: Callable[[bytes | memoryview], Any]
    exact: bool = False
    wide: Callable[[], Form] | None = None
    mark: bytes = b""


def remembered(form_of: Callable[[Any], Form]) -> Callable[[Any], Form]:
    """Return *form_of* with a memory: a type is compiled once, however often a codec for it is made."""
    known = lru_cache(maxsize=MAX_FORMS)(form_of)

    def recalled(kind: Any) -> Form:
        try:
            hash(kind)
        except TypeError:  # a constraint with a list in it, for example
            return form_of(kind)
        return known(kind)

    return recalled


class TypedCodec(Generic[T]):
    """A codec of values of one type; see `staleproof.codecs.codec.Codec`."""

    __slots__ = ("_form", "kind", "read")

    def __init__(self, kind: Any, form: Form) -> None:
        self.kind = kind
        self._form = form
        self.read = form.read
        """What `decode` tries first, for who takes anything that it raises for a no."""

    def encode(self, value: T) -> bytes:
        """Return the bytes of *value*.

        Raises:
            CodecError: it holds something that cannot be stored, or that would be read back as something else.
            InexactError: what would be read back is equal, and of another class.
        """
        form = self._form
        try:
            raw = form.write(value)
        except Exception as error:
            raise CodecError(
                f"a {type(value).__qualname__} cannot be stored: {_reason(error)}; {_of(self.kind)}"
            ) from error
        return raw if form.exact else self._checked(value, raw)

    def _checked(self, value: T, raw: bytes) -> bytes:
        """Read *raw* back: stored, it would be a miss at every read, or another value, without a word."""
        from staleproof.codecs.sameness import difference  # noqa: PLC0415 - a cold start stores nothing yet

        cause: Exception | None = None
        back: Any = _NOTHING
        try:
            back = self.read(raw)
            found = difference(value, back)
        except Exception as error:  # noqa: BLE001 - whatever classes of the user's raise
            found, cause = _reason(error), error
        if found is None:
            return raw
        if self._form.wide is not None and (wide := _widely(value, self._form)) is not None:
            return wide
        kind_of_error = InexactError if back is not _NOTHING and _equal(value, back) else CodecError
        raise kind_of_error(
            f"a {type(value).__qualname__} is no {self.kind!r}: {found}; mend the annotation, or what is returned"
        ) from cause

    def decode(self, payload: bytes | memoryview) -> T:
        """Return the value of *payload*.

        Raises:
            CodecError: the bytes are not of this type (an older release's shape, another program's key).
        """
        try:
            return self.read(payload)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001
            # Not only msgspec's: a class of the user's may raise anything on fields that it did not expect (P6).
            return self._decode_wide(payload, error)

    def _decode_wide(self, payload: bytes | memoryview, cause: Exception) -> T:
        """Return the value of a payload in the wide form."""
        form = self._form
        if form.wide is not None and bytes(payload[: len(form.mark)]) == form.mark:
            try:
                return form.wide().read(payload[len(form.mark) :])  # type: ignore[no-any-return]
            except Exception as error:  # noqa: BLE001 - as in `decode`
                cause = error
        raise CodecError(f"a stored value is not a {self.kind!r}: {_reason(cause)}") from cause

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({self.kind!r})"


def _widely(value: Any, form: Form) -> bytes | None:
    """Return the bytes of *value* in the wide form, or None if it does not come back from there either."""
    from staleproof.codecs.sameness import difference  # noqa: PLC0415 - as above

    if form.wide is None:
        return None
    try:
        wide = form.wide()
        raw = wide.write(value)
        return form.mark + raw if difference(value, wide.read(raw)) is None else None
    except Exception:  # noqa: BLE001 - the plain form has told what is wrong
        return None


def _equal(value: Any, back: Any) -> bool:
    try:
        return bool(value == back)
    except Exception:  # noqa: BLE001 - whatever classes of the user's raise
        return False


def _of(kind: Any) -> str:
    return "return builtins, or declare the type" if kind is Any else f"it is declared as {kind!r}"


def _reason(error: Exception) -> str:
    """Return what went wrong, without what the value holds: of other errors than these only the class is told."""
    if isinstance(error, msgspec.MsgspecError):
        return re.sub(_HELD, r"\1", str(error), flags=re.DOTALL)
    if isinstance(error, TypeError | OverflowError):
        return str(error)
    return type(error).__qualname__
