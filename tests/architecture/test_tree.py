"""The top of the repository is a table of contents: one folder a ring, and nothing beside."""

from __future__ import annotations

import pytest

from tests.architecture.tree import ROOT, Module, files, modules

FOLDERS = {
    ".ci", "benchmarks", "docs", "events", "examples", "functions", "layers", "local", "requirements", "shared",
    "tests",
}  # fmt: skip
FILES = {
    ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "pyproject.toml", "samconfig.toml", "template.yaml",
}  # fmt: skip
DOCS = {"concepts", "decisions", "operations"}


def test_the_top_level_is_fixed() -> None:
    """Every file lies in a known folder or is one of a few known files."""
    tops = {path.relative_to(ROOT).parts[0] for path in files()}

    assert tops <= FOLDERS | FILES


@pytest.mark.parametrize("name", sorted(FILES - {"samconfig.toml", "template.yaml"}))
def test_a_file_that_readers_look_for_is_there(name: str) -> None:
    """What a reader of any repository looks for first is there."""
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("module", modules("functions"), ids=lambda module: module.name)
def test_a_function_is_one_thin_handler(module: Module) -> None:
    """A function is a folder with one module, `app.py`."""
    assert module.path.relative_to(module.root).name == "app.py"


@pytest.mark.parametrize("package", ["layers/staleproof/src/staleproof", "shared/src/staleproof_pipeline"])
def test_a_package_is_typed(package: str) -> None:
    """Both packages tell type checkers that their annotations count."""
    assert (ROOT / package / "py.typed").is_file()


def test_tests_are_no_package() -> None:
    """No folder of tests is a package: two test files may never need the same import path."""
    assert [
        path for path in files() if path.name == "__init__.py" and path.is_relative_to(ROOT / "tests")
    ] == []


def test_names_of_test_files_are_unique() -> None:
    """A test file's name is its own, so a red line in a log names one file."""
    names = [path.name for path in files() if path.name.startswith("test_") and path.suffix == ".py"]

    assert sorted(names) == sorted(set(names))
