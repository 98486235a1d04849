"""The repository as these tests see it: its files, its rings, its modules."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ROOTS = (
    "layers/staleproof/src/staleproof",
    "shared/src/staleproof_pipeline",
    "functions",
    "local",
    "benchmarks",
    "examples",
    "requirements",
)
RINGS = IMPORT_ROOTS[:3]


class Module(NamedTuple):
    """A Python file and the import root that it lies under."""

    path: Path
    root: Path

    @property
    def name(self) -> str:
        """Its path in the repository, which names it in a test's id."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def depth(self) -> int:
        """How many packages lie between the import root and the file."""
        return len(self.path.relative_to(self.root).parts) - 1

    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(), self.name)


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the repository: tracked, or new and not ignored."""
    # Another user's clone, as in a container, is as good as one's own to read.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    command = [*git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for name in sorted(set(listed)) if (path := ROOT / name).is_file())


def modules(*roots: str) -> list[Module]:
    """Every module below *roots*, all import roots if none is named."""
    return [
        Module(path, ROOT / root)
        for root in roots or IMPORT_ROOTS
        for path in files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / root)
    ]
