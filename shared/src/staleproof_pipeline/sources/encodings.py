"""How the bytes of a Kafka record are written: told by their first bytes, and by the schema that is configured.

=======================  ============================================================================================
`00`, 4 bytes            Confluent's wire format: the id of a schema in a registry, then Avro or JSON
`03`, compression, UUID  AWS Glue's wire format, likewise
`C3 01`, 8 bytes         Avro's single-object encoding: the fingerprint of a schema
`Obj 01`                 Avro's object container, which carries its schema
everything else          JSON; or bare Avro, where a schema is configured
=======================  ============================================================================================

No registry is asked: a schema that a record only names must be configured.
"""

from __future__ import annotations

from typing import Any

from staleproof.errors import EventError
from staleproof_pipeline.errors import UnsupportedFormatError
from staleproof_pipeline.sources.documents import document

CONFLUENT = b"\x00"
GLUE = (b"\x03\x00", b"\x03\x05")
SINGLE_OBJECT = b"\xc3\x01"
CONTAINER = b"Obj\x01"

_CONFLUENT_HEAD = 5

Schema = Any


def documents(raw: bytes, schema: Schema | None, path: str) -> list[Any]:  # noqa: ARG001
    """Return the documents that *raw* holds: one, or those of a container.

    Raises:
        MalformedEventError: it is not what its first bytes say.
        UnsupportedFormatError: it needs a schema, and none is configured.
    """
    if raw.startswith((SINGLE_OBJECT, CONTAINER, *GLUE)):
        raise _needs_schema(path, "Avro")
    if raw.startswith(CONFLUENT):
        return [_confluent(raw, path)]
    return [document(raw, path)]


def key(raw: bytes, schema: Schema | None) -> Any:
    """Return what a record's key says: a document, or a text; raises as `documents` does."""
    if raw.startswith((CONFLUENT, SINGLE_OBJECT, *GLUE)):
        return documents(raw, schema, "key")[0]
    try:
        return document(raw, "key")
    except EventError:
        return raw.decode(errors="backslashreplace")


def _confluent(raw: bytes, path: str) -> Any:
    body = raw[_CONFLUENT_HEAD:]
    if body.startswith(b"{"):  # written by a JSON Schema serializer
        return document(body, path)
    raise _needs_schema(path, f"schema {int.from_bytes(raw[1:_CONFLUENT_HEAD], 'big')} of a registry")


def _needs_schema(path: str, what: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(f"{path}: {what} is not known here")
