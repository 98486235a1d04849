"""The provider of the documentation's example, which is not ours, passes the contracts as its author runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "concepts" / "testing.md"


@pytest.mark.slow
def test_a_third_party_runs_the_contracts_on_its_own_provider(tmp_path: Path) -> None:
    """What stands on the page is a whole test module: every law is tried, those that its server lacks are skipped."""
    example = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[-1]
    module = f"from staleproof.providers.memory import MemoryProvider\n{example}"
    (tmp_path / "test_mine.py").write_text(module)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = re.search(r"(\d+) passed, (\d+) skipped", ran.stdout)
    assert ran.returncode == 0, ran.stdout
    assert told is not None
    assert int(told[1]) > 250
    assert int(told[2]) == 4
