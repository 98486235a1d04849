"""Names in a rule, such as `new.carrier` or `carrier`, and the values that a change has for them.

=====================  ==========================================================================
`new.carrier`          the attribute in the row after the change
`old.carrier`          in the row before it
`keys.flight_id`       a key attribute
`carrier`              in both rows: a change of it concerns the old value and the new one
`carrier.home.city`    dots lead into maps
`each.sku`             in a rule with `each: items`, an attribute of an element of that list, set or map
=====================  ==========================================================================

Where the source tells no row at all (a keys-only stream), a bare name is looked up among the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import EventError
from staleproof_pipeline.sources.documents import document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


def elements(path: str, names: Mapping[str, Any]) -> list[Any]:
    """Return the elements of what lies at *path*, in a steady order; none if nothing does.

    Lists and sets have theirs, also where the path leads through lists (`orders.lines`). A map has one `{key, value}` a
    name, and anything else is its own only element. A text that is a list or a map in JSON, as a column of a database
    or a field of a Redis stream holds it, stands for what it says.
    """
    found: list[Any] = [names]
    for name in path.split("."):
        found = [row[name] for row in _opened(found) if isinstance(row, dict) and name in row]
    return [element for each in found for element in _members(each)]


def _opened(values: Iterable[Any]) -> list[Any]:
    """*values*, each list replaced by what it holds: so a path leads through lists."""
    opened: list[Any] = []
    for value in map(_structure, values):
        if isinstance(value, list | tuple):
            opened += map(_structure, value)
        else:
            opened.append(value)
    return opened


def _structure(value: Any) -> Any:
    """What *value* says, if it is a list or a map in JSON; else *value*."""
    if not isinstance(value, str) or value[:1] not in {"[", "{"}:
        return value
    try:
        return document(value, "each")
    except EventError:
        return value


def _members(value: Any) -> Iterable[Any]:
    value = _structure(value)
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda member: (type(member).__name__, repr(member)))
    if isinstance(value, dict):
        return [{"key": key, "value": each} for key, each in value.items()]
    return [value]
