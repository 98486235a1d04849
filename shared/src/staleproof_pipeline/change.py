"""`ChangeEvent`: what happened to one row or one thing, whatever source told it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from staleproof_pipeline.errors import FieldError

MAX_EPOCH_MS = 253_402_300_799_999
"""The end of the year 9999."""


class Operation(StrEnum):
    """What was done."""

    INSERT = "insert"
    MODIFY = "modify"
    REMOVE = "remove"
    OTHER = "other"


class Source(StrEnum):
    """Where changes come from, as rules name it: what a change is about, whatever carried it.

    A table's change is `DYNAMODB` through its stream, through Kinesis and inside a queue's message alike.
    """

    DYNAMODB = "dynamodb"
    EVENTBRIDGE = "eventbridge"
    REDIS_STREAM = "redis-stream"
    KAFKA = "kafka"
    S3 = "s3"
    APPLICATION = "application"

    @property
    def remedy(self) -> str:
        """What makes this source tell whole rows, for messages."""
        return _REMEDIES[self]


_REMEDIES = {
    Source.DYNAMODB: "set StreamViewType to NEW_AND_OLD_IMAGES",
    Source.EVENTBRIDGE: "put it into the event's detail or its 'keys'",
    Source.REDIS_STREAM: "publish a change with its old and new row",
    Source.KAFKA: "let the database tell it: REPLICA IDENTITY FULL (Postgres), binlog_row_image=FULL (MySQL), "
    "capture.mode with pre-images (MongoDB)",
    Source.S3: "an object's event has no more",
    Source.APPLICATION: "publish the old row and the new one",
}


class Position(BaseModel):
    """A record's place in its source.

    Attributes:
        partition: a stream's or a bus's own name for the place of the record.
        sequence: the place within it, comparable as a number; None where the source has no order.
        text: how its source writes the place, for people; the number if empty.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    partition: str = Field(default="", max_length=2_048)
    sequence: int | None = Field(default=None, ge=0)
    text: str = Field(default="", max_length=2_048)

    @classmethod
    def of(cls, partition: str, sequence: int | None = None, text: str = "") -> Self:
        """Make one.

        Raises:
            MalformedEventError: the partition's name is too long, or no Unicode.
        """
        try:
            return cls(partition=partition, sequence=sequence, text=text)
        except ValidationError as error:
            raise _wrong(error) from error

    def __str__(self) -> str:
        return self.text or (self.partition if self.sequence is None else str(self.sequence))


class ChangeEvent(BaseModel):
    """One change, in plain Python values.

    Attributes:
        id: the source's identity of the change, the same at every redelivery.
        source: where it came from.
        channel: the place that carried it: a topic, a stream, a queue or a bucket; of an event of a bus its source.
        entity: the table, the collection, the bucket, or the event's detail-type.
        operation: what was done.
        keys: the key attributes; empty where the source has none.
        old: the row before, or None: there was none, or the source does not tell.
        new: the row after, or None likewise.
        images: which of `old` and `new` the source would tell if there were one.
        untold: attributes of `new` that the source leaves out of a row that it tells.
        changed_ms: UTC milliseconds of the change at its source, 0 if unknown.
        position: its place in the source.
        region: where it happened.
        expired: the source removed the row by its time to live; nobody asked for it.
        truncated: every row of the entity is gone at once, and none is told.
        snapshot: the source lists a row that was there already.
        replayed: an archive sends it again, maybe long after.
        writer: what the source says of who wrote, such as the region that replicated the row here; or "".
        trace: trace id, or "".
        schema_version: of the source's record.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: str = Field(min_length=1, max_length=512)
    source: Source
    channel: str = Field(default="", max_length=512)
    entity: str = Field(min_length=1, max_length=256)
    operation: Operation
    keys: dict[str, Any] = {}
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None
    images: frozenset[str] = frozenset({"old", "new"})
    untold: frozenset[str] = frozenset()
    changed_ms: int = Field(default=0, ge=0, le=MAX_EPOCH_MS)
    position: Position = Position()
    region: str = Field(default="", max_length=64)
    expired: bool = False
    truncated: bool = False
    snapshot: bool = False
    replayed: bool = False
    writer: str = Field(default="", max_length=256)
    trace: str = Field(default="", max_length=256)
    schema_version: str = Field(default="", max_length=32)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Make one.

        Raises:
            MalformedEventError: a field is out of bounds; it names the field and the value.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise _wrong(error) from error


def _wrong(error: ValidationError) -> FieldError:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return FieldError(
        f"{path}: {first['msg']}, not {shown(first['input'])}; correct the producer, then redrive", path
    )


def shown(value: Any, limit: int = 80) -> str:
    """Return *value* as a message shows it: short, and whatever it holds."""
    try:
        return repr(value[:limit] if isinstance(value, str | bytes) else value)[:limit]
    except (ValueError, RecursionError):  # an int of thousands of digits, or nested too deep to be written
        return f"a value of {type(value).__name__} too large to show"
