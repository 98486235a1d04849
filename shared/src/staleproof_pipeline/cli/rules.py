"""`staleproof rules`: looks at a rules file before a pipeline does."""

from __future__ import annotations

import click

from staleproof_pipeline.cli.printing import as_json
from staleproof_pipeline.cli.rules_examples import coverage, test
from staleproof_pipeline.cli.rules_explain import explain
from staleproof_pipeline.cli.rules_lint import lint
from staleproof_pipeline.rules import loader

EXAMPLES = """\b
Examples:
  staleproof rules lint rules.yaml
  staleproof rules test rules.yaml
  staleproof rules explain rules.yaml event.json
  staleproof rules coverage rules.yaml --min 100
  staleproof rules schema > rules.schema.json
"""


@click.group("rules", epilog=EXAMPLES)
def group() -> None:
    """Check, test and explain a rules file: which change makes which tags and keys stale.

    Exit code 2: the file is wrong, or cannot be read; each mistake has a line with its place in the file.
    """


SCHEMA_EXAMPLES = """\b
Example:
  staleproof rules schema > rules.schema.json
\b
An editor that knows YAML schemas completes and checks a file that begins with the line
  # yaml-language-server: $schema=rules.schema.json
"""


@group.command("schema", epilog=SCHEMA_EXAMPLES)
def schema() -> None:
    """Print the JSON Schema of rules files, for editors."""
    as_json(loader.schema())


for _command in (lint, test, explain, coverage):
    group.add_command(_command)
