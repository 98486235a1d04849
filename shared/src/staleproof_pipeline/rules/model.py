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
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from staleproof.keys import Template
from staleproof_pipeline.change import Source
from staleproof_pipeline.rules.condition import Condition, Shape, When
from staleproof_pipeline.rules.example import Example  # noqa: TC001 - pydantic reads it
from staleproof_pipeline.rules.kinds import (
    CoalesceText,
    DelayText,
    LagText,
    NamespaceText,
    PathText,
    TemplateText,
    Version,
    milliseconds,
)
from staleproof_pipeline.rules.operators import PlacedError
from staleproof_pipeline.rules.paths import is_bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_RULES = 500
MAX_TEMPLATES = 32
"""Tags, and keys, that one rule may derive."""

MAX_EXAMPLES = 1_000
ELEMENT = "each"
"""The name that templates of a rule with `each` have for an element."""

CHOICES = ("<text>", "<conditional>")
"""Which of two forms was read: a part of an error's path that stands for no field, as the brackets say."""


class Conditional(Shape):
    """A template that is rendered under a condition only.

    Attributes:
        template: of the tag or key.
        when: the condition.
    """

    template: TemplateText
    when: Condition


class Derivation(NamedTuple):
    """A parsed template of a rule.

    Attributes:
        template: the template.
        when: the condition under which it is rendered, None for always.
        each: whether it names an element, so that it is rendered once an element.
    """

    template: Template
    when: Condition | None
    each: bool


def _form(value: Any) -> str:
    return CHOICES[isinstance(value, Conditional) or (isinstance(value, dict) and "template" in value)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Derived = Annotated[
    Annotated[TemplateText, Tag(CHOICES[0])] | Annotated[Conditional, Tag(CHOICES[1])], Discriminator(_form)
]
_WarmKeys = Annotated[
    list[TemplateText],
    BeforeValidator(_as_list, json_schema_input_type=TemplateText | list[TemplateText]),
    Field(min_length=1, max_length=MAX_TEMPLATES),
]
Warm = Annotated[
    Annotated[bool, Tag("<yes>")] | Annotated[_WarmKeys, Tag("<keys>")],
    Discriminator(lambda value: "<yes>" if isinstance(value, bool) else "<keys>"),
]


class Rule(Shape):
    """What a change makes stale.

    Attributes:
        name: tells rules apart in journals, logs and dead letters.
        description: for people.
        when: the changes it concerns.
        tags: templates of tags; `{carrier}` gives one tag a row in which it has a value. One that is rendered under a
            condition only is written `{template: ..., when: ...}`.
        keys: templates of keys, likewise.
        each: path of a list, a set or a map of the row: templates that name `{each}` or `{each.sku}` give one text an
            element.
        namespace: where to invalidate, the deployment's own if omitted.
        row_version: path of the row's version, a number that grows with every change. Loads under the derived tags
            that read an older row are not stored for *lag*, so derive only tags of this very row beside it.
        lag: how long a replica of the table may answer with an older row, such as `2s`.
        soft: what falls becomes stale instead of gone, for policies that serve stale values.
        clear: forget the whole namespace.
        delay: invalidate a second time so much later, such as `2s`, when replicas have caught up.
        harden: of a soft rule: what fell softly falls hard so much later, such as `5m`, and up to a quarter more, other
            changes at other times. So nothing stale is served for longer.
        coalesce: of many changes within this window, such as `500ms`, apply the first at once and the others
            together at its end.
        warm: request that what fell be loaded again: `true` for the derived keys, or templates of keys.
        shadow: apply nothing, and report what would fall.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    description: str = Field(default="", max_length=1_024)
    when: When
    tags: Annotated[list[Derived], Field(max_length=MAX_TEMPLATES)] = Field(default=[])
    keys: Annotated[list[Derived], Field(max_length=MAX_TEMPLATES)] = Field(default=[])
    each: PathText | None = None
    namespace: NamespaceText | None = None
    row_version: PathText | None = None
    lag: LagText | None = None
    soft: bool = False
    clear: bool = False
    delay: DelayText | None = None
    harden: DelayText | None = None
    coalesce: CoalesceText | None = None
    warm: Warm = False
    shadow: bool = False

    @cached_property
    def templates(self) -> tuple[tuple[Derivation, ...], tuple[Derivation, ...], tuple[Derivation, ...]]:
        """The parsed tags, keys, and keys to warm."""
        warm = self.warm if isinstance(self.warm, list) else []
        return (
            tuple(map(self._parsed, self.tags)),
            tuple(map(self._parsed, self.keys)),
            tuple(map(self._parsed, warm)),
        )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The paths that its templates name, each once."""
        named = [field for kind in self.templates for each in kind for field in each.template.fields]
        paths = [self.each if field.partition(".")[0] == ELEMENT and self.each else field for field in named]
        return tuple(dict.fromkeys(paths))

    @cached_property
    def lag_ms(self) -> int:
        """The lag in milliseconds."""
        return milliseconds(self.lag, "lag") if self.lag else 0

    @cached_property
    def delay_ms(self) -> int:
        """The delay in milliseconds, 0 for none."""
        return max(1, milliseconds(self.delay, "delay")) if self.delay else 0

    @cached_property
    def harden_ms(self) -> int:
        """How much later it falls hard, in milliseconds, 0 for never."""
        return max(1, milliseconds(self.harden, "harden")) if self.harden else 0

    @cached_property
    def coalesce_ms(self) -> int:
        """The window in milliseconds, 0 for none."""
        return max(1, milliseconds(self.coalesce, "coalesce")) if self.coalesce else 0

    def _parsed(self, item: str | Conditional) -> Derivation:
        text, when = (item, None) if isinstance(item, str) else (item.template, item.when)
        parsed = Template(text)
        named = any(hole.head == ELEMENT for hole in parsed.holes)
        return Derivation(parsed, when, each=self.each is not None and named)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.tags and not self.keys and not self.clear:
            raise ValueError("a rule needs 'tags' or 'keys'; without them it makes nothing stale")
        if (self.row_version is None) != (self.lag is None):
            raise ValueError("'row_version' and 'lag' go together; give both or neither")
        for problem in (*_effects_at_odds(self), *_elements_at_odds(self)):
            raise ValueError(problem)
        if self.when.source is Source.EVENTBRIDGE:
            self._needs_no_old_row()
        return self

    def _needs_no_old_row(self) -> None:
        for field in [*self.fields, self.row_version or ""]:
            if field.partition(".")[0] == "old":
                raise ValueError(
                    f"{{{field}}}: an event tells no old row; write {{{field.partition('.')[2]}}}"
                )


def _effects_at_odds(rule: Rule) -> Iterator[str]:
    if rule.warm is True and not rule.keys:
        yield "'warm: true' loads the derived keys again, and there are none; write warm: 'product:{id}'"
    if rule.clear and (rule.row_version or rule.warm):
        yield "'clear' forgets the whole namespace; remove 'row_version', 'lag' and 'warm'"
    if rule.coalesce and rule.row_version:
        yield "'coalesce' lets one change stand for others, and 'row_version' is one change's; give one of both"
    if rule.harden and not rule.soft:
        yield "'harden' is for what fell softly; add soft: true, or write delay"
    if rule.coalesce and rule.harden:
        yield "'harden' is stored for every change, and 'coalesce' lets one stand for others; give one of both"
    if rule.coalesce and rule.delay:
        yield "'coalesce' invalidates again at the end of its window; remove 'delay', or 'coalesce'"


def _elements_at_odds(rule: Rule) -> Iterator[str]:
    if rule.each is not None and not any(each.each for kind in rule.templates for each in kind):
        yield f"'each' names {rule.each!r}, and no template names its elements; write such as 'product:{{each.sku}}'"


class RuleFile(Shape):
    """The whole file.

    Attributes:
        version: of this shape.
        shadow: apply nothing of any rule, and report what would fall.
        rules: in any order; every rule that matches applies.
        examples: changes, and what they are expected to make stale: `staleproof rules test` holds the rules to them.
    """

    version: Annotated[Literal[1], Version]
    shadow: bool = False
    rules: list[Rule] = Field(min_length=1, max_length=MAX_RULES)
    examples: Annotated[list[Example], Field(max_length=MAX_EXAMPLES)] = Field(default=[])

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _check_unique("rules", [rule.name for rule in self.rules])
        _check_unique("examples", [example.name for example in self.examples])
        return self

    @model_validator(mode="after")
    def _examples_name_rules_that_exist(self) -> Self:
        names = {rule.name for rule in self.rules}
        for at, example in enumerate(self.examples):
            for name in sorted(set(example.expected_rules) - names):
                raise PlacedError(
                    f"there is no rule {name!r}; correct the name", ("examples", at, "expect", "rules")
                )
        return self


def _check_unique(kind: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {kind} are called {name!r}; rename one")
        seen.add(name)


__all__ = ["Rule", "RuleFile", "When", "is_bare"]
