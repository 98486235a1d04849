"""What applications publish: `Change`, a row that changed, and `Invalidate`, tags and keys to forget.

A `Change` says what happened, and the pipeline's rules say what that makes stale: who writes needs to know no tag.
An `Invalidate` names the tags itself. Both are idempotent and commutative, so a transport may deliver them twice, late
or out of order; their `id` stays the same through all of that. On the wire they are JSON of schema 1, with every field
written out; within a schema only optional fields are ever added, and readers ignore those that they do not know.

An object checks itself: there is none that cannot be sent, save for its size.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from staleproof.errors import (
    EventError,
    MalformedEventError,
    OversizedEventError,
    UnsupportedEventVersionError,
)
from staleproof.events import bounds
from staleproof.events.invalidation import new_id
from staleproof.events.values import row
from staleproof.tags import MAX_TAG_BYTES

SCHEMA: Literal[1] = 1
MARK = "staleproof"
"""The field that tells a message of ours from anything else, and says which."""

Operation = Literal["insert", "modify", "remove", "other"]
OPERATIONS: tuple[str, ...] = get_args(Operation)

_Id = Annotated[
    str, Meta(min_length=1, max_length=bounds.MAX_ID, description="The same at every redelivery.")
]
_Entity = Annotated[
    str,
    Meta(
        min_length=1, max_length=bounds.MAX_ENTITY, description="What changed: a table, or a kind of thing."
    ),
]
_Row = Annotated[dict[str, Any], Meta(description="Attributes of a row, by name.")]
_Moment = Annotated[
    int, Meta(ge=0, le=bounds.MAX_EPOCH_MS, description="UTC milliseconds of the change, 0 if unknown.")
]
_Region = Annotated[str, Meta(max_length=bounds.MAX_REGION, description="Where it happened, or empty.")]
_Trace = Annotated[str, Meta(max_length=bounds.MAX_TRACE, description="Trace id, or empty.")]
_Namespace = Annotated[
    str, Meta(min_length=1, max_length=bounds.MAX_NAMESPACE, description="The pipeline's own if null.")
]
_Tag = Annotated[str, Meta(min_length=1, max_length=MAX_TAG_BYTES)]
_Key = Annotated[str, Meta(min_length=1, max_length=bounds.MAX_KEY)]
_Tags = Annotated[tuple[_Tag, ...], Meta(max_length=bounds.MAX_TARGETS, description="Tags to forget.")]
_Keys = Annotated[tuple[_Key, ...], Meta(max_length=bounds.MAX_TARGETS, description="Keys to forget.")]
_RowVersion = Annotated[
    int,
    Meta(ge=0, le=bounds.MAX_ROW_VERSION, description="The row's version after the change, or null."),
]
_Lag = Annotated[
    int,
    Meta(ge=0, le=bounds.MAX_LAG_MS, description="Milliseconds that replicas of the source may lag behind."),
]


class Change(msgspec.Struct, frozen=True, kw_only=True, tag_field=MARK, tag="change"):
    """One row, or one thing, changed.

    Attributes:
        schema: version of this very shape.
        id: the change's identity, the same at every redelivery.
        entity: the table, or the kind of thing, as rules name it.
        operation: `insert`, `modify`, `remove` or `other`.
        keys: the attributes that name the row.
        old: the row before, or None: there was none, or nobody tells.
        new: the row after, or None likewise.
        changed_ms: UTC milliseconds of the change, 0 if unknown.
        region: where it happened, or "".
        trace: trace id, or "".

    Raises:
        MalformedEventError: a field has the wrong shape, or a value has no form in JSON (`staleproof.events.values`).
        OversizedEventError: a field is too long.
    """

    schema: Literal[1] = SCHEMA
    id: _Id
    entity: _Entity
    operation: Operation
    keys: _Row = {}
    old: _Row | None = None
    new: _Row | None = None
    changed_ms: _Moment = 0
    region: _Region = ""
    trace: _Trace = ""

    def __post_init__(self) -> None:
        """Check every field, and write the rows as the wire has them."""
        _check_schema(self.schema)
        bounds.text(self.id, "id", bounds.MAX_ID, 1)
        bounds.text(self.entity, "entity", bounds.MAX_ENTITY, 1)
        if self.operation not in OPERATIONS:
            raise MalformedEventError(
                f"operation={self.operation!r:.80}: send one of {', '.join(OPERATIONS)}"
            )
        force_setattr(self, "keys", row(self.keys, "keys"))
        for field in ("old", "new"):
            told = getattr(self, field)
            force_setattr(self, field, None if told is None else row(told, field))
        bounds.whole(self.changed_ms, "changed_ms", bounds.MAX_EPOCH_MS)
        bounds.text(self.region, "region", bounds.MAX_REGION)
        bounds.text(self.trace, "trace", bounds.MAX_TRACE)

    @classmethod
    def now(cls, entity: str, operation: Operation, **fields: Any) -> Self:
        """Return a change that happens now, under a fresh id; *fields* are the others, of which each goes first."""
        return cls(
            **{"id": new_id(), "changed_ms": now_ms(), "entity": entity, "operation": operation, **fields}
        )


class Invalidate(msgspec.Struct, frozen=True, kw_only=True, tag_field=MARK, tag="invalidate"):
    """Tags and keys to forget, by whoever knows them.

    Attributes:
        schema: version of this very shape.
        id: its identity, the same at every redelivery.
        namespace: the namespace it concerns, None for the pipeline's own.
        tags: tag texts.
        keys: key texts.
        soft: what it names becomes stale instead of gone, for policies that serve stale values.
        row_version: the source row's version after the change, or None.
        lag_ms: how long a replica of the source may lag behind, in milliseconds.
        trace: trace id, or "".

    Raises:
        MalformedEventError: a field has the wrong shape, or nothing is named.
        OversizedEventError: a field is too long.
    """

    schema: Literal[1] = SCHEMA
    id: _Id
    namespace: _Namespace | None = None
    tags: _Tags = ()
    keys: _Keys = ()
    soft: bool = False
    row_version: _RowVersion | None = None
    lag_ms: _Lag = 0
    trace: _Trace = ""

    def __post_init__(self) -> None:
        """Check every field."""
        _check_schema(self.schema)
        bounds.text(self.id, "id", bounds.MAX_ID, 1)
        if self.namespace is not None:
            bounds.text(self.namespace, "namespace", bounds.MAX_NAMESPACE, 1)
        force_setattr(self, "tags", bounds.texts(self.tags, "tags", MAX_TAG_BYTES))
        force_setattr(self, "keys", bounds.texts(self.keys, "keys", bounds.MAX_KEY))
        if not self.tags and not self.keys:
            raise MalformedEventError("invalidate: nothing is named; send tags, keys or both")
        bounds.flag(self.soft, "soft")
        if self.row_version is not None:
            bounds.whole(self.row_version, "row_version", bounds.MAX_ROW_VERSION)
        bounds.whole(self.lag_ms, "lag_ms", bounds.MAX_LAG_MS)
        bounds.text(self.trace, "trace", bounds.MAX_TRACE)

    @classmethod
    def now(cls, *tags: str, **fields: Any) -> Self:
        """Return an invalidation of *tags* under a fresh id; *fields* are the others."""
        return cls(**{"id": new_id(), "tags": tags, **fields})


Message = Change | Invalidate
KINDS: dict[str, type[Change | Invalidate]] = {"change": Change, "invalidate": Invalidate}


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message, float_hook=Decimal)
_plain = msgspec.json.Decoder(float_hook=Decimal)


def now_ms() -> int:
    """Return the present, UTC milliseconds."""
    return time.time_ns() // 1_000_000


def encode(message: Message) -> bytes:
    """Return the wire form, JSON in UTF-8.

    Raises:
        OversizedEventError: it is longer than `bounds.MAX_MESSAGE` bytes.
    """
    raw = _encoder.encode(message)
    _check_size(raw)
    return raw


def decode(raw: bytes | str) -> Message:
    """Read the wire form.

    Raises:
        MalformedEventError: it is no JSON, or a field is missing or wrong.
        UnsupportedEventVersionError: its schema is not one that this release reads.
        OversizedEventError: it, or a field, is too long.
    """
    _check_size(raw)
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _told(raw, error) from error


def _check_size(raw: bytes | str) -> None:
    if len(raw) > bounds.MAX_MESSAGE:
        raise OversizedEventError(
            f"the message has {len(raw)} bytes; send at most {bounds.MAX_MESSAGE}: name keys, and leave old and new out"
        )


def _check_schema(schema: Any) -> None:
    if schema != SCHEMA or isinstance(schema, bool):
        raise UnsupportedEventVersionError(
            f"schema={schema!r:.40} is not {SCHEMA}, which this release reads; upgrade the consumer, then redrive"
        )


def _told(raw: bytes | str, error: Exception) -> EventError:
    """Return what is wrong with *raw*: another schema, which may have another shape; else the field, as we say it."""
    try:
        document = _plain.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = None
    told: dict[str, Any] = document if isinstance(document, dict) else {}
    cls = KINDS.get(told[MARK]) if isinstance(told.get(MARK), str) else None
    try:
        _check_schema(told.get("schema", SCHEMA))
        if cls is not None:
            cls(**{name: told[name] for name in cls.__struct_fields__ if name in told})
    except EventError as ours:
        return ours
    except TypeError:
        pass  # a field is missing, which the decoder has said
    return MalformedEventError(f"message: {error}; send the JSON of schema {SCHEMA}")
