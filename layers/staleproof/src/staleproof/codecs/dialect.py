"""`Dialect`: what shapes ask of the format that they are built for; MessagePack's and JSON's."""

from __future__ import annotations

from enum import EnumMeta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import msgspec

from staleproof.codecs import atoms, containers, models, records, scalars, unions
from staleproof.codecs.shapes import Shape, compiled
from staleproof.codecs.typed import Form
from staleproof.codecs.untyped import (
    BUILTIN_TYPES,
    UNTYPED_JSON,
    UNTYPED_MSGPACK,
    encode_msgpack,
    msgpack_decoder,
)
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.codecs.shapes import Builder

REFUSALS = (TypeError, ValueError, NameError, AttributeError, KeyError, NotImplementedError, RuntimeError)
"""What msgspec raises for a type that it does not read: an unresolved name, a union that it cannot tell apart, …"""

FINDERS: tuple[Callable[[Builder, Any], Shape | None], ...] = (
    atoms.untyped,
    unions.union,
    atoms.literal,
    atoms.simple,
    atoms.enumeration,
    models.model,
    records.record,
    containers.array,
    containers.tuple_of,
    containers.mapping,
    containers.special,
    containers.abstract,
    models.described,
)
"""What recognises a type and returns its shape: the first that does is heard."""


class Dialect:
    """One format.

    Args:
        untyped: the shape of values of no declared type.
        decoder: makes msgspec's decoder for a wire type.
        writer: what writes wire values of a shape.
        builtin_types: the types beyond JSON's that the format itself tells apart.
        odd_keys: whether any value may be a key.
        mark: what the wide form begins with (see `Form`), and no other.
    """

    def __init__(
        self,
        *,
        untyped: Shape,
        decoder: Callable[[Any], Any],
        writer: Callable[[Shape], Callable[[Any], bytes]],
        builtin_types: tuple[type, ...],
        odd_keys: bool,
        mark: bytes,
    ) -> None:
        self.untyped = untyped
        self.finders = FINDERS
        self._decoder = decoder
        self._writer = writer
        self._builtin_types = builtin_types
        self.odd_keys = odd_keys
        self.mark = mark

    def form(self, kind: Any, *, wide: bool = False) -> Form:
        """Return how values of type *kind* are written and read.

        Raises:
            ConfigurationError: they could not be read back; the text says what to do.
        """
        try:
            shape, floats = compiled(kind, self, wide=wide)
            decode = self._decoder(shape.wire).decode
        except (*REFUSALS, ConfigurationError) as error:
            raise ConfigurationError(f"results of type {kind!r} cannot be cached: {error}") from error
        write = self._writer(shape)
        to_wire, from_wire = shape.to_wire, shape.from_wire
        form = Form(
            write if to_wire is None else lambda value: write(to_wire(value)),
            decode if from_wire is None else lambda payload: from_wire(decode(payload)),
        )
        return self._widened(form, kind) if floats and not wide else form

    def _widened(self, form: Form, kind: Any) -> Form:
        """Return *form* of values of type *kind*, which holds floats, with the way out for integers among them."""
        wide = cache(partial(self.form, kind, wide=True))
        form = form._replace(wide=wide, mark=self.mark)
        if self.odd_keys:  # the mark is no MessagePack: whoever reads it plainly fails, and looks for it then
            return form
        plain, first = form.read, self.mark[0]
        return form._replace(
            read=lambda payload: wide().read(payload) if payload[0] == first else plain(payload)
        )

    def accepts(self, kind: Any) -> bool:
        """Say whether msgspec takes *kind*, all of whose parts have been found to be readable."""
        try:
            self._decoder(kind)
        except REFUSALS:
            return False
        return True

    def converted(self, raw: Any, wire: Any) -> Any:
        """Return builtins that were decoded without a type as the wire type that they are of."""
        return msgspec.convert(raw, wire, builtin_types=self._builtin_types, str_keys=not self.odd_keys)

    def takes_key(self, key: Shape) -> bool:
        """Say whether a dictionary with such keys is one in the format, too."""
        if self.odd_keys:
            return key.from_wire is None
        # JSON's keys are text. One class of keys is told from its text, several are not: 1 and "1".
        return key.plain and len(key.classes) == 1 and _has_text(key.classes[0])


def _has_text(cls: Any) -> bool:
    return cls in {str, int, float, bytes} or isinstance(cls, EnumMeta) or scalars.of_class(cls) is not None


_encode_json = msgspec.json.Encoder().encode


def _msgpack_writer(shape: Shape) -> Callable[[Any], bytes]:
    """Return what writes MessagePack; its timestamps would lose the offset, so datetimes are written as text."""
    if not shape.dated:
        return encode_msgpack
    return lambda wire: encode_msgpack(msgspec.to_builtins(wire, builtin_types=BUILTIN_TYPES))


MSGPACK_DIALECT = Dialect(
    untyped=Shape(Any, (), UNTYPED_MSGPACK.to_wire),
    decoder=msgpack_decoder,
    writer=_msgpack_writer,
    builtin_types=(bytes, bytearray),
    odd_keys=True,
    mark=b"\xc1",  # the one byte that MessagePack never uses: https://github.com/msgpack/msgpack/blob/master/spec.md
)
JSON_DIALECT = Dialect(
    untyped=Shape(Any, (), UNTYPED_JSON.to_wire, UNTYPED_JSON.from_wire),
    decoder=msgspec.json.Decoder,
    writer=lambda _: _encode_json,
    builtin_types=(),
    odd_keys=False,
    mark=b" ",
)
