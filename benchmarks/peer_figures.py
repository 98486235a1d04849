"""The peers' figures: measured by a process in their own environment, on a server of their own."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from local.supervisor import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from benchmarks.figures import Result

PYTHON = ROOT / ".venvs" / "peers" / "bin" / "python"
TIME_OUT = 90.0

OUR_ROWS = {
    "tagged_hit": "tagged_read_3_vs_get",
    "near_hit": "decorated_l1_hit_vs_lru_cache",
    "invalidate_1000000": "invalidate_tag_1m_vs_set",
}
"""Which of our rows is measured against the same unit."""


class PeersUnavailableError(RuntimeError):
    """The peers could not be measured; the text says why and what to do."""


def measured(
    url: str,
    seconds: float,
    *,
    python: Path = PYTHON,
    told: Callable[[str], object] = str,
) -> dict[str, dict[str, Any]]:
    """Measure every peer on the server at *url*, whose data is destroyed.

    Args:
        url: the server.
        seconds: for each comparison.
        python: the interpreter of the peers' environment.
        told: hears the name of each peer that is done.

    Raises:
        PeersUnavailableError: their environment is not there, or the measurement broke down.
    """
    if not python.exists():
        raise PeersUnavailableError(f"there is no {python}; run `make env-peers` first, or pass --no-peers")
    command = [str(python), "-m", "benchmarks.peers", "--url", url, "--seconds", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = _told(process.stdout or (), told)
            status = process.wait(TIME_OUT)
        except BaseException:
            process.kill()
            raise
    if status:
        raise PeersUnavailableError(f"measuring the peers ended with status {status}; its output says why")
    return found


def _told(lines: Iterable[str], told: Callable[[str], object]) -> dict[str, dict[str, Any]]:
    found = {}
    for line in lines:
        figures = json.loads(line)
        name = figures.pop("peer")
        found[name] = figures
        told(name)
    return found


def ours(results: Iterable[Result]) -> dict[str, Any]:
    """Return our own rows under the names that the peers' figures have."""
    rows = {result.row.name: result.as_json() for result in results}
    kept = ("ours", "reference", "ratio")
    own = {
        figure: {key: rows[name][key] for key in kept} for figure, name in OUR_ROWS.items() if name in rows
    }
    many, few = own.get("invalidate_1000000"), rows.get("invalidate_tag_1m_vs_1k")
    if many and few:  # its reference is the invalidation of a thousand
        ratio = round(many["ratio"] / few["ratio"], 3)
        own["invalidate_1000"] = {"ours": few["reference"], "reference": many["reference"], "ratio": ratio}
    return own
