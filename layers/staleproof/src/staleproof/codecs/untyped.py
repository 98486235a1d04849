"""Values of no declared type (`Any`): builtins as they are, and everyday types of the standard library under a tag.

A value under `Any` comes back as exactly what it was, or is refused when it is stored: a dataclass would come back as
a dictionary, and the second caller would get something else than the first. In MessagePack a tag is an extension
type, so that plain values, the usual case, are read without any Python; in JSON it is an object with one key, `$name`.

Writing walks the value once. Most containers hold plain values only, which one `issuperset` over the types tells.
"""

from __future__ import annotations

import binascii
import math
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.msgpack import Ext

from staleproof.codecs import scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from staleproof.codecs.scalars import Scalar

_REMEDY = "declare its type: annotate the function's result, or pass kind="


class Container(NamedTuple):
    """One type that is stored as a list of its parts; *name* and *code* as in `Scalar`."""

    name: str
    code: int
    cls: Any
    parts: Callable[[Any], Iterable[Any]]
    whole: Callable[[list[Any]], Any]


def _flat(mapping: dict[Any, Any]) -> list[Any]:
    return [each for pair in mapping.items() for each in pair]


def _pairs(parts: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(parts[::2], parts[1::2], strict=True)


def _bytearray(parts: list[Any]) -> bytearray:
    # `bytearray` takes a number, too, and makes so many zeros: nine bytes on the server would take gigabytes here.
    (raw,) = parts
    if type(raw) is not bytes:
        raise ValueError("a bytearray consists of bytes")
    return bytearray(raw)


# Codes are part of the stored format, like those of scalars.
CONTAINERS = (
    Container("tuple", 32, tuple, tuple, tuple),
    Container("set", 33, set, tuple, set),
    Container("frozenset", 34, frozenset, tuple, frozenset),
    Container("deque", 35, deque, lambda value: [value.maxlen, *value], lambda got: deque(got[1:], got[0])),
    Container("bytearray", 36, bytearray, lambda value: [bytes(value)], _bytearray),
    Container("dict", 37, dict, _flat, lambda got: dict(_pairs(got))),
    Container("ordered-dict", 38, OrderedDict, _flat, lambda got: OrderedDict(_pairs(got))),
    Container("counter", 39, Counter, _flat, lambda got: Counter(dict(_pairs(got)))),
)
_OF_CLASS: dict[Any, Container] = {each.cls: each for each in CONTAINERS}
_NAMED: dict[str | int, Container] = {name: each for each in CONTAINERS for name in (each.name, each.code)}


class Untyped:
    """How one format carries values of no declared type.

    Attributes:
        plain: the types that the format carries as they are.
    """

    plain: frozenset[type]

    def to_wire(self, value: Any) -> Any:
        """Return *value* in terms of what the format carries; the very object where it is plain.

        Raises:
            TypeError: something in it would not come back as what it is.
        """
        cls = type(value)
        if cls in self.plain:
            return value
        if cls is list:
            return value if self.plain.issuperset(map(type, value)) else self._all(value)
        if cls is dict and self.keys_fit(value):
            plain, items = self.plain.issuperset, value.values()
            keys = value if plain(map(type, value)) else self._all(value)
            if keys is value and plain(map(type, items)):
                return value
            return dict(zip(keys, self._all(items), strict=True))
        container = _OF_CLASS.get(cls)
        if container is not None:
            return self.tagged(container, self._all(container.parts(value)))
        return self.unusual(value)

    def _all(self, values: Iterable[Any]) -> list[Any]:
        plain, to_wire = self.plain, self.to_wire
        return [each if type(each) in plain else to_wire(each) for each in values]

    def keys_fit(self, value: dict[Any, Any]) -> bool:
        """Say whether *value* may be a dictionary of the format, too."""
        raise NotImplementedError

    def unusual(self, value: Any) -> Any:
        """Return a value that is no container in the format's terms."""
        scalar = _SCALARS.get(type(value)) or _scalar(type(value))
        return self.tagged(scalar, scalar.write(value))

    def tagged(self, form: Scalar | Container, content: Any) -> Any:
        """Return *content* under the tag of *form*."""
        raise NotImplementedError


# Met so far: classes in values, names and codes in what is stored.
_SCALARS: dict[Any, Scalar] = {}
_READERS: dict[str | int, Callable[[str], Any]] = {}


def _scalar(cls: Any) -> Scalar:
    scalar = scalars.of_class(cls)
    if scalar is None:
        raise TypeError(f"declared as Any, a {cls.__qualname__} would not come back as one; {_REMEDY}")
    return _SCALARS.setdefault(cls, scalar)


def _untagged(name: str | int, content: Any) -> Any:
    container = _NAMED.get(name)
    if container is not None and isinstance(content, list):
        return container.whole(content)
    scalar = scalars.named(name)
    if scalar is None or not isinstance(content, str):
        raise ValueError(f"{name!r} is no tag that this release knows")
    _READERS[name] = scalar.read
    return scalar.read(content)


class Extension:
    """A tagged value on its way into MessagePack; msgspec's own class cannot be the key of a dictionary."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data

    @staticmethod
    def written(value: Any) -> Ext:
        """Return what an encoder writes for *value*, which it does not know.

        Raises:
            TypeError: it is no tagged value, but a type that cannot be stored.
        """
        if type(value) is Extension:
            return Ext(value.code, value.data)
        raise TypeError(f"nothing is known of how to read a {type(value).__qualname__} back")


class UntypedMsgpack(Untyped):
    """MessagePack: a tag is an extension type, scalars under it are text, containers MessagePack."""

    plain = frozenset({str, int, float, bool, type(None), bytes})

    def keys_fit(self, value: dict[Any, Any]) -> bool:  # noqa: ARG002 - a key may be anything here
        """See `Untyped.keys_fit`."""
        return True

    def tagged(self, form: Scalar | Container, content: Any) -> Extension:
        """See `Untyped.tagged`."""
        return Extension(form.code, content.encode() if isinstance(content, str) else encode_msgpack(content))

    @staticmethod
    def from_extension(code: int, data: memoryview) -> Any:
        """Return the value of an extension type."""
        read = _READERS.get(code)
        if read is not None:
            return read(str(data, "utf-8"))
        return _untagged(code, _decode_list(data) if code in _NAMED else str(data, "utf-8"))


def msgpack_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """Return the decoder of values of type *kind*, tagged ones included."""
    return msgspec.msgpack.Decoder(kind, ext_hook=UntypedMsgpack.from_extension)


encode_msgpack = msgspec.msgpack.Encoder(enc_hook=Extension.written).encode
_decode_list = msgpack_decoder(list).decode
BUILTIN_TYPES = (bytes, bytearray, memoryview, Extension)
"""What MessagePack carries beyond JSON's types."""


class UntypedJson(Untyped):
    """JSON: a tag is an object with one key, which begins with `$`; another object with such a key is tagged itself."""

    plain = frozenset({str, int, bool, type(None)})

    def keys_fit(self, value: dict[Any, Any]) -> bool:
        """See `Untyped.keys_fit`."""
        return all(type(key) is str and key[:1] != "$" for key in value)

    def unusual(self, value: Any) -> Any:
        """See `Untyped.unusual`."""
        cls = type(value)
        if cls is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        return (
            {"$bytes": binascii.b2a_base64(value, newline=False).decode()}
            if cls is bytes
            else super().unusual(value)
        )

    def tagged(self, form: Scalar | Container, content: Any) -> dict[str, Any]:
        """See `Untyped.tagged`."""
        return {f"${form.name}": content}

    def from_wire(self, value: Any) -> Any:
        """Return the value that `to_wire` made *value* of."""
        if type(value) is list:
            return (
                value if self.plain.issuperset(map(type, value)) else [self.from_wire(each) for each in value]
            )
        if type(value) is not dict:
            return value
        if len(value) == 1:
            ((key, content),) = value.items()
            if key[:1] == "$":
                return self._read(key[1:], content)
        return {key: self.from_wire(each) for key, each in value.items()}

    def _read(self, name: str, content: Any) -> Any:
        if name == "float":
            return float(content)
        if name == "bytes":
            return binascii.a2b_base64(content, strict_mode=True)
        return _untagged(name, self.from_wire(content))


UNTYPED_MSGPACK = UntypedMsgpack()
UNTYPED_JSON = UntypedJson()
