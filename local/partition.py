"""A network partition between regions, as files: it holds across a restart of whoever obeys it.

A cut is one-way. A bridge that finds its link cut stops taking events; they wait in the queue of their own region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Partition:
    """The cuts of one stack, as marks in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def cut(self, origin: str, destination: str) -> None:
        """Let nothing pass from *origin* to *destination* any more."""
        self._mark(origin, destination).touch()

    def heal(self, origin: str, destination: str) -> None:
        """Let events pass again."""
        self._mark(origin, destination).unlink(missing_ok=True)

    def is_cut(self, origin: str, destination: str) -> bool:
        """Say whether the way from *origin* to *destination* is cut."""
        return self._mark(origin, destination).exists()

    def _mark(self, origin: str, destination: str) -> Path:
        return self._directory / f"cut-{origin}-to-{destination}"
