"""The default codec: MessagePack by type. Never pickle: a cache that others can write to must not run code."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import msgspec

from staleproof.codecs.codec import MSGPACK
from staleproof.codecs.typed import Form, TypedCodec, remembered

T = TypeVar("T")
CODEC_ID = MSGPACK


class MsgpackCodec(TypedCodec[T]):
    """Encode and decode values of one type, which come back as exactly what they were.

    Args:
        kind: the type to read back: builtins, dataclasses, attrs classes, pydantic models, msgspec Structs, TypedDicts,
            NamedTuples, enums, dates, decimals, and containers and unions of them. `Any` carries builtins and the
            everyday types of the standard library, each as what it is, and refuses everything else.

    Raises:
        ConfigurationError: *kind* is a type that cannot be read back.
    """

    __slots__ = ()

    codec_id = CODEC_ID

    @overload
    def __init__(self, kind: type[T]) -> None: ...

    @overload
    def __init__(self: MsgpackCodec[Any], kind: Any = Any) -> None: ...

    def __init__(self, kind: Any = Any) -> None:
        super().__init__(kind, _ANY if kind is Any else _form_of(kind))

    @staticmethod
    def codec_for(kind: Any) -> MsgpackCodec[Any]:
        """Return the codec for values of type *kind*.

        Raises:
            ConfigurationError: they could not be read back.
        """
        return MsgpackCodec(kind)


def _extension(code: int, data: memoryview) -> Any:
    # Imported by the first tagged value, on either side: a cold start may never meet one.
    from staleproof.codecs.untyped import UntypedMsgpack  # noqa: PLC0415

    return UntypedMsgpack.from_extension(code, data)


def _write_untyped(value: Any) -> bytes:
    from staleproof.codecs.untyped import UNTYPED_MSGPACK, encode_msgpack  # noqa: PLC0415 - see above

    return encode_msgpack(UNTYPED_MSGPACK.to_wire(value))


_ANY = Form(_write_untyped, msgspec.msgpack.Decoder(ext_hook=_extension).decode, exact=True)


@remembered
def _form_of(kind: Any) -> Form:
    from staleproof.codecs.dialect import MSGPACK_DIALECT  # noqa: PLC0415 - only with declared types

    return MSGPACK_DIALECT.form(kind)
