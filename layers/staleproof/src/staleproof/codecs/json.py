"""JSON by type: the codec for values that programs in other languages read, or write."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from staleproof.codecs.codec import JSON
from staleproof.codecs.dialect import JSON_DIALECT
from staleproof.codecs.typed import Form, TypedCodec, remembered

T = TypeVar("T")


class JsonCodec(TypedCodec[T]):
    """Encode and decode values of one type as JSON, which come back as exactly what they were.

    Objects are objects and texts are texts. What JSON has no form for is a text (dates, decimals, UUIDs, bytes in
    base64), or under `Any` an object with the one key `$name`. JSON has no infinities and no NaN: a declared `float`
    must be finite.

    Args:
        kind: as for `MsgpackCodec`.

    Raises:
        ConfigurationError: *kind* is a type that cannot be read back.
    """

    __slots__ = ()

    codec_id = JSON

    @overload
    def __init__(self, kind: type[T]) -> None: ...

    @overload
    def __init__(self: JsonCodec[Any], kind: Any = Any) -> None: ...

    def __init__(self, kind: Any = Any) -> None:
        super().__init__(kind, _form_of(kind))

    @staticmethod
    def codec_for(kind: Any) -> JsonCodec[Any]:
        """Return the codec for values of type *kind*.

        Raises:
            ConfigurationError: they could not be read back.
        """
        return JsonCodec(kind)


@remembered
def _form_of(kind: Any) -> Form:
    form = JSON_DIALECT.form(kind)
    return form._replace(exact=True) if kind is Any else form
