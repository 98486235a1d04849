"""Where tables are printed: as wide as the window, and a row a line where nobody looks."""

from __future__ import annotations

import os

from rich.console import Console

PIPE_WIDTH = 4_096
"""Columns where nobody looks: what reads a pipe wants a row in a line."""


def console() -> Console:
    """Return the standard output, for tables; `COLUMNS` in the environment sets its width in any case."""
    made = Console(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_WIDTH
    return made
