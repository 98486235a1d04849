"""A real trace of cache requests; see `benchmarks/data/README.md`."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

TRACE = Path(__file__).parent.parent / "data" / "twitter-cluster52-300k.csv.gz"


class Request(NamedTuple):
    """One request: which object, of how many bytes."""

    key: str
    size: int


def requests(path: Path = TRACE) -> list[Request]:
    """Return every request of the trace at *path*, in order."""
    with gzip.open(path, "rt", newline="") as rows:
        return [Request(f"object:{row['object']}", int(row["size"])) for row in csv.DictReader(rows)]
