"""`staleproof config`: every setting with its value, its origin and its meaning."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from staleproof.cli.screen import console
from staleproof.config import Settings
from staleproof.config.listing import Row, rows

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES = """\b
Examples:
  staleproof config
  staleproof config --json
  staleproof config --file staleproof.toml
  staleproof config --file none
\b
With the Parameter Store:
  staleproof config --stage prod
  staleproof config --ssm-path /shop/cache
\b
Exit code 2: something is missing, wrong or unknown; each such thing has a line.
"""


@click.command("config", epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of a table.")
@click.option("--stage", help="Stage whose parameters are read, as STALEPROOF_STAGE names it.")
@click.option("--file", help="Settings file, or none; as STALEPROOF_FILE names it.")
@click.option("--ssm-path", help="Path in the Parameter Store, or none; as STALEPROOF_SSM_PATH names it.")
def command(*, as_json: bool, stage: str | None, file: str | None, ssm_path: str | None) -> None:
    """Print every setting with its value, its origin and its meaning; secrets stay hidden.

    What is printed is what Cache.from_env() would take here: from the environment, the Parameter Store and the
    settings file. Nothing is connected to but the Parameter Store, and this only if a stage or a path is set.
    """
    options = {"stage": stage, "file": file, "ssm_path": ssm_path}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    found = rows(Settings.from_env(**given))
    if as_json:
        click.echo(json.dumps([row._asdict() for row in found], indent=2, default=str))
    else:
        _print(found)


def _print(found: Iterable[Row]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("setting", "value", "origin", "meaning"):
        table.add_column(heading, overflow="fold")
    for row in found:
        value = Text(_written(row.value), style="" if row.origin == "default" else "bold")
        table.add_row(Text(row.setting), value, Text(row.origin), Text(row.meaning))
    console().print(table)


def _written(value: Any) -> str:
    """Return *value* as it would be written in the environment."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
