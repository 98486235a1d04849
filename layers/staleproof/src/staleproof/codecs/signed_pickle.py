"""Pickle, for values that nothing else carries; opt-in, and only with a key.

Unpickling runs code. So whoever can write to the cache server could run code in every process that reads from it, and
what is stored is therefore signed: 32 bytes of HMAC-SHA256 over the codec, the context and the pickle, then the
pickle. Nothing is unpickled whose signature is not one of ours.

What a signature does not say is *when* and *under which key* it was made. Someone with write access to the server
cannot forge a value, but can put one signed value in another's place, or an old one in a new one's. The value's type
is checked, and a *context* (the namespace, the stage) narrows it down: what was signed in one is nothing in another.
"""

from __future__ import annotations

import hmac
import pickle
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from staleproof.codecs.annotations import class_of, is_union, unwrapped
from staleproof.codecs.codec import SIGNED_PICKLE
from staleproof.errors import CodecError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

KEY_BYTES = 32
"""Least length of a key: that of the digest (RFC 2104, section 3)."""

MAX_KEYS = 8
SIGNATURE_BYTES = 32
PROTOCOL = 5
_DIGEST = "sha256"


class SignedPickleCodec(Generic[T]):
    """Encode and decode anything that `pickle` carries, under a signature.

    Args:
        key: the secret, at least 32 random bytes (`secrets.token_bytes(32)`), from a secret store; or several, for a
            rotation: the first signs, all verify.
        kind: the class of the values; `Any` takes whatever it is.
        context: where the values belong; a value signed in another context is not read.

    Raises:
        ConfigurationError: a key is too short or no bytes.
    """

    __slots__ = ("_cls", "_context", "_keys", "kind")

    codec_id = SIGNED_PICKLE

    @overload
    def __init__(self, key: bytes | Sequence[bytes], kind: type[T], *, context: bytes = b"") -> None: ...

    @overload
    def __init__(
        self: SignedPickleCodec[Any], key: bytes | Sequence[bytes], kind: Any = Any, *, context: bytes = b""
    ) -> None: ...

    def __init__(self, key: bytes | Sequence[bytes], kind: Any = Any, *, context: bytes = b"") -> None:
        self._keys = _checked_keys([key] if isinstance(key, bytes | bytearray | str) else list(key))
        self._context = context
        self.kind = kind
        self._cls = _checkable(unwrapped(kind)[0])

    def codec_for(self, kind: Any) -> SignedPickleCodec[Any]:
        """Return the codec for values of type *kind*, with the same keys and context."""
        return SignedPickleCodec(self._keys, kind, context=self._context)

    def encode(self, value: T) -> bytes:
        """Return the signature and the pickle of *value*.

        Raises:
            CodecError: it cannot be pickled, or not be read back.
        """
        try:
            pickled = pickle.dumps(value, PROTOCOL)
            back = pickle.loads(pickled)  # noqa: S301 - made just now
        except Exception as error:
            raise CodecError(
                f"a {type(value).__qualname__} cannot be pickled: {type(error).__qualname__}"
            ) from error
        if type(back) is not type(value) or not isinstance(back, self._cls):
            raise CodecError(
                f"a {type(value).__qualname__} comes back as a {type(back).__qualname__}, and is declared as "
                f"{self.kind!r}; mend the annotation, or what is returned"
            )
        return self._signature(self._keys[0], pickled) + pickled

    def decode(self, payload: bytes | memoryview) -> T:
        """Return the value of *payload*.

        Raises:
            CodecError: it was not signed by one of the keys in this context, or is of another type.
        """
        signature, pickled = bytes(payload[:SIGNATURE_BYTES]), payload[SIGNATURE_BYTES:]
        # Every key is tried, so that time does not tell which one it was.
        valid = [hmac.compare_digest(signature, self._signature(key, pickled)) for key in self._keys]
        if not any(valid):
            raise CodecError("a stored value has no valid signature: another key or context, or not ours")
        try:
            value = pickle.loads(pickled)  # noqa: S301 - signed by us
        except Exception as error:
            raise CodecError(f"a stored value cannot be unpickled: {type(error).__qualname__}") from error
        if not isinstance(value, self._cls):
            raise CodecError(f"a stored value is not a {self.kind!r}")
        return value  # type: ignore[no-any-return]

    def _signature(self, key: bytes, pickled: bytes | memoryview) -> bytes:
        # The context's length stands before it: no byte can be taken for one of its neighbour's.
        start = b"staleproof codec %d context %d:" % (SIGNED_PICKLE, len(self._context))
        mac = hmac.new(key, start + self._context, _DIGEST)
        mac.update(pickled)
        return mac.digest()

    def __repr__(self) -> str:
        return f"SignedPickleCodec({len(self._keys)} keys, kind={self.kind!r})"

    def __reduce__(self) -> str:
        raise TypeError("a SignedPickleCodec holds keys and is not pickled")


def _checkable(kind: Any) -> Any:
    """Return what `isinstance` takes for *kind*; of a TypedDict, for example, the signature alone must tell."""
    cls = kind if is_union(kind) else class_of(kind)
    try:
        isinstance(None, cls)
    except TypeError:
        return object
    return cls


def _checked_keys(keys: list[Any]) -> tuple[bytes, ...]:
    if not 0 < len(keys) <= MAX_KEYS:
        raise ConfigurationError(
            f"key: {len(keys)} keys were given; give one to {MAX_KEYS}, the signing one first"
        )
    for key in keys:
        if not isinstance(key, bytes):
            raise ConfigurationError(
                f"key: a {type(key).__name__} is no bytes; secrets.token_bytes(32) makes a key"
            )
        if len(key) < KEY_BYTES:
            raise ConfigurationError(
                f"key: one of {len(key)} bytes was given; it takes {KEY_BYTES}: secrets.token_bytes(32) makes one"
            )
    return tuple(keys)
