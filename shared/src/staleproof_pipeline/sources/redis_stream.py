"""Redis and Valkey streams: one entry of a stream.

====================================  ==================================================================================
a field `m`                           a published message
a field `m` that is anything else     what the document in it tells, as on any other transport
`key` and `value`, or one field       Debezium's server, in its extended and its compact form
any other fields                      the row after the change, every value a text; the stream's key is the entity
====================================  ==================================================================================

A raw record is JSON, so that a dead letter can keep it and be read again: `record` makes it of what a client returns.
An entry's ID is two numbers, `milliseconds-sequence`, of 64 bits each; `position.sequence` is both as one, so IDs
compare as they do on the server, which as texts they would not.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof_pipeline.change import MAX_EPOCH_MS, Position, Source
from staleproof_pipeline.sources import Ignored, Parsed, RecordSource, debezium, payload, rows
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.documents import decoded, document
from staleproof_pipeline.sources.fields import an_object, required, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGE = "m"
"""The field that holds a published message."""

BINARY = "base64"
"""A value that is no UTF-8 text is `{"base64": text}` in a raw record."""

EARLIEST_MS = 1_000_000_000_000
"""The year 2001: an entry's ID below it was counted by its producer, and tells no time."""

_ID = re.compile(r"(\d{1,20})-(\d{1,20})\Z", re.ASCII)
_LIMIT = 2**64


def record(stream: str | bytes, entry_id: str | bytes, fields: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return the raw record of an entry as a client returns it.

    Args:
        stream: its key.
        entry_id: such as `1360332012000-0`.
        fields: bytes or texts by name; None if the entry was trimmed while it was pending.
    """
    told = None if fields is None else {_text(name): _portable(each) for name, each in fields.items()}
    return {"stream": _text(stream), "id": _text(entry_id), "fields": told}


def _text(raw: str | bytes) -> str:
    return raw.decode(errors="backslashreplace") if isinstance(raw, bytes) else raw


def _portable(raw: str | bytes) -> Any:
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {BINARY: b64encode(raw).decode()}


def parse(raw: Any, entity: str = "") -> Parsed:
    """Return what an entry tells; *entity* is that of plain rows, the stream's key if empty.

    Raises:
        MalformedEventError: it is no entry of a stream.
        EventError: its message can never be read.
    """
    entry = an_object(raw, "entry")
    stream, entry_id = required(entry, "stream", str), required(entry, "id", str)
    if entry.get("fields") is None:
        return Ignored("the entry was trimmed from its stream before it was read")
    fields = {name: _value(each, name) for name, each in an_object(entry["fields"], "fields").items()}
    milliseconds, sequence = _numbers(entry_id)
    carrier = Carrier(
        source=Source.REDIS_STREAM,
        channel=stream,
        id=f"{stream}:{entry_id}",
        position=Position.of(stream, milliseconds << 64 | sequence, f"{milliseconds}-{sequence}"),
        entity=entity,
        changed_ms=milliseconds if EARLIEST_MS <= milliseconds <= MAX_EPOCH_MS else 0,
    )
    if MESSAGE in fields:
        return payload.read(document(fields[MESSAGE], f"fields.{MESSAGE}"), carrier)
    return _debezium(fields, carrier) or rows.change(fields, carrier)


def source(entity: str = "") -> RecordSource:
    """Return the source whose plain rows are of *entity*."""
    return RecordSource("redis-stream", partial(parse, entity=entity), ordered=False)


SOURCE = source()


def _value(raw: Any, name: str) -> str | bytes:
    if isinstance(raw, str | bytes):
        return raw
    if isinstance(raw, dict) and raw.keys() == {BINARY}:
        return decoded(raw[BINARY], f"fields.{name}")
    raise wrong(f"fields.{name}", raw, f"a text, or {{{BINARY!r}: text}}")


def _numbers(entry_id: str) -> tuple[int, int]:
    match = _ID.match(entry_id)
    numbers = (int(match[1]), int(match[2])) if match else (_LIMIT, 0)
    if max(numbers) >= _LIMIT:
        raise wrong("id", entry_id, "an entry's ID such as '1360332012000-0'")
    return numbers


def _debezium(fields: dict[str, str | bytes], carrier: Carrier) -> Parsed | None:
    """What Debezium's server wrote; None if the fields are not its own."""
    if fields.keys() == {"key", "value"}:
        key, value = fields["key"], fields["value"]
    elif len(fields) == 1:
        ((key, value),) = fields.items()
    else:
        return None
    if not (_is_object(key) and _is_object(value)):
        return None
    found = document(value, "value")
    told, _ = debezium.unwrapped(found)
    if not isinstance(told, dict) or not (debezium.is_envelope(told) or debezium.is_flat(told)):
        return None
    return payload.read_one(found, carrier, debezium.keys(document(key, "key")))


def _is_object(text: str | bytes) -> bool:
    return text[:1] in ("{", b"{")
