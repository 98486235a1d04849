"""The entry point of the `staleproof` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or say what it lacks."""
    try:
        from staleproof.cli.program import program  # noqa: PLC0415 - so that its absence can be told
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write("the staleproof command needs click; install staleproof[cli]\n")
        sys.exit(2)
    program()
