"""Rows of the cold start: what an import adds to a fresh interpreter, beside one that does nothing.

Both run in new processes, with the byte code already compiled, as in a Lambda layer, and neither finds
`typing_extensions`: msgspec imports it where it is installed, some 6 ms with the `inspect` that it needs. The library
has no use for it, its layer does not carry it (`layers/staleproof/requirements.lock`), and nothing requires it of what
Lambda's runtime adds, boto3 and its dependencies; a development environment has it for mypy. The row's remark tells the
ratio beside it.
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

    from benchmarks.measurement import Comparison
    from benchmarks.stand import Stand

CORE = "import staleproof"
FACADE = "from staleproof import Cache, Policy"
HIDING = "import sys; sys.modules['typing_extensions'] = None; "
"""Has whoever imports it find that it is not installed."""


def core(_stand: Stand, seconds: float) -> Figures:
    """Compare `import staleproof` with a bare interpreter."""
    return _compared(CORE, seconds)


def facade(_stand: Stand, seconds: float) -> Figures:
    """Compare the import of the cache and its policy with a bare interpreter."""
    return _compared(FACADE, seconds)


def _compared(code: str, seconds: float) -> Figures:
    measured = _measured(HIDING + code, HIDING + "pass", seconds)
    beside = _measured(code, "pass", seconds / 3)
    more = (measured.ours - measured.reference) / 1_000
    return Figures.of(measured, f"{more:.1f} ms more; {beside.ratio:.2f} beside what is installed here")


def _measured(ours: str, reference: str, seconds: float) -> Comparison:
    subjects = [Subject(_interpreter(each), number=1, samples=3) for each in (ours, reference)]
    return compare(*subjects, seconds=seconds)


def _interpreter(code: str) -> Callable[[int], None]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    home = Path(sys.executable).parent  # nothing to import lies there

    def run(_number: int) -> None:
        subprocess.run([sys.executable, "-c", code], env=environ, cwd=home, check=True)

    return run
