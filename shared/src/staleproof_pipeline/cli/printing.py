"""Tables for people, JSON for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from staleproof.cli.screen import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLES = {
    "passed": "green", "failed": "bold red", "error": "bold red", "warning": "yellow", "hint": "blue",
    "fires": "green", "shadow": "yellow", "never": "yellow",
}  # fmt: skip
"""Colours of words, where they stand in the first column."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print *rows* below *headings*; the texts are printed as they are."""
    printed = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        printed.add_column(heading, overflow="fold")
    for first, *rest in rows:
        printed.add_row(Text(first, style=STYLES.get(first, "")), *map(Text, rest))
    console().print(printed)


def as_json(value: Any) -> None:
    """Print *value* as JSON."""
    click.echo(json.dumps(value, indent=2, default=str))


__all__ = ["as_json", "console", "table"]
