"""What is allowed in a rules file and probably not meant is found; what is meant is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.breadth import broader
from staleproof_pipeline.rules.finding import Finding, Severity
from staleproof_pipeline.rules.lint import lint

HERE = Path(__file__).parent


def found(*rules: str, examples: str = "") -> list[Finding]:
    """What is found in *rules*, called r0, r1 and so on."""
    lines = "".join(f"  - {{name: r{at}, {rule}}}\n" for at, rule in enumerate(rules))
    return lint(loader.loads(f"version: 1\nrules:\n{lines}{examples}"), HERE)


def codes(*rules: str) -> list[tuple[str, str]]:
    return [(each.rule, each.code) for each in found(*rules)]


@pytest.mark.parametrize(
    ("rule", "code", "severity"),
    [
        ("when: {table: F, operation: insert, old: {a: 1}}, tags: ['t:{id}']", "unreachable", Severity.ERROR),
        ("when: {table: F, operation: remove, new: {a: 1}}, tags: ['t:{id}']", "unreachable", Severity.ERROR),
        (
            "when: {table: F, operation: modify, expired: true}, tags: ['t:{id}']",
            "unreachable",
            Severity.ERROR,
        ),
        ("when: {source: kafka, table: F, expired: true}, tags: ['t:{id}']", "unreachable", Severity.ERROR),
        ("when: {table: F}, tags: ['t:{new.a}']", "one-sided", Severity.WARNING),
        ("when: {table: '*F'}, tags: [all]", "constant-tag", Severity.WARNING),
        ("when: {table: F}, tags: [all]", "constant-tag", Severity.HINT),
        ("when: {table: '*'}, tags: ['t:{id}']", "too-broad", Severity.WARNING),
        ("when: {table: '*'}, clear: true", "too-broad", Severity.ERROR),
        ("when: {table: F}, tags: [all, 't:{id}'], row_version: v, lag: 1s", "broad-fence", Severity.ERROR),
        (
            "when: {table: F}, tags: ['t:{id}'], row_version: v, lag: 1s, delay: 1s",
            "delay-and-fence",
            Severity.HINT,
        ),
    ],
)
def test_a_doubtful_rule_is_found(rule: str, code: str, severity: Severity) -> None:
    """Each kind of finding has its severity, what is there, and what to write instead."""
    finding = next(each for each in found(rule) if each.code == code)

    assert finding.severity is severity
    assert finding.what
    assert finding.fix


@pytest.mark.parametrize(
    "rule",
    [
        "when: {table: F}, tags: ['t:{id}']",
        "when: {table: F, operation: insert}, tags: ['t:{new.a}']",
        "when: {table: F}, tags: ['t:{new.a}', 't:{old.a}']",
        "when: {table: F, operation: insert, old: {a: {exists: false}}}, tags: ['t:{id}']",
        "when: {table: F, expired: true}, keys: ['t:{id}']",
        "when: {source: s3, entity: F, expired: true}, keys: ['t:{key}']",
        "when: {table: '*F', changed: [price]}, tags: [prices]",
        "when: {table: F}, tags: ['t:{id}'], row_version: v, lag: 1s",
        "when: {source: redis-stream, channel: 'jobs:*'}, tags: ['t:{id}']",
        "when: {source: eventbridge, detail_type: D}, tags: ['t:{new.a}']",
    ],
)
def test_a_rule_that_is_meant_is_left_alone(rule: str) -> None:
    """No finding without a reason."""
    assert found(rule) == []


def test_rules_that_say_the_same_are_found() -> None:
    """The later of two is told, whatever the order in which they say it."""
    one = "when: {table: F, operation: [insert, modify]}, tags: ['a:{id}', 'b:{id}']"
    other = "when: {table: F, operation: [modify, insert]}, tags: ['b:{id}', 'a:{id}']"

    assert codes(one, other) == [("r1", "duplicate")]


def test_a_rule_that_another_covers_is_found() -> None:
    """What a narrower rule makes stale, a broader one makes stale too, whenever the narrower applies."""
    narrow = "when: {table: prod-F, operation: modify, changed: [a]}, tags: ['t:{id}']"
    broad = "when: {table: 'prod-*', changed: [a, b]}, tags: ['t:{id}', 'u:{id}']"

    assert codes(narrow, broad) == [("r0", "shadowed")]
    assert codes(narrow, broad.replace("tags", "soft: true, tags")) == []
    assert codes(narrow, broad.replace("changed: [a, b]", "changed: [b]")) == []
    assert codes(narrow, broad.replace("'t:{id}', ", "")) == []
    assert codes(narrow.replace("tags", "warm: 'k:{id}', tags"), broad) == []


def test_a_misspelt_attribute_is_found_by_other_rules() -> None:
    """What one rule alone names and is nearly what the others name is probably a slip."""
    findings = found(
        "when: {table: F, changed: [status]}, tags: ['t:{id}']",
        "when: {table: F, changed: [statsu]}, keys: ['k:{id}']",
        "when: {table: F, new: {status: sent}}, keys: ['s:{id}']",
        "when: {table: G, changed: [statsu]}, keys: ['k:{id}']",
    )

    assert [(each.rule, each.code, each.fix) for each in findings] == [
        ("r1", "misspelt", "did you mean 'status'?")
    ]


def test_an_attribute_that_no_example_has_is_found() -> None:
    """Examples show rows; what a rule names and no row of its entity has is probably a slip."""
    given = "{table: F, keys: {id: 1}, new: {price: 1}}"
    examples = f"examples:\n  - {{name: e, given: {given}, expect: {{rules: [r0]}}}}\n"
    findings = found("when: {table: F, changed: [pirce]}, tags: ['t:{id}']", examples=examples)

    assert [(each.code, each.fix) for each in findings] == [("unknown-attribute", "did you mean 'price'?")]


def test_a_rule_that_no_example_shows_is_hinted_at() -> None:
    """Once there are examples, each rule should have one."""
    examples = "examples:\n  - name: e\n    given: {table: F, keys: {id: 1}}\n    expect: {rules: [r0]}\n"
    findings = found(
        "when: {table: F}, tags: ['t:{id}']", "when: {table: G}, tags: ['t:{id}']", examples=examples
    )

    assert [(each.rule, each.code, each.severity) for each in findings] == [("r1", "unshown", Severity.HINT)]


def test_findings_come_in_the_order_of_the_file_the_worst_first() -> None:
    """Whoever corrects a file goes from top to bottom."""
    severities = [
        each.severity
        for each in found(
            "when: {table: '*', operation: insert, old: {a: 1}}, tags: ['t:{new.b}'], clear: true"
        )
    ]

    assert severities[0] is Severity.ERROR
    assert severities == sorted(severities, key=list(Severity).index)


@pytest.mark.parametrize(
    ("broad", "narrow", "expected"),
    [
        ("table: '*'", "table: F", True),
        ("table: 'p-*'", "table: 'p-F*'", True),
        ("table: 'p-F*'", "table: 'p-*'", False),
        ("table: 'a*b'", "table: 'a*'", False),
        ("table: [F, G]", "table: G", True),
        ("table: F, region: eu-*", "table: F, region: eu-west-1", True),
        ("table: F, region: eu-*", "table: F", False),
        ("table: F, expired: true", "table: F", False),
        ("table: F", "table: F, expired: true", True),
        ("table: F, new: {a: 1}", "table: F, new: {a: 1, b: 2}", True),
        ("table: F, new: {a: 1}", "table: F, new: {a: 2}", False),
        ("table: F, changed: [a]", "table: F", False),
        ("source: kafka, table: F", "table: F", False),
        ("source: kafka, channel: 'a*'", "source: kafka, channel: ab", True),
        ("source: kafka, channel: 'a*'", "source: kafka, entity: x", False),
    ],
)
def test_only_what_is_certainly_broader_is(broad: str, narrow: str, expected: bool) -> None:
    """In doubt, neither of two conditions is broader."""
    rules = "".join(
        f"  - {{name: {name}, when: {{{when}}}, tags: [x]}}\n" for name, when in (("a", broad), ("b", narrow))
    )
    text = f"version: 1\nrules:\n{rules}"
    one, other = loader.loads(text).file.rules

    assert broader(one.when, other.when) is expected
    assert broader(one.when, one.when)
