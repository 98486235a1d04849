"""How the bytes of a Kafka record are written: told by their first bytes, and by the schema that is configured.

=======================  ============================================================================================
`00`, 4 bytes            Confluent's wire format: the id of a schema in a registry, then Avro or JSON
`03`, compression, UUID  AWS Glue's wire format, likewise
`C3 01`, 8 bytes         Avro's single-object encoding: the fingerprint of a schema
`Obj 01`                 Avro's object container, which carries its schema
everything else          JSON; where a schema is configured, a JSON object all the same, or bare Avro
=======================  ============================================================================================

No registry is asked: a schema that a record only names must be configured.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from staleproof.errors import EventError
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources import avro
from staleproof_pipeline.sources.documents import document

if TYPE_CHECKING:
    from staleproof_pipeline.sources.avro import Schema

CONFLUENT = b"\x00"
GLUE_PLAIN, GLUE_ZLIB = b"\x03\x00", b"\x03\x05"

_CONFLUENT_HEAD = 5
_GLUE_HEAD = 18
_FRAMES = (CONFLUENT, GLUE_PLAIN, GLUE_ZLIB, avro.SINGLE_OBJECT)


def documents(raw: bytes, schema: Schema | None, path: str) -> list[Any]:
    """Return the documents that *raw* holds: one, or those of a container.

    Raises:
        MalformedEventError: it is not what its first bytes say.
        OversizedEventError: it holds more than the bounds allow.
        UnsupportedFormatError: it needs a schema, and none is configured, or another.
    """
    if raw.startswith(avro.MAGIC):
        return avro.container(raw)
    if raw.startswith(_FRAMES):
        return [_framed(raw, schema, path)]
    return [document(raw, path) if schema is None else _bare(raw, schema, path)]


def key(raw: bytes, schema: Schema | None) -> Any:
    """Return what a record's key says: a document, or a text; raises as `documents` does."""
    if schema is not None or raw.startswith(_FRAMES):
        return documents(raw, schema, "key")[0]
    try:
        return document(raw, "key")
    except EventError:
        return raw.decode(errors="backslashreplace")


def _bare(raw: bytes, schema: Schema, path: str) -> Any:
    """Avro without a frame; or JSON, where only some of a topic's producers write Avro by now."""
    if raw.startswith(b"{"):
        try:
            return document(raw, path)
        except EventError:
            pass  # Avro may begin with the same byte, and is no JSON to its end
    return schema.value(raw)


def _framed(raw: bytes, schema: Schema | None, path: str) -> Any:
    if raw.startswith(avro.SINGLE_OBJECT):
        if schema is None:
            raise _unknown(path, f"the schema of fingerprint {raw[2:10].hex()}")
        return avro.single_object(raw, schema)
    if raw.startswith(CONFLUENT):
        body, name = (
            raw[_CONFLUENT_HEAD:],
            f"schema {int.from_bytes(raw[1:_CONFLUENT_HEAD], 'big')} of a registry",
        )
    else:
        body, name = raw[_GLUE_HEAD:], f"schema version {raw[2:_GLUE_HEAD].hex()} of the Glue registry"
        body = avro.inflated(body, zlib.MAX_WBITS) if raw.startswith(GLUE_ZLIB) else body
    if schema is not None:
        return schema.value(body)
    if body.startswith(b"{"):
        return _json(body, path, name)
    raise _unknown(path, name)


def _json(body: bytes, path: str, name: str) -> Any:
    """A JSON Schema serializer writes JSON, which needs no schema; Avro may begin with the same byte."""
    try:
        return document(body, path)
    except EventError as error:
        raise _unknown(path, name) from error


def _unknown(path: str, name: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"{path}: written by {name}, and no registry is asked; configure the topic's schema, or let the producer write "
        "JSON or Avro containers"
    )
