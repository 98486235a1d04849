"""The rules file, as a model. Its JSON Schema is published as `schema.json` beside it, for editors.

version: 1
rules:
  - name: flight
    when: {source: dynamodb, table: Flights, operation: [modify, remove], changed: [status]}
    tags: ["flight:{keys.flight_id}", "airline:{carrier}"]
    row_version: version
    lag: 2s
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from staleproof.errors import ConfigurationError
from staleproof.keys import Keyspace, Template
from staleproof.policies.duration import seconds
from staleproof_pipeline.bounds import MAX_LAG_MS
from staleproof_pipeline.change import Operation, Source
from staleproof_pipeline.rules.paths import HEADS, is_bare

MAX_RULES = 500
MAX_TEMPLATES = 32
"""Tags, and keys, that one rule may derive."""


def _template(text: str) -> str:
    try:
        parsed = Template(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    for field in parsed.fields:
        _whole(field, text)
    if parsed.ambient:
        raise ValueError(
            f"{text!r}: {{@{parsed.ambient[0]}}} is the application's; name an attribute of the row"
        )
    return text


def _whole(field: str, text: str) -> None:
    if field in HEADS:
        raise ValueError(f"{text!r}: {{{field}}} is a whole row; name an attribute, such as {{{field}.id}}")


def _path(text: str) -> str:
    _template(f"{{{text}}}")
    if ":" in text:
        raise ValueError(f"{text!r} is no attribute's path; write such as 'version', without a formatter")
    return text


def _namespace(text: str) -> str:
    try:
        return Keyspace(text).namespace
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _lag(text: str) -> str:
    try:
        milliseconds = seconds(text, "lag") * 1_000
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    if milliseconds > MAX_LAG_MS:
        raise ValueError(f"{text!r} is more than an hour; a replica that lags so long is down")
    return text


def _whole_number(value: object) -> object:
    # Python takes true and 1.0 for 1.
    if isinstance(value, (bool, float)):
        raise ValueError(f"Input should be 1, not {value!r}; write version: 1")  # noqa: TRY004 - pydantic reads a ValueError
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


TemplateText = Annotated[str, Field(min_length=1, max_length=1_024), AfterValidator(_template)]
PathText = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_path)]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]
Patterns = Annotated[
    list[Pattern],
    BeforeValidator(_listed, json_schema_input_type=Pattern | list[Pattern]),
    Field(max_length=100),
]
Operations = Annotated[
    list[Operation],
    BeforeValidator(_listed, json_schema_input_type=Operation | list[Operation]),
    Field(min_length=1, max_length=len(Operation)),
]


class Shape(BaseModel):
    """A part of the file: it does not change, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class When(Shape):
    """Which changes a rule concerns: all that is named must hold.

    Attributes:
        source: `dynamodb` or `eventbridge`.
        table: tables by name; `*` stands for any characters, as in `prod-*-Flights`.
        detail_type: events by detail-type, likewise.
        operation: any of these; all if omitted.
        changed: at least one of these attributes differs, or the row came or went; any change if omitted.
    """

    source: Source = Source.DYNAMODB
    table: Patterns = []
    detail_type: Patterns = []
    operation: Operations = list(Operation)
    changed: Annotated[list[PathText], Field(max_length=100)] = []

    @property
    def entities(self) -> list[str]:
        """The patterns that an entity's name must match."""
        return self.table if self.source is Source.DYNAMODB else self.detail_type

    @model_validator(mode="after")
    def _names_what_its_source_has(self) -> Self:
        stream = self.source is Source.DYNAMODB
        if not self.entities:
            name = "table" if stream else "detail_type"
            raise ValueError(f"a rule for {self.source} needs {name!r}; write '*' for all of them")
        if stream and self.detail_type:
            raise ValueError("'detail_type' is for source eventbridge; remove it, or set source: eventbridge")
        if not stream and (self.table or self.changed):
            raise ValueError("'table' and 'changed' are for source dynamodb: an event tells one state only")
        return self


class Rule(Shape):
    """What a change makes stale.

    Attributes:
        name: tells rules apart in journals, logs and dead letters.
        description: for people.
        when: the changes it concerns.
        tags: templates of tags; `{carrier}` gives one tag a row in which it has a value.
        keys: templates of keys.
        namespace: where to invalidate, the deployment's own if omitted.
        row_version: path of the row's version, a number that grows with every change. Loads under the derived tags
            that read an older row are not stored for *lag*, so derive only tags of this very row beside it.
        lag: how long a replica of the table may answer with an older row, such as `2s`.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = Field(default="", max_length=1_024)
    when: When
    tags: Annotated[list[TemplateText], Field(max_length=MAX_TEMPLATES)] = []
    keys: Annotated[list[TemplateText], Field(max_length=MAX_TEMPLATES)] = []
    namespace: Annotated[str, AfterValidator(_namespace)] | None = None
    row_version: PathText | None = None
    lag: Annotated[str, AfterValidator(_lag)] | None = None

    @cached_property
    def templates(self) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
        """The parsed tags and keys."""
        return tuple(map(Template, self.tags)), tuple(map(Template, self.keys))

    @cached_property
    def lag_ms(self) -> int:
        """The lag in milliseconds."""
        return round(seconds(self.lag, "lag") * 1_000) if self.lag else 0

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.tags and not self.keys:
            raise ValueError("a rule needs 'tags' or 'keys'; without them it makes nothing stale")
        if (self.row_version is None) != (self.lag is None):
            raise ValueError("'row_version' and 'lag' go together; give both or neither")
        if self.when.source is Source.EVENTBRIDGE:
            self._needs_no_old_row()
        return self

    def _needs_no_old_row(self) -> None:
        templates = [template for kind in self.templates for template in kind]
        fields = [field for template in templates for field in template.fields]
        for field in [*fields, self.row_version or ""]:
            if field.partition(".")[0] == "old":
                raise ValueError(
                    f"{{{field}}}: an event tells no old row; write {{{field.partition('.')[2]}}}"
                )


class RuleFile(Shape):
    """The whole file.

    Attributes:
        version: of this shape.
        rules: in any order; every rule that matches applies.
    """

    version: Annotated[Literal[1], BeforeValidator(_whole_number)]
    rules: list[Rule] = Field(min_length=1, max_length=MAX_RULES)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(f"two rules are called {rule.name!r}; rename one")
            seen.add(rule.name)
        return self


__all__ = ["Rule", "RuleFile", "When", "is_bare"]
