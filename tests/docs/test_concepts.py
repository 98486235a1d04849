"""Concept pages: each opens with what to remember, stays short, and is found from the index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "docs" / "concepts"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
MOST_LINES = 210

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


@every_page
def test_a_page_opens_with_what_to_remember(page: Path) -> None:
    """Title, then a few points in short; whoever stops there has the idea."""
    assert re.match(r"# .+\n\n\*\*In short\*\*\n\n- ", page.read_text())


@every_page
def test_a_page_is_short(page: Path) -> None:
    """A page is read in one sitting."""
    assert len(page.read_text().splitlines()) <= MOST_LINES


def test_the_index_has_every_page_once() -> None:
    """Every page is listed once, and nothing else."""
    index = (FOLDER / "README.md").read_text()
    listed = re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \|", index, re.MULTILINE)

    assert sorted(listed) == [page.name for page in PAGES]
