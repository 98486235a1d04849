"""What is found by comparing rules with one another."""

from __future__ import annotations

import difflib
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from staleproof_pipeline.rules.breadth import broader
from staleproof_pipeline.rules.finding import Finding, Severity
from staleproof_pipeline.rules.paths import HEADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from staleproof_pipeline.rules.model import Derivation, Rule

CLOSE = 0.8
"""How alike two names are of which one is probably a slip."""


def doubled(rules: list[Rule]) -> Iterator[Finding]:
    """Rules that say the same, and rules that another one makes superfluous."""
    same = {frozenset((one.name, other.name)) for one, other in combinations(rules, 2) if _alike(one, other)}
    for one, other in combinations(rules, 2):
        if frozenset((one.name, other.name)) in same:
            what = f"rule {one.name!r} has the same conditions and makes the same stale"
            yield Finding("duplicate", Severity.WARNING, other.name, what, "remove one of them")
    for narrow, broad in permutations(rules, 2):
        if frozenset((narrow.name, broad.name)) not in same and _covered(narrow, broad):
            what = f"whatever it makes stale, rule {broad.name!r} makes stale too, whenever it applies"
            yield Finding("shadowed", Severity.WARNING, narrow.name, what, "remove it, or what they share")


def _alike(one: Rule, other: Rule) -> bool:
    return _covered(one, other) and _covered(other, one)


def _covered(narrow: Rule, broad: Rule) -> bool:
    effects = [
        (
            each.namespace,
            each.row_version,
            each.lag_ms,
            each.soft,
            each.delay_ms,
            each.harden_ms,
            each.coalesce_ms,
            each.shadow,
        )
        for each in (narrow, broad)
    ]
    if effects[0] != effects[1] or narrow.warm or narrow.clear > broad.clear or narrow.each != broad.each:
        return False
    falls = all(
        _texts(kind) <= _texts(wider) for kind, wider in zip(narrow.templates, broad.templates, strict=True)
    )
    return falls and broader(broad.when, narrow.when)


def _texts(derivations: Iterable[Derivation]) -> set[tuple[str, str]]:
    return {(each.template.source, each.when.model_dump_json() if each.when else "") for each in derivations}


def misspelt(rules: list[Rule]) -> Iterator[Finding]:
    """An attribute that one rule alone names, and that is nearly one that other rules of its entities name."""
    for rule in rules:
        own = attributes(rule)
        others = [
            each for each in rules if each is not rule and set(each.when.entities) & set(rule.when.entities)
        ]
        known = {name for each in others for name in attributes(each)}
        for name in sorted(own - known):
            close = difflib.get_close_matches(name, known - own, n=1, cutoff=CLOSE)
            if close:
                what = f"no other rule of {' and '.join(rule.when.entities)} names {name!r}; they name {close[0]!r}"
                yield Finding("misspelt", Severity.WARNING, rule.name, what, f"did you mean {close[0]!r}?")


def attributes(rule: Rule) -> set[str]:
    """The attributes of rows that a rule names."""
    paths = [*rule.fields, *rule.when.changed, rule.row_version or ""]
    parts = [path.split(".") for path in paths if path]
    named = {part[1] if part[0] in HEADS and len(part) > 1 else part[0] for part in parts}
    for conditions in (rule.when.old, rule.when.new, rule.when.keys):
        named |= {str(name).split(".")[0] for name in conditions or {}}
    return named - {"$or"}
