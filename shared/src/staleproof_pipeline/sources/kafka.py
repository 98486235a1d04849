"""Kafka: records of MSK and self-managed clusters, as Lambda delivers them and as the worker's client reads them.

==================  ==============================================================================================
channel, position   the topic; topic-partition and offset
entity              Debezium's `schema.table` or `db.table`; of plain rows the topic
value               JSON (a published message, Debezium's envelope, a plain row) or Avro, see `sources.encodings`
key                 JSON or text; an object's fields are the key attributes, a lone value is called `key`
no value            a tombstone: the row of this key is gone; after a removal by Debezium it says nothing new
==================  ==============================================================================================

A raw record is Lambda's (base64 texts), which a dead letter can keep; `record` makes it of the client's.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from staleproof.errors import EventError
from staleproof_pipeline.change import MAX_EPOCH_MS, ChangeEvent, Operation, Position, Source
from staleproof_pipeline.sources import Ignored, Parsed, RecordSource, debezium, encodings, payload
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.documents import decoded
from staleproof_pipeline.sources.fields import an_object, optional, required, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from staleproof_pipeline.sources.avro import Schema

TRACE_HEADER = "traceparent"
MAX_OFFSET = 2**63 - 1
MAX_HEADERS = 1_000
MAX_TRACE = 256


class ConsumerRecord(Protocol):
    """What a Python client returns; kafka-python's `ConsumerRecord` is one."""

    @property
    def topic(self) -> str:
        """The topic."""
        ...

    @property
    def partition(self) -> int:
        """The partition's number."""
        ...

    @property
    def offset(self) -> int:
        """The place in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """UTC milliseconds, -1 if unknown."""
        ...

    @property
    def timestamp_type(self) -> int:
        """0 if the producer told the time, 1 if the broker did."""
        ...

    @property
    def key(self) -> Any:
        """Bytes, or None."""
        ...

    @property
    def value(self) -> Any:
        """Bytes, or None."""
        ...

    @property
    def headers(self) -> Any:
        """Pairs of a name and bytes."""
        ...


class Reading(NamedTuple):
    """How a deployment's topics are to be read.

    Attributes:
        schemas: Avro schemas by subject, `TOPIC-value` and `TOPIC-key`, where records do not carry them.
        tombstones: what a record without a value is: `remove`, but behind a removal that Debezium told; `always` a
            removal, where Debezium's rows are flattened and nothing else tells of one; or `ignore` where another
            record tells of every removal.
    """

    schemas: Mapping[str, Schema] = {}
    tombstones: str = "remove"


PLAIN = Reading()


def record(found: ConsumerRecord) -> dict[str, Any]:
    """Return the raw record of what a client read, in Lambda's shape."""
    return {
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "timestamp": found.timestamp,
        "timestampType": "LOG_APPEND_TIME" if found.timestamp_type == 1 else "CREATE_TIME",
        "key": _portable(found.key),
        "value": _portable(found.value),
        "headers": [{name: list(value or b"")} for name, value in found.headers or ()],
    }


def _portable(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()


def parse(raw: Any, reading: Reading = PLAIN) -> Parsed:
    """Return what a record tells.

    Raises:
        MalformedEventError: a field is missing or wrong.
        UnsupportedFormatError: its value needs a schema that is not configured.
        EventError: it can never be read.
    """
    told = an_object(raw)
    carrier = _carrier(told)
    subject = carrier.channel
    key = _content(told, "key")
    if carrier.channel.startswith(debezium.HEARTBEAT_TOPIC):
        return Ignored("a heartbeat of Debezium")
    value = _content(told, "value")
    if value is None:
        return _tombstone(key, carrier, reading)
    documents = encodings.documents(value, reading.schemas.get(f"{subject}-value"), "value")
    keys = _keys(key, reading.schemas.get(f"{subject}-key"))
    if len(documents) == 1:
        return _document(documents[0], key, carrier, reading, keys)
    return payload.each(
        documents,
        lambda one, at: payload.read_one(one, carrier._replace(id=f"{carrier.id}:{at}"), keys),
    )


def source(reading: Reading = PLAIN) -> RecordSource:
    """Return the source that reads topics as *reading* says."""
    return RecordSource("kafka", partial(parse, reading=reading), ordered=True)


SOURCE = source()


def _document(
    document: Any, key: bytes | None, carrier: Carrier, reading: Reading, keys: dict[str, Any]
) -> Parsed:
    if document is None or debezium.unwrapped(document)[0] is None:
        return _tombstone(key, carrier, reading)  # JSON's null, or Connect's wrapper around it
    return payload.read(document, carrier, keys)


def _carrier(told: dict[str, Any]) -> Carrier:
    topic = required(told, "topic", str)
    partition, offset = required(told, "partition", int), required(told, "offset", int)
    for name, number in (("partition", partition), ("offset", offset)):
        if not 0 <= number <= MAX_OFFSET:
            raise wrong(name, number, "a number of Kafka's")
    timestamp = optional(told, "timestamp", int, 0)
    return Carrier(
        source=Source.KAFKA,
        channel=topic,
        id=f"{topic}-{partition}:{offset}",
        position=Position.of(f"{topic}-{partition}", offset, f"{topic}-{partition}:{offset}"),
        changed_ms=timestamp if 0 < timestamp <= MAX_EPOCH_MS else 0,  # -1: the producer told none
        trace=_header(told.get("headers"), TRACE_HEADER),
    )


def _content(told: dict[str, Any], name: str) -> bytes | None:
    raw = told.get(name)
    return None if raw is None else decoded(raw, name)


def _header(headers: Any, wanted: str) -> str:
    """A header's value as text; headers carry no change, so one that cannot be read costs nothing."""
    pairs: Iterable[Any] = headers[:MAX_HEADERS] if isinstance(headers, list) else ()
    for each in pairs:
        value = each.get(wanted) if isinstance(each, dict) else None
        if isinstance(value, list) and all(isinstance(byte, int) for byte in value[:MAX_TRACE]):
            # Java's bytes have a sign.
            return bytes(byte & 0xFF for byte in value[:MAX_TRACE]).decode(errors="replace")
    return ""


def _keys(key: bytes | None, schema: Schema | None) -> dict[str, Any]:
    """The key attributes. One that cannot be read leaves them unknown: the value tells the row."""
    if not key:
        return {}
    try:
        return debezium.keys(encodings.key(key, schema))
    except EventError:
        return {}


def _tombstone(key: bytes | None, carrier: Carrier, reading: Reading) -> Parsed:
    if reading.tombstones == "ignore":
        return Ignored("a tombstone; this deployment's topics tell of removals otherwise")
    found = encodings.key(key, reading.schemas.get(f"{carrier.channel}-key")) if key else None
    keys = debezium.keys(found) if found is not None else {}
    if not keys:
        return Ignored("a record without a key and a value, which is about nothing")
    if reading.tombstones != "always" and debezium.is_key(found):
        return Ignored("the tombstone behind a removal that Debezium told")
    return ChangeEvent.of(
        id=carrier.id,
        source=carrier.source,
        channel=carrier.channel,
        entity=carrier.channel,
        operation=Operation.REMOVE,
        keys=keys,
        images=frozenset({"new"}),
        changed_ms=carrier.changed_ms,
        position=carrier.position,
        trace=carrier.trace,
    )
