"""Kinds of values in the rules file: each checks itself, and says what to write instead."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from staleproof.errors import ConfigurationError
from staleproof.keys import Keyspace, Template
from staleproof.policies.duration import seconds
from staleproof_pipeline.bounds import MAX_LAG_MS
from staleproof_pipeline.change import Operation
from staleproof_pipeline.rules.operators import OPERATORS
from staleproof_pipeline.rules.paths import HEADS
from staleproof_pipeline.rules.pattern import compiled, plain

MAX_DELAY_MS = 15 * 60 * 1_000
"""As long as SQS holds a message back."""

MAX_COALESCE_MS = 60 * 1_000
"""A tag that may be stale for a minute needs no coalescing but a shorter time to live."""

CHANGE_FIELDS = (
    "id", "source", "entity", "channel", "operation", "region", "writer", "trace", "changed_ms",
    "expired", "truncated", "snapshot", "replayed", "keys", "old", "new", "detail-type", "detail",
)  # fmt: skip
"""What a whole pattern may name at the top; see `match.document`."""


def template(text: str) -> str:
    """Return *text* if it is a template over a row."""
    try:
        parsed = Template(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    for field in parsed.fields:
        if field in HEADS:
            raise ValueError(
                f"{text!r}: {{{field}}} is a whole row; name an attribute, such as {{{field}.id}}"
            )
    if parsed.ambient:
        raise ValueError(
            f"{text!r}: {{@{parsed.ambient[0]}}} is the application's; name an attribute of the row"
        )
    return text


def _path(text: str) -> str:
    template(f"{{{text}}}")
    if ":" in text:
        raise ValueError(f"{text!r} is no attribute's path; write such as 'version', without a formatter")
    return text


def _namespace(text: str) -> str:
    try:
        return Keyspace(text).namespace
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def milliseconds(text: str, field: str) -> int:
    """Return a duration such as `2s` in milliseconds."""
    try:
        return round(seconds(text, field) * 1_000)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _lag(text: str) -> str:
    if milliseconds(text, "lag") > MAX_LAG_MS:
        raise ValueError(f"{text!r} is more than an hour; a replica that lags so long is down")
    return text


def _delay(text: str) -> str:
    if not 0 < milliseconds(text, "delay") <= MAX_DELAY_MS:
        raise ValueError(f"{text!r} is not within 1ms and 15m; write how long replicas lag, such as '2s'")
    return text


def _coalesce(text: str) -> str:
    if not 0 < milliseconds(text, "coalesce") <= MAX_COALESCE_MS:
        raise ValueError(f"{text!r} is not within 1ms and 1m; write a window such as '500ms'")
    return text


def _whole_number(value: object) -> object:
    # Python takes true and 1.0 for 1.
    if isinstance(value, (bool, float)):
        raise ValueError(f"Input should be 1, not {value!r}; write version: 1")  # noqa: TRY004 - pydantic reads a ValueError
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _conditions(value: dict[str, Any]) -> dict[str, Any]:
    compiled(plain(value))
    return value


def _pattern(value: dict[str, Any]) -> dict[str, Any]:
    compiled(value, known=CHANGE_FIELDS)
    return value


_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_OPERATOR: dict[str, Any] = {
    "type": "object",
    "properties": {name: {} for name in OPERATORS},
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
_MATCHERS: dict[str, Any] = {"type": "array", "items": {"anyOf": [_SCALAR, _OPERATOR]}, "minItems": 1}
_CONDITIONS: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"anyOf": [_SCALAR, _OPERATOR, _MATCHERS, {"type": "object"}, {"type": "array"}]},
}
_PATTERN: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "properties": {name: {"anyOf": [_MATCHERS, {"type": "object"}]} for name in CHANGE_FIELDS}
    | {"$or": {"type": "array", "items": {"type": "object"}, "minItems": 2}},
    "additionalProperties": False,
}

TemplateText = Annotated[str, Field(min_length=1, max_length=1_024), AfterValidator(template)]
PathText = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_path)]
NamespaceText = Annotated[str, AfterValidator(_namespace)]
LagText = Annotated[str, AfterValidator(_lag)]
DelayText = Annotated[str, AfterValidator(_delay)]
CoalesceText = Annotated[str, AfterValidator(_coalesce)]
Version = BeforeValidator(_whole_number)
Name = Annotated[str, Field(min_length=1, max_length=256)]
Names = Annotated[
    list[Name],
    BeforeValidator(_listed, json_schema_input_type=Name | list[Name]),
    Field(max_length=100),
]
Operations = Annotated[
    list[Operation],
    BeforeValidator(_listed, json_schema_input_type=Operation | list[Operation]),
    Field(min_length=1, max_length=len(Operation)),
]
Conditions = Annotated[
    dict[str, Any], Field(max_length=100), AfterValidator(_conditions), WithJsonSchema(_CONDITIONS)
]
PatternOf = Annotated[
    dict[str, Any], Field(max_length=100), AfterValidator(_pattern), WithJsonSchema(_PATTERN)
]
