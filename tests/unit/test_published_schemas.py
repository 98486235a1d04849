"""The JSON Schemas of what is published: current, valid, as strict as the classes, compatible with every release."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from staleproof.errors import EventError
from staleproof.events import Change, Invalidate, bounds, json_schema
from staleproof.events.change import KINDS, SCHEMA, decode, encode
from staleproof.events.compatibility import breaks, inlined
from tests.architecture.tree import ROOT

SNAPSHOTS = ROOT / "tests" / "snapshots"
RELEASED = sorted(SNAPSHOTS.glob("published-*.json"))
NAME = re.compile(r"published-([a-z]+)-(\d+)-[\d.]+\.json")

CHANGE = {"staleproof": "change", "schema": 1, "id": "i", "entity": "product", "operation": "modify"}
INVALIDATE = {"staleproof": "invalidate", "schema": 1, "id": "i", "tags": ["a"]}

WRONG: list[dict[str, Any]] = [
    CHANGE | {"staleproof": "other"},
    CHANGE | {"schema": 2},
    CHANGE | {"id": ""},
    CHANGE | {"id": 7},
    CHANGE | {"id": "x" * (bounds.MAX_ID + 1)},
    CHANGE | {"entity": ""},
    CHANGE | {"entity": "x" * (bounds.MAX_ENTITY + 1)},
    CHANGE | {"operation": "upsert"},
    CHANGE | {"keys": None},
    CHANGE | {"keys": [1]},
    CHANGE | {"old": "row"},
    CHANGE | {"new": [1]},
    CHANGE | {"changed_ms": -1},
    CHANGE | {"changed_ms": bounds.MAX_EPOCH_MS + 1},
    CHANGE | {"changed_ms": "1"},
    CHANGE | {"region": None},
    CHANGE | {"trace": "x" * (bounds.MAX_TRACE + 1)},
    {name: value for name, value in CHANGE.items() if name != "id"},
    {name: value for name, value in CHANGE.items() if name != "entity"},
    {name: value for name, value in CHANGE.items() if name != "operation"},
    INVALIDATE | {"namespace": ""},
    INVALIDATE | {"tags": "a"},
    INVALIDATE | {"tags": []},
    INVALIDATE | {"tags": [""]},
    INVALIDATE | {"tags": ["x" * 1_025]},
    INVALIDATE | {"tags": ["a"] * (bounds.MAX_TARGETS + 1)},
    INVALIDATE | {"keys": [None]},
    INVALIDATE | {"soft": "yes"},
    INVALIDATE | {"row_version": -1},
    INVALIDATE | {"row_version": 1.5},
    INVALIDATE | {"lag_ms": bounds.MAX_LAG_MS + 1},
    {name: value for name, value in INVALIDATE.items() if name != "tags"},
]

RIGHT: list[dict[str, Any]] = [
    CHANGE,
    CHANGE | {"keys": {"id": 1}, "old": None, "new": {"a": [1, {"b": None}]}, "later": "field"},
    INVALIDATE,
    INVALIDATE | {"tags": [], "keys": ["k"], "namespace": None, "row_version": None},
    INVALIDATE | {"namespace": "shop", "soft": True, "row_version": 7, "lag_ms": 2_000, "trace": "t"},
]


def valid(document: dict[str, Any]) -> bool:
    kind = document["staleproof"] if document["staleproof"] in KINDS else "change"
    return bool(Draft202012Validator(json_schema.schema(kind)).is_valid(document))


def readable(document: dict[str, Any]) -> bool:
    try:
        decode(json.dumps(document))
    except EventError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_as_the_class_says(kind: str) -> None:
    """The schema that other languages read is the one that the classes have; the command writes it."""
    assert json_schema.current(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_schema(kind: str) -> None:
    """It is valid by the draft that it names."""
    Draft202012Validator.check_schema(json_schema.schema(kind))
    assert json_schema.schema(kind)["$schema"] == json_schema.DRAFT


@pytest.mark.parametrize(
    "message", [Change.now("p", "modify", keys={"id": 1}, new={"n": 1.5}), Invalidate.now("a")]
)
def test_what_is_sent_is_valid(message: Any) -> None:
    """What we write, a reader in another language accepts."""
    assert valid(json.loads(encode(message)))


@pytest.mark.parametrize("document", RIGHT)
def test_what_is_valid_is_read(document: dict[str, Any]) -> None:
    """What a writer in another language may write, we read; fields that we do not know are let pass."""
    assert (valid(document), readable(document)) == (True, True)


@pytest.mark.parametrize("document", WRONG)
def test_what_is_not_valid_is_refused(document: dict[str, Any]) -> None:
    """Schema and reader refuse the same."""
    assert (valid(document), readable(document)) == (False, False)


# --- releases ------------------------------------------------------------------------------------------------


def test_every_kind_has_a_released_schema() -> None:
    """There is something to be compatible with."""
    assert {match[1] for path in RELEASED if (match := NAME.fullmatch(path.name))} == set(KINDS)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_it_follows_every_release(path: Any) -> None:
    """Under one schema version only fields that may be left out were added since each release."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    if int(match[2]) == SCHEMA:
        assert breaks(json.loads(path.read_text()), json_schema.schema(match[1])) == []


OLDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 8},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
        "note": {"type": "string", "default": ""},
    },
    "required": ["id"],
    "$defs": {"Row": {"type": "object", "properties": {"title": {"type": "string"}}}},
}


def changed(**properties: Any) -> dict[str, Any]:
    made = copy.deepcopy(OLDER)
    made["properties"].update(properties)
    return made


def test_optional_fields_and_words_are_free() -> None:
    """A field that may be left out, a better description and another default follow."""
    newer = changed(
        more={"type": "integer"}, note={"type": "string", "default": "-", "description": "Words."}
    )
    assert breaks(OLDER, OLDER) == breaks(OLDER, newer) == []


@pytest.mark.parametrize(
    ("newer", "named"),
    [
        (changed(id={"type": "integer"}), "id: its type or bounds differ"),
        (changed(id={"type": "string", "maxLength": 9}), "id: its type or bounds differ"),
        (changed(id={"type": "string"}), "id: its type or bounds differ"),
        (changed(note={"type": "string", "enum": ["a"]}), "note: its type or bounds differ"),
        (changed(rows={"type": "array", "items": {"type": "object"}}), "rows: its type or bounds differ"),
        ({**OLDER, "required": ["id", "note"]}, "note: it is required, and was not"),
        (
            {**changed(more={"type": "integer"}), "required": ["id", "more"]},
            "more: it is required, and was not",
        ),
        ({**OLDER, "required": []}, "id: it was required"),
        ({**OLDER, "additionalProperties": False}, "additionalProperties differs"),
        ({**OLDER, "type": "array"}, "type differs"),
        ({**OLDER, "properties": {"id": OLDER["properties"]["id"]}}, "note: it is gone"),
        (
            {**OLDER, "$defs": {"Row": {"type": "object", "properties": {"title": {"type": "integer"}}}}},
            "rows: its type or bounds differ",
        ),
    ],
)
def test_everything_else_breaks(newer: dict[str, Any], named: str) -> None:
    """A field that goes, is demanded, or means something else takes a new schema version, and is told by name."""
    assert any(named in line for line in breaks(OLDER, newer))


def test_a_property_may_be_called_like_an_annotation() -> None:
    """A field that is named `title` or `default` counts as a field."""
    older = {"properties": {"row": {"properties": {"title": {"type": "string"}}}}}
    newer = {"properties": {"row": {"properties": {"title": {"type": "integer"}}}}}
    assert breaks(older, newer) != []


def test_a_new_field_breaks_a_schema_that_is_closed() -> None:
    """Whoever validates by the older one refuses what it does not name."""
    closed = {**OLDER, "additionalProperties": False}
    newer = {**closed, "properties": {**OLDER["properties"], "more": {"type": "string"}}}

    assert any(line.startswith("more: readers of the older schema refuse") for line in breaks(closed, newer))


@pytest.mark.parametrize(
    ("before", "after"), [({"const": 1}, {"const": True}), ({"enum": [0]}, {"enum": [False]})]
)
def test_one_is_not_true(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Python takes them for the same, and JSON does not."""
    assert breaks({"properties": {"a": before}}, {"properties": {"a": after}}) != []


@pytest.mark.parametrize("reference", ["#/$defs/Loop", "other.json", "#/$defs/Missing"])
def test_references_that_lead_nowhere_are_refused(reference: str) -> None:
    """A schema stands alone, and ends."""
    schema = {
        "properties": {"a": {"$ref": reference}},
        "$defs": {"Loop": {"items": {"$ref": "#/$defs/Loop"}}},
    }
    with pytest.raises(ValueError, match="schema"):
        inlined(schema)


def test_the_command_says_whether_files_are_current() -> None:
    """It prints where the files lie, and exits with 0 where they are as the classes say."""
    command = [sys.executable, "-W", "ignore", "-m", "staleproof.events.json_schema"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.count("current")) == (0, len(KINDS))
