"""Examples in the rules file: a change, and what it is expected to make stale.

- name: a price that changes concerns the product
  given: {table: Products, keys: {sku: a1}, old: {price: 5}, new: {price: 6}}
  expect: {rules: [price], tags: ["product:a1"]}
- name: what the warehouse notes to itself concerns nobody
  given: {file: events/note.json}
  expect: nothing
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from staleproof_pipeline.change import MAX_EPOCH_MS, Operation, Source
from staleproof_pipeline.rules.condition import Shape

MAX_EXPECTED = 1_000

Texts = Annotated[list[str], Field(max_length=MAX_EXPECTED)]
Row = dict[str, Any]


class Given(Shape):
    """A change, in short; or the file of a raw record as its source delivers it.

    Attributes:
        file: JSON of an event, relative to the rules file; then nothing else is given but *record*.
        record: which of the records of the file, from 0; all of them if omitted.
        source: as in `when`.
        entity: what changed: `table` and `detail_type` are other names for it.
        table: the same, of `dynamodb` and `kafka`.
        detail_type: the same, of `eventbridge`.
        channel: what carried it.
        operation: what was done; if omitted, what the rows tell.
        keys: the key attributes.
        old: the row before.
        new: the row after. Attributes of `keys` need not be repeated in the rows.
        images: which rows the source tells, both if omitted.
        region: where it happened.
        changed_ms: when, in UTC milliseconds.
        expired: whether the row went by its time to live.
        truncated: whether the whole table was emptied at once.
        snapshot: whether the source lists what was there already.
        replayed: whether an archive sends it again.
    """

    file: str | None = Field(default=None, min_length=1, max_length=1_024)
    record: int | None = Field(default=None, ge=0)
    source: Source | None = None
    entity: str | None = None
    table: str | None = None
    detail_type: str | None = None
    channel: str = ""
    operation: Operation | None = None
    keys: Row = Field(default={})
    old: Row | None = None
    new: Row | None = None
    images: list[Literal["old", "new"]] = Field(default=["old", "new"])
    region: str = "eu-west-1"
    changed_ms: int = Field(default=0, ge=0, le=MAX_EPOCH_MS)
    expired: bool = False
    truncated: bool = False
    snapshot: bool = False
    replayed: bool = False

    @model_validator(mode="after")
    def _says_what_changed(self) -> Self:
        if self.file is not None:
            if self.model_fields_set - {"file", "record"}:
                raise ValueError("'file' is a whole event; remove the other fields, or 'file'")
            return self
        if len([each for each in (self.entity, self.table, self.detail_type) if each]) != 1:
            raise ValueError(
                "say what changed by one of 'table', 'detail_type' and 'entity'; or name a 'file'"
            )
        return self


class Expected(Shape):
    """What falls. What is not named here is not compared.

    Attributes:
        rules: the rules that fire, all of them.
        tags: the tags that fall, all of them.
        keys: the keys that fall, all of them.
        warm: the keys whose loading is requested, all of them.
        clear: whether the whole namespace falls.
    """

    rules: Texts | None = None
    tags: Texts | None = None
    keys: Texts | None = None
    warm: Texts | None = None
    clear: bool | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("write what falls, such as tags: ['product:a1'], or expect: nothing")
        return self


def _form(value: Any) -> str:
    return "<fall>" if isinstance(value, dict | Expected) else "<nothing>"


class Example(Shape):
    """One line of the rules' own tests.

    Attributes:
        name: says what is shown.
        given: the change.
        expect: what falls; `nothing` if no rule fires.
    """

    name: str = Field(min_length=1, max_length=200)
    given: Given
    expect: Annotated[
        Annotated[Literal["nothing"], Tag("<nothing>")] | Annotated[Expected, Tag("<fall>")],
        Discriminator(_form),
    ]

    @property
    def expected_rules(self) -> list[str]:
        """The rules that it expects to fire, as far as it says so."""
        return [] if self.expect == "nothing" else self.expect.rules or []
