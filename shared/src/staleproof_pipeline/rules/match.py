"""Whether a rule concerns a change."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

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
    """Say whether the attribute at *path* changed.

    It did if the row came or went, and if the source does not tell: in doubt, invalidate.
    """
    if change.old is None or change.new is None or {"old", "new"} - change.images:
        return True
    return not _same(find(path, change.old), find(path, change.new))


def _same(old: Any, new: Any) -> bool:
    # Python takes True for 1 and 0 for False; to whoever reads the row they are different values.
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(_same(each, new[name]) for name, each in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def _like(entity: str, pattern: str) -> bool:
    # Only `*` is special: a name may hold brackets and question marks.
    return fnmatchcase(entity, pattern.replace("[", "[[]").replace("?", "[?]"))
