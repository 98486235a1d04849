"""How far a mapping has come in each shard, in a file that survives the death of its writer.

The file is replaced in one step, so a reader finds the old state or the new one, never half of one. It is written
after a batch was dealt with: a crash in between delivers again and never skips.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Checkpoints:
    """The last sequence number dealt with, a shard."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, shard: str) -> str | None:
        """Return the last sequence number dealt with in *shard*, or None if none was."""
        return self._places.get(shard)

    def set(self, shard: str, sequence: str) -> None:
        """Remember that everything in *shard* up to and with *sequence* is dealt with."""
        self._places[shard] = sequence
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self._places))
        fresh.replace(self._path)
