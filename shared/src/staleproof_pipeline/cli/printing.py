"""Tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PIPE_WIDTH = 4_096
"""Columns where nobody looks: what reads a pipe wants a row in a line."""

STYLES = {
    "passed": "green", "failed": "bold red", "error": "bold red", "warning": "yellow", "hint": "blue",
    "fires": "green", "shadow": "yellow", "never": "yellow",
}  # fmt: skip
"""Colours of words, where they stand in the first column."""


def console() -> Console:
    """Return where tables are printed."""
    made = Console(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made


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
