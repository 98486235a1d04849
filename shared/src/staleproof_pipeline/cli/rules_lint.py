"""`staleproof rules lint`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from staleproof_pipeline.cli.printing import as_json, console, table
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.finding import Severity
from staleproof_pipeline.rules.lint import lint as find

EXAMPLES = """\b
Examples:
  staleproof rules lint rules.yaml
  staleproof rules lint rules.yaml --strict --json
\b
Exit code 0: no errors; 1: errors, or with --strict also warnings; 2: the file is wrong.
"""


@click.command("lint", epilog=EXAMPLES)
@click.argument("file", envvar="STALEPROOF_RULES")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.pass_context
def lint(context: click.Context, *, file: str, as_document: bool, strict: bool) -> None:
    """Check FILE, and say what in it is allowed and probably not meant.

    Finds rules that never apply, that say the same or are covered by others, attributes that are probably misspelt,
    tags that too much carries, and rules that no example shows.
    """
    rules = loader.load(file)
    found = find(rules, Path(file).parent)
    counts = Counter(each.severity for each in found)
    told = {severity.value: counts[severity] for severity in Severity}
    if as_document:
        as_json(
            {
                "file": file,
                "digest": rules.digest,
                "counts": told,
                "findings": [each._asdict() for each in found],
            }
        )
    else:
        if found:
            rows = [(each.severity.value, each.rule, each.code, each.what, each.fix) for each in found]
            table(("severity", "rule", "finding", "what is there", "what to do"), rows)
        numbers = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in told.items())
        console().print(f"{file}: {len(rules)} rules; {numbers}", markup=False)
    context.exit(int(bool(counts[Severity.ERROR] or (strict and counts[Severity.WARNING]))))
