"""What a rule makes stale: tags and keys from the old row and the new one.

A template whose attribute is missing in a row gives nothing for that row: a flight without a gate concerns no gate.
That is different from a row that the stream does not tell (its view type leaves it out): then something stale may
go unnamed, and `Targets.lacking` says so.

Whoever writes a row must not decide what else of it falls: a value that makes no text costs its own text only, if the
caller collects the errors.

A template that names `{each}` is rendered once an element of the rule's list, in every row that has it: what was in
the list before and what is in it now both fall. A missing list, and an empty one, have no elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ConfigurationError, EventError, MalformedEventError, OversizedEventError
from staleproof_pipeline.bounds import MAX_ROW_VERSION, checked_key, checked_tag
from staleproof_pipeline.change import Operation
from staleproof_pipeline.errors import FieldError
from staleproof_pipeline.rules.match import matches
from staleproof_pipeline.rules.paths import HEADS, MISSING, elements, find, is_bare, scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from staleproof.keys import Template
    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.model import Derivation, Rule
    from staleproof_pipeline.rules.paths import Scope

MAX_FAN_OUT = 10_000
"""Tags, and keys, that one rule may derive from one change: a row of 400 kB could name more than a journal should."""

_TOLD_BY = {
    Operation.INSERT: frozenset({"new"}),
    Operation.MODIFY: frozenset({"old", "new"}),
    Operation.REMOVE: frozenset({"old"}),
    Operation.OTHER: frozenset[str](),
}


class Targets(NamedTuple):
    """What one rule makes stale by one change.

    Attributes:
        rule: the rule's name.
        namespace: where, or None for the deployment's own.
        tags: tag texts, each once.
        keys: key texts, each once.
        row_version: the row's version after the change, or None.
        lag_ms: how long loads of older rows are not stored.
        lacking: what the rule needs and the source did not tell; something stale may be missing here.
        soft: it becomes stale instead of gone.
        clear: the whole namespace falls.
        delay_ms: how much later it falls a second time, 0 for never.
        harden_ms: how much later what fell softly falls hard, 0 for never.
        coalesce_ms: the window within which it falls at most twice, 0 for none.
        warm: keys to be loaded again.
        shadow: nothing falls; it is reported only.
    """

    rule: str
    namespace: str | None
    tags: tuple[str, ...]
    keys: tuple[str, ...]
    row_version: int | None
    lag_ms: int
    lacking: tuple[str, ...]
    soft: bool = False
    clear: bool = False
    delay_ms: int = 0
    harden_ms: int = 0
    coalesce_ms: int = 0
    warm: tuple[str, ...] = ()
    shadow: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing falls."""
        return not (self.tags or self.keys or self.clear)


def derive(
    rule: Rule, change: ChangeEvent, *, shadow: bool = False, errors: list[EventError] | None = None
) -> Targets:
    """Return what *rule* makes stale by *change*, which it matches.

    Args:
        rule: the rule.
        change: the change.
        shadow: nothing of the file is applied.
        errors: takes what would be raised; then what can be derived is, and the rest is not.

    Raises:
        MalformedEventError: an attribute has no text (a list, a set, a map), or nothing can be derived because the
            stream leaves out the row that the rule needs.
        OversizedEventError: it makes more stale than `MAX_FAN_OUT`, or a text is too long for a tag or a key.
    """
    met: list[EventError] = []
    targets = _targets(rule, change, met, shadow=rule.shadow or shadow)
    named = targets.tags or targets.keys or change.snapshot  # of thousands of rows that were there already
    if targets.lacking and not named:
        met.append(
            MalformedEventError(
                f"rule {rule.name!r} needs {', '.join(targets.lacking)} of {change.entity!r}, which its source "
                f"does not tell; {change.source.remedy}, or derive from {{keys.…}}"
            )
        )
    if met and errors is None:
        raise met[0]
    if errors is not None:
        errors += met
    return targets


def _targets(rule: Rule, change: ChangeEvent, met: list[EventError], *, shadow: bool) -> Targets:
    rows = _rows(rule, change, met)
    tags, keys, warm = (
        _rendered(derivations, rows, change, check, met)
        for derivations, check in zip(rule.templates, _CHECKS, strict=True)
    )
    # A table that was emptied names none of its rows: what the rule derives from a row can only fall as a whole.
    clear = rule.clear or (change.truncated and bool(rule.fields))
    row_version = _row_version(rule, change)
    return Targets(
        rule=rule.name,
        namespace=rule.namespace,
        tags=tags,
        keys=keys,
        row_version=row_version,
        lag_ms=rule.lag_ms if row_version is not None else 0,
        lacking=() if clear else tuple(_lacking(rule, change)),
        soft=rule.soft,
        clear=clear,
        delay_ms=rule.delay_ms,
        harden_ms=rule.harden_ms,
        coalesce_ms=rule.coalesce_ms,
        warm=keys if rule.warm is True else warm,
        shadow=shadow,
    )


class _Row(NamedTuple):
    """One row's names, and the same names once an element of the rule's list."""

    names: Mapping[str, Any]
    elements: Sequence[Mapping[str, Any]]


_CHECKS: tuple[Callable[[str], object], ...] = (checked_tag, checked_key, checked_key)


def _rows(rule: Rule, change: ChangeEvent, met: list[EventError]) -> list[_Row]:
    return [_Row(scope.names, _elements(rule, scope, met)) for scope in scopes(change)]


def _elements(rule: Rule, scope: Scope, met: list[EventError]) -> list[Mapping[str, Any]]:
    if rule.each is None:
        return []
    found = elements(rule.each, scope.names)
    if len(found) > MAX_FAN_OUT:
        met.append(
            OversizedEventError(
                f"rule {rule.name!r}: {rule.each} has {len(found)} elements, more than {MAX_FAN_OUT}; give what is so "
                "large one tag of its own"
            )
        )
        return []
    return [{**scope.names, "each": each} for each in found]


def _rendered(
    derivations: Sequence[Derivation],
    rows: Sequence[_Row],
    change: ChangeEvent,
    check: Callable[[str], object],
    met: list[EventError],
) -> tuple[str, ...]:
    wanted = [each for each in derivations if each.when is None or matches(each.when, change)]
    fillings = (
        (each.template, names)
        for each in wanted
        for row in rows
        for names in (row.elements if each.each else (row.names,))
    )
    texts: dict[str, None] = {}
    for template, names in fillings:
        try:
            text = _text(template, names, check)
        except EventError as error:
            met.append(error)
        else:
            if text is not None:
                texts[text] = None
    if len(texts) > MAX_FAN_OUT:
        met.append(
            OversizedEventError(
                f"a rule names {len(texts)} texts by one change, more than {MAX_FAN_OUT}; use a tag that they share"
            )
        )
        return ()
    return tuple(texts)


def _text(template: Template, names: Mapping[str, Any], check: Callable[[str], object]) -> str | None:
    for field in template.fields:
        if find(field, names) is MISSING:
            return None
    try:
        text = template.render(names)
        if not text.isascii():
            text.encode()
    except ConfigurationError as error:
        raise FieldError(f"template {template.source!r}: {error}", template.source) from error
    except UnicodeEncodeError as error:
        raise FieldError(
            f"template {template.source!r}: {error}; write Unicode text", template.source
        ) from error
    check(text)
    return text


def _lacking(rule: Rule, change: ChangeEvent) -> Iterator[str]:
    told = _TOLD_BY[Operation.MODIFY if change.snapshot else change.operation]
    missing = told - change.images
    rowless = change.old is None and change.new is None and not change.images
    if not (missing or rowless or change.untold) and change.keys:
        return
    for field in rule.fields:
        head = field.partition(".")[0]
        bare = is_bare(field)
        unknown = head in missing or (head == "keys" and not change.keys) or _left_out(field, change)
        if unknown or (bare and (missing or rowless) and find(field, change.keys) is MISSING):
            yield f"{{{field}}}"


def _left_out(field: str, change: ChangeEvent) -> bool:
    path = field if is_bare(field) else field.removeprefix("new.")
    return path.partition(".")[0] in change.untold


def _row_version(rule: Rule, change: ChangeEvent) -> int | None:
    """The version after the change. A removal leaves no row: then one more than the last, so that it is older too.

    A value that is no version costs the fence against lagging replicas, never the invalidation.
    """
    if rule.row_version is None:
        return None
    bare = is_bare(rule.row_version)
    paths = [f"new.{rule.row_version}", f"old.{rule.row_version}"] if bare else [rule.row_version]
    rows = {"new": change.new, "old": change.old, "keys": change.keys}
    value = next((found for path in paths if (found := find(path, rows)) is not MISSING), None)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    version = value + 1 if bare and change.new is None else value
    return version if 0 <= version <= MAX_ROW_VERSION else None


__all__ = ["HEADS", "Targets", "derive"]
