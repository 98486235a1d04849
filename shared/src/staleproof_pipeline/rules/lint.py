"""What is allowed in a rules file and probably not meant. Each finding says what, what follows from it, and the fix."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.rules import given
from staleproof_pipeline.rules.finding import Finding, Severity
from staleproof_pipeline.rules.lint_pairs import attributes, doubled, misspelt
from staleproof_pipeline.rules.match import concerns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staleproof_pipeline.rules.model import Rule
    from staleproof_pipeline.rules.ruleset import Ruleset

MAX_TOLD = 200
"""Findings of one file."""

_COVERS_ALL = "*"


def lint(rules: Ruleset, folder: Path) -> list[Finding]:
    """Return what is found in *rules*, whose file lies in *folder*: by rule, the worst first."""
    file = rules.file.rules
    found = [finding for rule in file for check in _ONE for finding in check(rule)]
    found += [*doubled(file), *misspelt(file), *_unknown(rules, folder), *_unshown(rules)]
    order = {rule.name: at for at, rule in enumerate(file)}
    worst = list(Severity)
    return sorted(found, key=lambda each: (order[each.rule], worst.index(each.severity), each.code))[
        :MAX_TOLD
    ]


def _unreachable(rule: Rule) -> Iterator[Finding]:
    when = rule.when
    operations = set(when.operation)
    problems = {
        "'old' has conditions and only inserted rows are meant: these have no old row": (
            when.old and operations == {Operation.INSERT} and not _absent(when.old)
        ),
        "'new' has conditions and only removed rows are meant: these have no new row": (
            when.new and operations == {Operation.REMOVE} and not _absent(when.new)
        ),
        "'expired' rows are removed, and 'remove' is not among the operations": (
            when.expired and Operation.REMOVE not in operations
        ),
        f"dynamodb and s3 remove by time to live, and {when.source} does not tell": (
            when.expired and when.source not in {Source.DYNAMODB, Source.S3}
        ),
    }
    for what, holds in problems.items():
        if holds:
            yield Finding(
                "unreachable", Severity.ERROR, rule.name, what, "correct the condition, or remove the rule"
            )


def _absent(conditions: dict[str, object]) -> bool:
    """Say whether *conditions* want something not to be there, which a missing row fulfils."""
    return "exists" in str(conditions)


def _one_sided(rule: Rule) -> Iterator[Finding]:
    """A template of the new row alone forgets where a row was before."""
    if rule.when.source is Source.EVENTBRIDGE or not set(rule.when.operation) & {
        Operation.MODIFY,
        Operation.REMOVE,
    }:
        return
    fields = {field for field in rule.fields if field.startswith("new.")}
    for field in sorted(field for field in fields if f"old.{field[4:]}" not in rule.fields):
        yield Finding(
            "one-sided",
            Severity.WARNING,
            rule.name,
            f"{{{field}}} names the value after a change only; what shows the value before it stays stale",
            f"write {{{field[4:]}}}, which is both",
        )


def _constant(rule: Rule) -> Iterator[Finding]:
    for each in rule.templates[0]:
        if not each.template.fields and not rule.when.changed and not _valued(rule):
            yield Finding(
                "constant-tag",
                Severity.WARNING if any("*" in name for name in rule.when.entities) else Severity.HINT,
                rule.name,
                f"tag {each.template.source!r} names no attribute: every change of {_about(rule)} makes stale whatever "
                "carries it",
                "narrow 'when' by 'changed' or values, or name an attribute",
            )


def _valued(rule: Rule) -> bool:
    when = rule.when
    return any(
        each is not None
        for each in (when.old, when.new, when.keys, when.pattern, when.truncated, when.expired)
    )


def _about(rule: Rule) -> str:
    return " and ".join(rule.when.entities)


def _too_broad(rule: Rule) -> Iterator[Finding]:
    if _COVERS_ALL not in rule.when.entities or rule.when.channel or _valued(rule):
        return
    severity = Severity.ERROR if rule.clear else Severity.WARNING
    falls = "forgets the whole namespace" if rule.clear else "applies"
    yield Finding(
        "too-broad",
        severity,
        rule.name,
        f"every change of every {rule.when.source} entity {falls}: new tables are meant by it too",
        "name the entities",
    )


def _fenced_broadly(rule: Rule) -> Iterator[Finding]:
    """A row's version must fence tags of this row only: other rows' loads have lower versions and are right."""
    if rule.row_version is None:
        return
    for each in rule.templates[0]:
        if not each.template.fields or each.each:
            yield Finding(
                "broad-fence",
                Severity.ERROR,
                rule.name,
                f"tag {each.template.source!r} is shared by rows, and 'row_version' is one row's: loads of other rows "
                f"under it are not stored for {rule.lag}",
                "move the tag into a rule without 'row_version'",
            )


def _doubly_safe(rule: Rule) -> Iterator[Finding]:
    if rule.delay and rule.row_version:
        yield Finding(
            "delay-and-fence",
            Severity.HINT,
            rule.name,
            "'row_version' and 'lag' keep old rows of replicas out already; 'delay' invalidates once more",
            "remove 'delay'",
        )


def _unknown(rules: Ruleset, folder: Path) -> Iterator[Finding]:
    """An attribute that no example's row has, although examples show rows of the entity."""
    rows = _shown(rules, folder)
    for rule in rules.file.rules:
        known = {
            name
            for change in rows
            if concerns(rule.when, change.source, change.entity, change.channel)
            for name in _names(change)
        }
        for name in sorted(attributes(rule) - known) if known else ():
            close = difflib.get_close_matches(name, known, n=1)
            yield Finding(
                "unknown-attribute",
                Severity.WARNING,
                rule.name,
                f"no example of {_about(rule)} has an attribute {name!r}",
                f"did you mean {close[0]!r}?" if close else "show it in an example, or correct its name",
            )


def _shown(rules: Ruleset, folder: Path) -> list[ChangeEvent]:
    shown: list[ChangeEvent] = []
    for example in rules.file.examples:
        try:
            shown += [each for each in given.parts(example.given, folder) if isinstance(each, ChangeEvent)]
        except Exception:  # noqa: BLE001, S112 - `rules test` tells what is wrong with an example
            continue
    return shown


def _names(change: ChangeEvent) -> set[str]:
    return {str(name) for row in (change.keys, change.old or {}, change.new or {}) for name in row}


def _unshown(rules: Ruleset) -> Iterator[Finding]:
    shown = {name for example in rules.file.examples for name in example.expected_rules}
    for rule in rules.file.rules:
        if rules.file.examples and rule.name not in shown:
            what = "no example expects it to fire"
            yield Finding(
                "unshown",
                Severity.HINT,
                rule.name,
                what,
                "add an example; 'rules test' then holds the rule to it",
            )


_ONE: tuple[Callable[[Rule], Iterator[Finding]], ...] = (
    _unreachable,
    _one_sided,
    _constant,
    _too_broad,
    _fenced_broadly,
    _doubly_safe,
)
