"""What a change must be for a rule, or for one of its templates, to apply."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from staleproof_pipeline.change import Operation, Source
from staleproof_pipeline.rules.kinds import Conditions, Names, Operations, PathText, PatternOf
from staleproof_pipeline.rules.match import checks

if TYPE_CHECKING:
    from staleproof_pipeline.rules.match import Check

FLAGS = ("expired", "truncated", "snapshot", "replayed")
"""What a source says of a change beside the rows; each is a condition of that name."""


class Shape(BaseModel):
    """A part of the file: it does not change, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(Shape):
    """Which changes are meant: all that is named must hold.

    Attributes:
        operation: any of these; all if omitted.
        changed: at least one of these attributes differs, or the row came or went; any change if omitted.
        old: conditions on the row before, by attribute: `status: open`, `price: {numeric: [">", 0]}`, or a list.
        new: on the row after, likewise.
        keys: on the key attributes, likewise.
        pattern: an event pattern in EventBridge's language, over the whole change.
        region: regions where it happened; `*` stands for any characters.
        expired: whether the row went by its time to live.
        truncated: whether the whole table was emptied at once.
        snapshot: whether the source lists rows that were there already.
        replayed: whether an archive sends it again.
    """

    operation: Operations = list(Operation)
    changed: Annotated[list[PathText], Field(max_length=100)] = []
    old: Conditions | None = None
    new: Conditions | None = None
    keys: Conditions | None = None
    pattern: PatternOf | None = None
    region: Names = []
    expired: bool | None = None
    truncated: bool | None = None
    snapshot: bool | None = None
    replayed: bool | None = None

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """One check a condition that is named, the cheapest first."""
        return checks(self)


class When(Condition):
    """Which changes a rule concerns: all that is named must hold.

    Attributes:
        source: `dynamodb`, `eventbridge`, `redis-stream`, `kafka`, `s3` or `application`.
        entity: what changed, by name, for any source; `*` stands for any characters, as in `prod-*-Flights`.
        table: tables of `dynamodb` and `kafka` by name, likewise.
        detail_type: events of `eventbridge` by detail-type, likewise.
        channel: topics, streams, queues or buckets that carry it, or the sources of events, likewise.
    """

    source: Source = Source.DYNAMODB
    entity: Names = []
    table: Names = []
    detail_type: Names = []
    channel: Names = []

    @property
    def entities(self) -> list[str]:
        """The patterns that an entity's name must match."""
        named = [*self.entity, *self.table, *self.detail_type]
        return named or (["*"] if self.channel else [])

    @model_validator(mode="after")
    def _names_what_its_source_has(self) -> Self:
        if not self.entities:
            raise ValueError(
                f"a rule for {self.source} needs {_usual(self.source)}; write '*' for all of them"
            )
        if self.source is Source.EVENTBRIDGE:
            self._names_what_an_event_has()
        elif self.detail_type:
            raise ValueError("'detail_type' is for source eventbridge; remove it, or set source: eventbridge")
        elif self.table and self.source not in _WITH_TABLES:
            raise ValueError(f"'table' is for sources dynamodb and kafka; write 'entity' for {self.source}")
        return self

    def _names_what_an_event_has(self) -> None:
        if self.table or self.changed:
            raise ValueError("'table' and 'changed' are for source dynamodb: an event tells one state only")
        if self.old:
            raise ValueError(
                "'old' is not for source eventbridge: an event tells one state only; write 'new'"
            )


_WITH_TABLES = {Source.DYNAMODB, Source.KAFKA}


def _usual(source: Source) -> str:
    """The field by which most rules of *source* name what they are about."""
    usual = {Source.DYNAMODB: "'table'", Source.EVENTBRIDGE: "'detail_type'", Source.KAFKA: "'table'"}
    return usual.get(source, "'entity' or 'channel'")
