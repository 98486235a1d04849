"""Records of Kafka whose keys and values are Avro of a registry's schemas, as another implementation writes them."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import fastavro

PRODUCT: dict[str, Any] = {
    "type": "record",
    "name": "Product",
    "fields": [{"name": "id", "type": "string"}, {"name": "price", "type": ["null", "long"]}],
}
KEY: dict[str, Any] = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "string"}]}
SCHEMAS = {"products-value": PRODUCT, "products-key": KEY}


def framed(schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    """The row as Confluent's serializer writes it: the number of a schema that only a registry has, then Avro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(schema)), row)
    return b"\x00\x00\x00\x00\x07" + out.getvalue()


def record(offset: int, product: str, *, gone: bool = False) -> dict[str, Any]:
    """A record as Lambda delivers it."""
    value = None if gone else b64encode(framed(PRODUCT, {"id": product, "price": 5})).decode()
    key = b64encode(framed(KEY, {"id": product})).decode()
    told = {"topic": "products", "partition": 0, "offset": offset, "timestamp": 0}
    return {**told, "timestampType": "CREATE_TIME", "key": key, "value": value, "headers": []}


def event(*records: dict[str, Any]) -> dict[str, Any]:
    """What MSK's poller invokes a function with."""
    return {"eventSource": "aws:kafka", "eventSourceArn": "arn:c", "records": {"products-0": list(records)}}
