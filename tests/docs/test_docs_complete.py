"""Documentation names every command and every setting, and none that does not exist."""

from __future__ import annotations

import re

from staleproof.config.listing import writable_fields
from staleproof.config.table import SETTINGS, variable
from tests.architecture.tree import ROOT, files

PAGES = [path for path in files() if path.suffix == ".md"]
CODE = [
    path
    for path in files()
    if path.relative_to(ROOT).parts[0] in {"layers", "shared", "functions"} and path.suffix == ".py"
]
SETTING = re.compile(r"\bSTALEPROOF_[A-Z][A-Z_]*[A-Z]\b")
OPERATIONS = ROOT / "docs" / "operations"


def makefile() -> str:
    return (ROOT / "Makefile").read_text()


def test_every_command_that_a_page_names_exists() -> None:
    """A reader who types a `make` command from a page is never told that there is no such target."""
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", makefile(), re.MULTILINE))
    known = {target for line in targets for target in line.split()}
    named = {
        (page.name, command)
        for page in PAGES
        for command in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }

    assert {each for each in named if each[1] not in known} == set()


def test_every_command_is_in_the_help() -> None:
    """`make help` tells of every target that a person would type."""
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile(), re.MULTILINE))

    assert {"demo", "test", "test-fast", "check", "bench", "build", "lock", "clean", "help"} <= described


def test_every_setting_is_documented() -> None:
    """Every variable that the code reads stands in the operations pages, and no other."""
    read = {name for path in CODE for name in SETTING.findall(path.read_text())}
    read |= {variable(path) for path in (*SETTINGS, *writable_fields())}
    told = {name for page in OPERATIONS.glob("*.md") for name in SETTING.findall(page.read_text())}

    assert told == read


def test_every_decision_is_in_the_index() -> None:
    """The first page lists every decision, and their numbers run without a gap."""
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("*.md"))
    index = (folder / "0001-record-decisions.md").read_text()

    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    assert re.findall(r"\]\((\d{4}[^)]*)\) \|", index) == pages


def test_every_dependency_has_its_reason() -> None:
    """Decision 2 gives every package that we ask for by name a line."""
    reasons = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    asked = {
        re.split(r"[\[=<>~! ]", line)[0]
        for path in files()
        if path.suffix == ".in"
        for line in path.read_text().splitlines()
        if line and line[0] not in "#-"
    }

    assert sorted(name for name in asked if not re.search(rf"\b{re.escape(name)}\b", reasons)) == []
