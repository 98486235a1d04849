"""Commands find the repository wherever it lies, and from wherever they are called."""

import shutil
import subprocess
from pathlib import Path

import pytest

from local.supervisor import ROOT


@pytest.mark.parametrize("name", ["plain", "sp  ace", "it&s (1)"])
@pytest.mark.parametrize("flag", ["-C", "-f"])
def test_a_folder_may_be_called_anything(tmp_path: Path, name: str, flag: str) -> None:
    """With `make -C` and `make -f`, a target runs what lies beside its Makefile, also if a path has spaces."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    named = folder if flag == "-C" else folder / "Makefile"
    command = ["make", "--no-print-directory", "PYTHON=echo", flag, str(named), "env-dev"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert made.stdout == f"{folder}/requirements/environments.py dev\n"
