"""Debezium's change events of MySQL, Postgres, MongoDB and its other connectors, whatever carries them.

=========  ============================================================================================
envelope   `before`, `after`, `op`, `source`; with or without `{"schema": …, "payload": …}` around it
flat       the row alone, by the transformation `ExtractNewRecordState`, with `__op` or `__deleted` in it
entity     `schema.table` where the database has schemas, else `db.table`, of MongoDB `db.collection`
operation  c insert, u modify, d remove; r (a row of a snapshot) insert, marked; t (truncate) remove, marked
keys       of the record's key; MongoDB's `id` is called `_id`, as in its documents
ignored    heartbeats, transaction markers, schema changes, logical decoding messages
=========  ============================================================================================

What a database leaves out is not told, and `ChangeEvent.images` says so. MySQL needs `binlog_row_image=FULL`, Postgres
`REPLICA IDENTITY FULL` for the old row: by default its events have the key's columns alone, which must not pass for a
row. A large value of Postgres that did not change is a placeholder; it is taken from the old row, or left out. MongoDB
tells whole documents where `capture.mode` asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline.change import MAX_EPOCH_MS, ChangeEvent, Operation
from staleproof_pipeline.sources import Ignored, connect_values, extended_json
from staleproof_pipeline.sources.documents import document
from staleproof_pipeline.sources.fields import an_object, optional, required, wrong

if TYPE_CHECKING:
    from staleproof_pipeline.sources.carried import Carrier

OPERATIONS = {
    "c": Operation.INSERT,
    "u": Operation.MODIFY,
    "d": Operation.REMOVE,
    "r": Operation.INSERT,
    "t": Operation.REMOVE,
}
MESSAGE = "m"
"""The operation of a message that was written into Postgres' log; it is no row."""

HEARTBEAT_TOPIC = "__debezium-heartbeat"
UNAVAILABLE = frozenset({"__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="})
"""What stands for a value that did not change and is not told, as text and as base64 of bytes."""

_UNAVAILABLE = frozenset({*UNAVAILABLE, b"__debezium_unavailable_value"})


def unwrapped(raw: Any) -> tuple[Any, Any]:
    """Return the payload and the schema of what Connect's JSON converter wrote; the schema is None if it wrote none."""
    if isinstance(raw, dict) and raw.keys() == {"schema", "payload"}:
        return raw["payload"], raw["schema"]
    return raw, None


def keys(raw: Any) -> dict[str, Any]:
    """Return the key's columns as the document *raw* of a record's key tells them; a lone value is called `key`."""
    told, schema = unwrapped(raw)
    if told is None:
        return {}
    found = connect_values.value(told, schema, "key")
    return an_object(found, "key") if isinstance(found, dict) else {"key": found}


def is_key(raw: Any) -> bool:
    """Say whether the document *raw* of a record's key is certainly Debezium's, by the name of its schema."""
    _, schema = unwrapped(raw)
    name = schema.get("name") if isinstance(schema, dict) else None
    return isinstance(name, str) and name.endswith(".Key")


def marker(payload: dict[str, Any], channel: str) -> Ignored | None:
    """Return what *payload* is if it tells no row: a heartbeat, a transaction's begin or end, a change of a schema."""
    if channel.startswith(HEARTBEAT_TOPIC):
        return Ignored("a heartbeat of Debezium")
    if (
        payload.get("status") in ("BEGIN", "END")
        and {"id", "event_count", "data_collections"} <= payload.keys()
    ):
        return Ignored("a transaction marker of Debezium")
    if "ddl" in payload and "tableChanges" in payload:
        return Ignored("a schema change of Debezium; rules name attributes, so look whether they still exist")
    if payload.get("op") == MESSAGE and isinstance(payload.get("message"), dict):
        return Ignored("a logical decoding message, which is no row")
    return None


def is_envelope(payload: dict[str, Any]) -> bool:
    """Say whether *payload* is an envelope."""
    return isinstance(payload.get("source"), dict) and "op" in payload


def is_flat(payload: dict[str, Any]) -> bool:
    """Say whether *payload* is a row that `ExtractNewRecordState` left."""
    return "__op" in payload or "__deleted" in payload


def change(payload: dict[str, Any], schema: Any, carrier: Carrier, keys: dict[str, Any]) -> ChangeEvent:
    """Return the change that the envelope *payload* tells, about the row of *keys*.

    Raises:
        MalformedEventError: a field is missing or wrong.
        OversizedEventError: it nests too deep.
    """
    source = an_object(payload["source"], "source")
    op = required(payload, "op", str)
    operation = _operation("op", op)
    mongo = source.get("connector") == "mongodb"
    old, new = (_row(payload, name, schema, mongo=mongo) for name in ("before", "after"))
    if mongo:
        keys = {"_id": _mongo_id(keys["id"])} if "id" in keys else keys
    else:
        old = _with_unchanged(old, None)
        if source.get("connector") == "postgresql":
            old = _whole(old, keys)
    new, untold = _with_unchanged(new, old), _untold(new, old)
    return ChangeEvent.of(
        id=carrier.id,
        source=carrier.source,
        channel=carrier.channel,
        entity=_entity(source, mongo=mongo),
        operation=operation,
        keys=keys,
        old=old,
        new=new,
        images=_images(op, old, new),
        untold=untold,
        changed_ms=_first_time(source.get("ts_ms"), payload.get("ts_ms"), carrier.changed_ms),
        position=carrier.position,
        region=carrier.region,
        truncated=op == "t",
        snapshot=op == "r",
        trace=carrier.trace,
        schema_version=optional(source, "version", str, "", path="source.")[:32],
    )


def flat_change(payload: dict[str, Any], schema: Any, carrier: Carrier, keys: dict[str, Any]) -> ChangeEvent:
    """Return the change that a flat row tells; raises as `change` does."""
    whole = connect_values.value(payload, schema, "value")
    named = {name: each for name, each in whole.items() if not name.startswith("__")}
    row, untold = _with_unchanged(named, None), _untold(named, None)
    deleted = str(payload.get("__deleted", "")).lower() == "true"
    op = optional(payload, "__op", str, "d" if deleted else "")
    operation = Operation.REMOVE if deleted else _operation("__op", op) if op else Operation.OTHER
    side = "old" if operation is Operation.REMOVE else "new"
    told = None if op == "t" else row
    return ChangeEvent.of(
        id=carrier.id,
        source=carrier.source,
        channel=carrier.channel,
        entity=_flat_entity(payload) or carrier.entity or carrier.channel,
        operation=operation,
        keys=keys,
        images=frozenset({side}),
        untold=untold,
        changed_ms=_first_time(payload.get("__source_ts_ms"), payload.get("__ts_ms"), carrier.changed_ms),
        position=carrier.position,
        region=carrier.region,
        truncated=op == "t",
        snapshot=op == "r",
        trace=carrier.trace,
        **{side: told},
    )


def _operation(path: str, op: str) -> Operation:
    if op not in OPERATIONS:
        raise wrong(path, op, f"one of {', '.join(OPERATIONS)}")
    return OPERATIONS[op]


def _entity(source: dict[str, Any], *, mongo: bool) -> str:
    if mongo:
        around, name = "db", "collection"
    else:
        around, name = "schema" if source.get("schema") else "db", "table"
    return f"{required(source, around, str, path='source.')}.{required(source, name, str, path='source.')}"


def _flat_entity(payload: dict[str, Any]) -> str:
    def told(*names: str) -> str:
        found = (payload.get(f"__{prefix}{name}") for name in names for prefix in ("", "source_"))
        return next((each for each in found if isinstance(each, str) and each), "")

    around, name = told("schema", "db"), told("table", "collection")
    return f"{around}.{name}" if around and name else ""


def _row(payload: dict[str, Any], name: str, schema: Any, *, mongo: bool) -> dict[str, Any] | None:
    raw = payload.get(name)
    if raw is None:
        return None
    if mongo and isinstance(raw, str):
        return an_object(extended_json.plain(document(raw, name), name), name)
    return an_object(connect_values.value(an_object(raw, name), _field_schema(schema, name), name), name)


def _field_schema(schema: Any, name: str) -> Any:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    found = fields if isinstance(fields, list) else []
    return next((each for each in found if isinstance(each, dict) and each.get("field") == name), None)


def _mongo_id(told: Any) -> Any:
    """The key's id is Extended JSON in a text."""
    if not isinstance(told, str):
        return extended_json.plain(told, "key.id")
    return extended_json.plain(document(told, "key.id"), "key.id")


def _whole(old: dict[str, Any] | None, keys: dict[str, Any]) -> dict[str, Any] | None:
    """Return *old* unless it has the columns of a key alone, the row's or another index's: then it is not told."""
    if old is None or any(name in old and old[name] is None for name in keys):
        return None
    return old if any(each is not None for name, each in old.items() if name not in keys) else None


def _with_unchanged(new: dict[str, Any] | None, old: dict[str, Any] | None) -> dict[str, Any] | None:
    if new is None or not any(map(_is_unavailable, new.values())):
        return new
    known = {name: each for name, each in (old or {}).items() if not _is_unavailable(each)}
    kept = {name: known.get(name) if _is_unavailable(each) else each for name, each in new.items()}
    return {name: each for name, each in kept.items() if name in known or not _is_unavailable(new[name])}


def _untold(new: dict[str, Any] | None, old: dict[str, Any] | None) -> frozenset[str]:
    """The attributes of *new* whose values did not change and are not told by *old* either."""
    known = old or {}
    return frozenset(
        name for name, each in (new or {}).items() if _is_unavailable(each) and name not in known
    )


def _is_unavailable(value: Any) -> bool:
    """Say whether *value* is a placeholder; of an array, and of a map, its only element is."""
    if isinstance(value, list | dict) and len(value) == 1:
        value = next(iter(value))
    return isinstance(value, str | bytes) and value in _UNAVAILABLE


def _images(op: str, old: object, new: object) -> frozenset[str]:
    told = {name for name, row in (("old", old), ("new", new)) if row is not None}
    return frozenset(told | {"c": {"old"}, "d": {"new"}, "t": {"new"}}.get(op, set()))


def _first_time(*candidates: Any) -> int:
    for each in candidates:
        if isinstance(each, int) and not isinstance(each, bool) and 0 < each <= MAX_EPOCH_MS:
            return each
    return 0
