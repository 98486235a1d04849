"""Rows of the cold start: what an import adds to a fresh interpreter, beside one that does nothing.

Both run in new processes, with the byte code already compiled, as in a Lambda layer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from benchmarks.measurement import Subject, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stand import Stand

CORE = "import staleproof"
FACADE = "from staleproof import Cache, Policy"


def core(_stand: Stand, seconds: float) -> Figures:
    """Compare `import staleproof` with a bare interpreter."""
    return _compared(CORE, seconds)


def facade(_stand: Stand, seconds: float) -> Figures:
    """Compare the import of the cache and its policy with a bare interpreter."""
    return _compared(FACADE, seconds)


def _compared(code: str, seconds: float) -> Figures:
    subjects = [Subject(_interpreter(each), number=1, samples=3) for each in (code, "pass")]
    measured = compare(*subjects, seconds=seconds)
    return Figures.of(measured, f"{(measured.ours - measured.reference) / 1_000:.1f} ms more")


def _interpreter(code: str) -> Callable[[int], None]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    home = Path(sys.executable).parent  # nothing to import lies there

    def run(_number: int) -> None:
        subprocess.run([sys.executable, "-c", code], env=environ, cwd=home, check=True)

    return run
