"""The fingerprint of an Avro schema, by which the single-object encoding names it.

It is the specification's CRC-64-AVRO over the "Parsing Canonical Form": full names, seven attributes in a fixed order,
no white space.
"""

from __future__ import annotations

import json
from typing import Any

from staleproof_pipeline.sources.avro_schema import NAMED, PRIMITIVES, full, full_name

_POLYNOMIAL = 0xC15D213AA4D7A795
_KEPT = ("name", "type", "fields", "symbols", "items", "values", "size")


def fingerprint(schema: Any) -> bytes:
    """Return the 8 bytes that name *schema*, of which a reader could be made."""
    number = _POLYNOMIAL
    for byte in canonical(schema).encode(errors="surrogatepass"):
        number = (number >> 8) ^ _TABLE[(number ^ byte) & 0xFF]
    return number.to_bytes(8, "little")


def canonical(schema: Any, space: str = "") -> str:
    """Return the canonical form of *schema* within the namespace *space*."""
    if isinstance(schema, str):
        return _text(schema if schema in PRIMITIVES else full(schema, space))
    if isinstance(schema, list):
        return f"[{','.join(canonical(each, space) for each in schema)}]"
    kind = schema["type"]
    if not isinstance(kind, str):
        return canonical(kind, space)
    if kind not in NAMED and kind not in ("array", "map"):
        return canonical(kind, space)
    name = full_name(schema, space) if kind in NAMED else ""
    inner = name.rpartition(".")[0] if name else space
    parts = [f'"{each}":{_part(each, schema, name, inner)}' for each in _KEPT if each in schema]
    return f"{{{','.join(parts)}}}"


def _part(kept: str, schema: dict[str, Any], name: str, space: str) -> str:
    if kept == "name":
        return _text(name)
    if kept == "fields":
        return f"[{','.join(_field(each, space) for each in schema['fields'])}]"
    if kept in ("items", "values"):
        return canonical(schema[kept], space)
    return json.dumps(schema[kept], ensure_ascii=False, separators=(",", ":"))


def _field(field: dict[str, Any], space: str) -> str:
    return f'{{"name":{_text(field["name"])},"type":{canonical(field["type"], space)}}}'


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _table() -> list[int]:
    found = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL & -(value & 1))
        found.append(value)
    return found


_TABLE = _table()
