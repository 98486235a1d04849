"""Whether a rule concerns a change."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from staleproof_pipeline.rules.paths import find

if TYPE_CHECKING:
    from staleproof_pipeline.change import ChangeEvent, Source
    from staleproof_pipeline.rules.model import When


def concerns(when: When, source: Source, entity: str) -> bool:
    """Say whether *when* is about *entity* of *source* at all."""
    return when.source == source and any(_like(entity, pattern) for pattern in when.entities)


def matches(when: When, change: ChangeEvent) -> bool:
    """Say whether a change of an entity that *when* is about is one that it means."""
    if change.operation not in when.operation:
        return False
    return not when.changed or any(differs(path, change) for path in when.changed)


def differs(path: str, change: ChangeEvent) -> bool:
    """Say whether the attribute at *path* changed. It did if the source does not tell: in doubt, invalidate."""
    if {"old", "new"} - change.images:
        return True
    return bool(find(path, change.old or {}) != find(path, change.new or {}))


def _like(entity: str, pattern: str) -> bool:
    # Only `*` is special: a name may hold brackets and question marks.
    return fnmatchcase(entity, pattern.replace("[", "[[]").replace("?", "[?]"))
