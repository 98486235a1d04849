"""Environments are made once, finished when a run was interrupted, and followed when their lock changes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from requirements import environments
from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from requirements.environments import Environment

SCRIPT = (ROOT / "requirements" / "environments.py").read_text()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of nothing but the script and empty locks."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "environments.py").write_text(SCRIPT)
    (folder / "sam.lock").write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def environment(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The environment of that repository, in this process."""
    monkeypatch.setattr(environments, "ROOT", tree)
    return environments.Environment("sam", tree / ".venvs" / "sam")


def make(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(tree / "requirements" / "environments.py"), "sam"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_an_environment_is_made_once_whoever_asks(tree: Path) -> None:
    """Of several callers at once one makes the environment; the others wait and find it whole."""
    with ThreadPoolExecutor(3) as callers:
        runs = list(callers.map(make, [tree] * 3))

    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]
    assert sum("making" in run.stderr for run in runs) == 1
    assert (tree / ".venvs" / "sam" / "bin" / "pip").exists()


@pytest.mark.slow
def test_an_environment_that_was_left_half_made_is_finished(environment: Environment) -> None:
    """Without its digest an environment counts as broken, and is made whole whatever lies there."""
    (environment.path / "bin").mkdir(parents=True)
    environment.python.write_text("#!/bin/false\n")
    environment.python.chmod(0o755)

    environments.ensure(environment)

    assert environments.made_of(environment) == environments.digest(environment)
    assert environments.usable(environment)


@pytest.mark.parametrize("changed", ["the lock", "a package's description"])
def test_an_environment_is_out_of_date_when_what_it_is_made_of_changes(
    environment: Environment, tree: Path, changed: str
) -> None:
    """A changed lock or package description changes the digest."""
    package = tree / "package"
    package.mkdir()
    description = package / "pyproject.toml"
    description.write_text("[project]\n")
    held = environment._replace(packages=("package",))
    before = environments.digest(held)

    with (held.lock if changed == "the lock" else description).open("a") as file:
        file.write("# more\n")

    assert environments.digest(held) != before


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.10 is told which one is needed and how to name it."""
    monkeypatch.setattr(environments, "LEAST_PYTHON", (99, 0))

    with pytest.raises(SystemExit, match=r"make PYTHON="):
        environments.main(["dev"])


def test_an_unknown_environment_is_refused() -> None:
    """A name that is none is answered with those that are."""
    with pytest.raises(SystemExit, match="dev, emulator, sam, peers"):
        environments.main(["production"])
