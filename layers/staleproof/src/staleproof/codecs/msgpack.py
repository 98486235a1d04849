"""The default codec: MessagePack by type. Never pickle: a cache that others can write to must not run code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import msgspec.inspect

from staleproof.errors import CodecError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
CODEC_ID = 0
_encoder = msgspec.msgpack.Encoder()

_FIX = "annotate a dataclass, TypedDict, NamedTuple, msgspec Struct or builtin type"


def _strangers(info: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the types inside *info* that MessagePack knows nothing of."""
    if id(info) in seen:
        return
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        yield info.cls
    elif isinstance(info, list | tuple):
        for each in info:
            yield from _strangers(each, seen)
    elif isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        for name in info.__struct_fields__:
            yield from _strangers(getattr(info, name), seen)


class MsgpackCodec(Generic[T]):
    """Encode and decode values of one type: builtins, dataclasses, TypedDicts, NamedTuples, msgspec Structs.

    Args:
        kind: the type to read back; `Any` gives builtins only (a stored date comes back as its text).

    Raises:
        ConfigurationError: *kind* is a type that MessagePack cannot carry.
    """

    __slots__ = ("_decode", "kind")

    codec_id = CODEC_ID

    def __init__(self, kind: type[T] | Any = Any) -> None:
        self.kind = kind
        try:
            self._decode = msgspec.msgpack.Decoder(kind).decode
            stranger = next(_strangers(msgspec.inspect.type_info(kind), set()), None)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"results of type {kind!r} cannot be cached: {error}; {_FIX}") from error
        if stranger is not None:
            # It would be written, or not, and never be read back: every read a miss, without a word.
            raise ConfigurationError(
                f"results of type {kind!r} cannot be cached, for {stranger!r} in it; {_FIX}"
            )

    def encode(self, value: T) -> bytes:
        """Return the bytes of *value*.

        Raises:
            CodecError: it holds something MessagePack cannot carry, or could not be read back as the declared type.
        """
        try:
            raw = _encoder.encode(value)
        except (TypeError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
            raise CodecError(
                f"a {type(value).__name__} cannot be stored: {error}; return builtins, dataclasses or Structs"
            ) from error
        try:
            self._decode(raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            # Stored, it would be a miss at every read, without a word.
            raise CodecError(
                f"a {type(value).__name__} is no {self.kind!r}: {error}; mend the annotation, or what is returned"
            ) from error
        return raw

    def decode(self, payload: bytes | memoryview) -> T:
        """Return the value of *payload*.

        Raises:
            CodecError: the bytes are not of this type (an older release's shape, another program's key).
        """
        try:
            return self._decode(payload)  # type: ignore[no-any-return]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CodecError(f"a stored value is not a {self.kind!r}: {error}") from error
