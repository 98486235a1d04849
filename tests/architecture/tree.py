"""The repository as these tests see it: its files, its rings, its modules."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    if not (ROOT / ".git").exists():  # a source archive
        return tuple(sorted(_unignored(ROOT)))
    # Another user's clone, as in a container, is as good as one's own to read.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    command = [*git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for name in sorted(set(listed)) if (path := ROOT / name).is_file())


def _unignored(folder: Path) -> Iterator[Path]:
    """Every file below *folder* that the lines of .gitignore, which all are names, do not match."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]
    for path in folder.iterdir():
        if any(path.match(pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from _unignored(path)
        else:
            yield path


def modules(*roots: str) -> list[Module]:
    """Every module below *roots*, all import roots if none is named."""
    return [
        Module(path, ROOT / root)
        for root in roots or IMPORT_ROOTS
        for path in files()
        if path.suffix == ".py" and path.is_relative_to(ROOT / root)
    ]
