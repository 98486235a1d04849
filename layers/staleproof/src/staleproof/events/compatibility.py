"""Whether a JSON Schema may follow another under the same schema version.

The rule: fields that a message may leave out are added, and nothing else. So what was written under the older one is
read under the newer one, and the other way round: an older reader ignores what it does not know. Everything else would
be read wrongly by one side, and takes a new schema version: a field that goes, becomes required or stops being so,
or whose type or bounds change, in either direction. Titles, descriptions, defaults and examples are free.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$comment", "$id", "$schema", "$defs"}
)
DEEPEST = 32


def breaks(older: dict[str, Any], newer: dict[str, Any]) -> list[str]:
    """Return what makes *newer* no successor of *older*, a line each; nothing if it is one."""
    return list(_breaks(inlined(older), inlined(newer)))


def _breaks(older: dict[str, Any], newer: dict[str, Any]) -> Iterator[str]:
    before, after = older.get("properties", {}), newer.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{name}: it is gone; keep it, or make a new schema version"
    for name in sorted(before.keys() & after.keys()):
        if _text(before[name]) != _text(after[name]):
            yield f"{name}: its type or bounds differ; leave them, or add a field of another name"
    needed, needs = set(older.get("required", ())), set(newer.get("required", ()))
    for name in sorted(needs - needed):
        yield f"{name}: it is required, and was not; let it be left out"
    for name in sorted((needed - needs) & after.keys()):
        yield f"{name}: it was required; readers rely on it"
    for name in sorted((older.keys() | newer.keys()) - ANNOTATIONS - {"properties", "required"}):
        if _text(older.get(name)) != _text(newer.get(name)):
            yield f"the object's {name} differs; leave it"
    closed = older.get("additionalProperties", True) is not True
    for name in sorted(after.keys() - before.keys()) if closed else ():
        yield f"{name}: readers of the older schema refuse what it does not name; make a new schema version"


def _text(schema: Any) -> str:
    """What a comparison sees: in Python 1 is true, in a schema it is not."""
    return json.dumps(bare(schema), sort_keys=True)


def bare(schema: Any) -> Any:
    """Return *schema* without what only explains; a property may be called like an annotation."""
    if isinstance(schema, list):
        return [bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: bare(value) for name, value in schema.items() if name not in ANNOTATIONS}
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {name: bare(value) for name, value in schema["properties"].items()}
    return made


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with its references to `$defs` replaced by what they mean.

    Raises:
        ValueError: a reference leads elsewhere, or to itself.
    """
    made: dict[str, Any] = _inlined(schema, schema.get("$defs", {}), DEEPEST)
    return made


def _inlined(schema: Any, known: dict[str, Any], depth: int) -> Any:
    if depth == 0:
        raise ValueError("the schema refers to itself, or is too deep; write it flat")
    if isinstance(schema, list):
        return [_inlined(each, known, depth - 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {name: _inlined(value, known, depth - 1) for name, value in schema.items() if name != "$defs"}
    name = reference.removeprefix("#/$defs/")
    if name not in known:
        raise ValueError(f"$ref {reference!r} is not in $defs; write schemas that stand alone")
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    return {**_inlined(known[name], known, depth - 1), **_inlined(beside, {}, depth - 1)}
