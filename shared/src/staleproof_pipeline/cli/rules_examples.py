"""`staleproof rules test` and `staleproof rules coverage`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from staleproof.errors import EventError
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.cli.kafka_option import kafka_schemas, reading_of
from staleproof_pipeline.cli.printing import as_json, console, table
from staleproof_pipeline.rules import checking, given, loader
from staleproof_pipeline.rules.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from staleproof_pipeline.rules.checking import Result
    from staleproof_pipeline.rules.ruleset import Ruleset
    from staleproof_pipeline.sources.kafka import Reading

WHOLE = 100

TEST_EXAMPLES = """\b
Examples:
  staleproof rules test rules.yaml
  staleproof rules test rules.yaml --json
  staleproof rules test rules.yaml --kafka-schemas schemas.json
\b
Exit code 0: all examples are as expected; 1: one is not, or there is none; 2: the file is wrong.
"""
COVERAGE_EXAMPLES = """\b
Examples:
  staleproof rules coverage rules.yaml
  staleproof rules coverage rules.yaml --min 100
  staleproof rules coverage rules.yaml events/*.json
\b
Exit code 0: enough rules are shown; 1: fewer than --min; 2: the file, or an event, is wrong.
"""


@click.command("test", epilog=TEST_EXAMPLES)
@click.argument("file", envvar="STALEPROOF_RULES")
@kafka_schemas
@click.option("--json", "as_document", is_flag=True, help="Print one JSON object instead of a table.")
@click.pass_context
def test(context: click.Context, *, file: str, kafka_schemas: Path | None, as_document: bool) -> None:
    """Hold the rules in FILE to the examples in it.

    An example gives a change and expects rules, tags and keys, or nothing. What differs is told as in a diff: '-' was
    expected and does not fall, '+' falls and was not expected.
    """
    rules = loader.load(file)
    results = checking.check(rules, Path(file).parent, reading_of(kafka_schemas))
    covered = checking.coverage(rules, results)
    if as_document:
        as_json(_document(file, rules, results, covered))
    else:
        _print(file, results, covered)
    context.exit(int(not results or not all(each.passed for each in results)))


def _document(
    file: str, rules: Ruleset, results: Sequence[Result], covered: Mapping[str, int]
) -> dict[str, object]:
    told = [
        {
            "name": each.name,
            "passed": each.passed,
            "differences": each.differences,
            "fallen": each.fallen._asdict() if each.fallen else None,
        }
        for each in results
    ]
    never = [name for name, count in covered.items() if not count]
    return {"file": file, "digest": rules.digest, "examples": told, "never_matched": never}


def _print(file: str, results: Sequence[Result], covered: Mapping[str, int]) -> None:
    if results:
        table(("result", "example", "rules", "falls"), [row for each in results for row in _rows(each)])
    failed = sum(not each.passed for each in results)
    never = [name for name, count in covered.items() if not count]
    console().print(f"{file}: {len(results) - failed} passed, {failed} failed", markup=False)
    if not results:
        console().print("there are no examples; add some under 'examples:'", markup=False)
    if never:
        console().print(f"never matched: {', '.join(never)}", markup=False)


def _rows(result: Result) -> Iterator[tuple[str, str, str, str]]:
    fallen = result.fallen
    falls = [*fallen.tags, *fallen.keys, *(["everything"] if fallen.clear else [])] if fallen else []
    rules = ", ".join(fallen.rules) if fallen else ""
    yield "passed" if result.passed else "failed", result.name, rules, ", ".join(falls) or "nothing"
    for difference in result.differences:
        yield "", f"  {difference}", "", ""


@click.command("coverage", epilog=COVERAGE_EXAMPLES)
@click.argument("file", envvar="STALEPROOF_RULES")
@click.argument("events", nargs=-1)
@click.option(
    "--min", "least", type=click.IntRange(0, WHOLE), default=0, help="Percent of the rules that must match."
)
@kafka_schemas
@click.option("--json", "as_document", is_flag=True, help="Print one JSON object instead of a table.")
@click.pass_context
def coverage(
    context: click.Context,
    *,
    file: str,
    events: tuple[str, ...],
    least: int,
    kafka_schemas: Path | None,
    as_document: bool,
) -> None:
    """Say which rules in FILE the examples in it match, and those in EVENTS, and which none of them does."""
    rules = loader.load(file)
    reading = reading_of(kafka_schemas)
    counts = Counter(checking.coverage(rules, checking.check(rules, Path(file).parent, reading)))
    for path in events:
        counts.update(_fired(rules, Path(path), reading))
    matched = sum(bool(counts[rule.name]) for rule in rules.file.rules)
    percent = WHOLE * matched / len(rules)
    if as_document:
        told = {rule.name: counts[rule.name] for rule in rules.file.rules}
        as_json({"file": file, "digest": rules.digest, "percent": round(percent, 1), "matched": told})
    else:
        rows = [
            (str(counts[rule.name]) if counts[rule.name] else "never", rule.name) for rule in rules.file.rules
        ]
        table(("matched", "rule"), rows)
        console().print(f"{file}: {matched} of {len(rules)} rules matched, {percent:.0f} %", markup=False)
    context.exit(int(percent < least))


def _fired(rules: Ruleset, path: Path, reading: Reading) -> Counter[str]:
    try:
        changes = given.read(given.event(path), reading)
    except EventError:
        return Counter()  # what can never be read matches no rule
    return Counter(
        name for each in changes if isinstance(each, ChangeEvent) for name in explain(rules, each).fired
    )
