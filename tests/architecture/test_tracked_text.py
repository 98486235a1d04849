"""What is tracked speaks of the product, on any machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, files

# Where people keep their work. Paths of a Lambda environment (/opt, /tmp, /var/task) are no machine's.
MACHINE_PATH = re.compile(r"(?<![\w./$}-])/(?:home|Users|root|work|workspace|mnt|media)/[\w.~-]+")
INDEX_OPTION = re.compile(r"--(?:extra-)?index-url\b\s*[=\s]\s*\S+|--find-links|--trusted-host|file://")
SECRET = re.compile(
    r"\b(?:AKIA|ASIA)(?!EXAMPLE|[A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
THIS = Path(__file__)
BINARY = {".png", ".gz", ".zst", ".parquet", ".ico", ".bin"}
LARGEST = 2_000_000


def texts() -> list[Path]:
    return [path for path in files() if path.suffix not in BINARY and path != THIS]


def found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in paths
        for match in pattern.finditer(path.read_text(errors="replace"))
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """A path that exists on one machine only is in no file."""
    assert found(MACHINE_PATH, texts()) == []


def test_no_requirement_names_where_packages_come_from() -> None:
    """Which index serves a package is the installer's choice: hashes say which bytes are right."""
    assert found(INDEX_OPTION, [path for path in texts() if path.suffix in {".in", ".lock", ".txt"}]) == []


def test_no_file_holds_a_secret() -> None:
    """No access key and no private key lies in the repository."""
    assert found(SECRET, texts()) == []


def test_no_file_is_large() -> None:
    """A file of more than 2 MB belongs somewhere else."""
    assert [path.name for path in files() if path.stat().st_size > LARGEST] == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("see /home/ana/notes", True),
        ("`/opt/python` in a layer", False),
        ("https://example.com/home/page", False),
        ("docs/home/x", False),
        ("${ROOT}/home/x", False),
    ],
)
def test_a_machine_path_is_told_from_others(text: str, caught: bool) -> None:
    """The pattern catches a home folder and leaves addresses, relative paths and Lambda's own folders alone."""
    assert bool(MACHINE_PATH.search(text)) is caught
