"""`Codec`: a value to bytes and back, and `CodecFactory`: what makes one for each type that a cache holds.

An entry's second byte says how its payload was written: the low nibble is the codec's id, the high nibble the
compression (`staleproof.codecs.compression`). Ids are part of the stored format: one is never given to another codec.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

MSGPACK: Final = 0
JSON: Final = 1
SIGNED_PICKLE: Final = 2

CODEC_MASK: Final = 0x0F
COMPRESSION_MASK: Final = 0xF0


class Codec(Protocol[T]):
    """Writes values of one type, and reads them back as that type.

    A codec may be used by several threads at once.
    """

    @property
    def codec_id(self) -> int:
        """The id that entries carry, 0 to 15."""
        ...

    @property
    def kind(self) -> Any:
        """The type of the values."""
        ...

    def encode(self, value: T) -> bytes:
        """Return the bytes of *value*.

        Raises:
            CodecError: it could not be read back as what it is.
        """
        ...

    def decode(self, payload: bytes | memoryview) -> T:
        """Return the value that *payload* was written from.

        Raises:
            CodecError: the bytes are not of this codec and type, whatever they are.
        """
        ...


class CodecFactory(Protocol):
    """What a cache is configured with: a codec of one sort for whatever type a function returns.

    Every codec here is its own factory: `Cache(provider, codec=JsonCodec())`.
    """

    def codec_for(self, kind: Any) -> Codec[Any]:
        """Return the codec for values of type *kind*.

        Raises:
            ConfigurationError: values of this type could not be read back; the text says what to do.
        """
        ...
