"""Names in a rule, such as `new.carrier` or `carrier`, and the values that a change has for them.

=====================  ==========================================================================
`new.carrier`          the attribute in the row after the change
`old.carrier`          in the row before it
`keys.flight_id`       a key attribute
`carrier`              in both rows: a change of it concerns the old value and the new one
`carrier.home.city`    dots lead into maps
=====================  ==========================================================================

Where the source tells no row at all (a keys-only stream), a bare name is looked up among the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from staleproof_pipeline.change import ChangeEvent

HEADS = ("new", "old", "keys")
"""Names that always mean a row or the keys, never an attribute."""

MISSING: Any = object()
"""What `find` returns where there is nothing; None is a value."""


class Scope(NamedTuple):
    """The names that a template may use, over one row.

    Attributes:
        row: which row a bare name means: `new`, `old` or `keys`.
        names: what each first name stands for.
    """

    row: str
    names: Mapping[str, Any]


def is_bare(path: str) -> bool:
    """Say whether *path* means an attribute of whichever row."""
    return path.partition(".")[0] not in HEADS


def scopes(change: ChangeEvent) -> Iterator[Scope]:
    """Yield one scope a row that the change tells, the keys if it tells none."""
    fixed = {"new": change.new, "old": change.old, "keys": change.keys}
    rows = {name: row for name, row in (("new", change.new), ("old", change.old)) if row is not None}
    for name, row in (rows or {"keys": change.keys}).items():
        yield Scope(name, {**row, **fixed})


def find(path: str, names: Mapping[str, Any]) -> Any:
    """Return the value at the dotted *path*, or `MISSING`."""
    value: Any = names
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value
