"""What is published: one form a value, clear refusals, and a wire that reads back as what was written."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import (
    EventError,
    MalformedEventError,
    OversizedEventError,
    UnsupportedEventVersionError,
)
from staleproof.events import Change, Invalidate, bounds
from staleproof.events.change import decode, encode
from staleproof.texts import text

HEAD = b'{"staleproof":"change","schema":1,"id":"i","entity":"e","operation":"modify","new":'


class Colour(Enum):
    RED = "red"


ZONE = timezone(timedelta(hours=2))
finite = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1e30"), max_value=Decimal("1e30")
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | finite
    | decimals
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=10)
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(ZONE))
    | st.just(Colour.RED)
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
rows = st.dictionaries(names, values, max_size=5)
tags = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=5
)


def change(**fields: Any) -> Change:
    return Change(**{"id": "i", "entity": "product", "operation": "modify", **fields})


def carried(value: Any) -> Any:
    """Return *value* as a reader of the wire gets it."""
    message = decode(encode(change(new={"a": value})))
    assert isinstance(message, Change)
    assert message.new is not None
    return message.new["a"]


@given(keys=rows, old=st.none() | rows, new=st.none() | rows)
def test_a_change_reads_back_as_it_was_written(keys: Any, old: Any, new: Any) -> None:
    """Encoding and decoding is the identity, for whatever a row may hold."""
    sent = change(keys=keys, old=old, new=new, changed_ms=7, region="eu-west-1", trace="t")
    assert decode(encode(sent)) == sent


@given(named=tags, soft=st.booleans(), row_version=st.none() | st.integers(0, 2**63 - 1))
def test_an_invalidation_reads_back_as_it_was_written(
    named: Any, soft: bool, row_version: int | None
) -> None:
    """Encoding and decoding is the identity."""
    sent = Invalidate(id="i", tags=named, soft=soft, row_version=row_version, lag_ms=5, namespace="shop")
    assert decode(encode(sent)) == sent


@given(scalars)
def test_a_value_makes_the_same_tag_here_and_there(value: Any) -> None:
    """What an application tags by a value, the pipeline invalidates by what the message tells of it."""
    assert text(carried(value)) == text(value)


@given(scalars)
def test_a_plain_json_reader_makes_the_same_tag(value: Any) -> None:
    """A reader that knows binary floats only makes it too, for integers, texts and everything up to 15 digits."""
    if (
        isinstance(value, Decimal | float)
        and len(Decimal(repr(value) if isinstance(value, float) else value).as_tuple().digits) > 15
    ):
        return
    read = json.loads(encode(change(new={"a": value})))["new"]["a"]
    assert text(read) == text(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("42.00"), "42"),
        (42.0, "42"),
        (Decimal("12.50"), "12.50"),
        (0.1, "0.1"),
        (10**40, str(10**40)),
        (True, "true"),
        (None, "null"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05+00:00"'),
        (datetime(2026, 1, 2, 3, 4, 5), '"2026-01-02T03:04:05"'),  # noqa: DTZ001 - rows have such, too
        (date(2026, 1, 2), '"2026-01-02"'),
        (UUID(int=10), '"00000000-0000-0000-0000-00000000000a"'),
        (b"\x00\xff", '"00ff"'),
        (bytearray(b"\x01"), '"01"'),
        (Binary(b"\x02"), '"02"'),
        (Colour.RED, '"red"'),
        ({"b", "a", "c"}, '["a","b","c"]'),
        (frozenset({3, 1}), "[1,3]"),
        ({1, "a"}, '[1,"a"]'),
        ((1, [2]), "[1,[2]]"),
        (OrderedDict(b=1), '{"b":1}'),
        ("ü", '"ü"'),
    ],
)
def test_each_type_has_one_form(value: Any, written: str) -> None:
    """The wire form of a value is the one that is documented."""
    assert f'"new":{{"a":{written}}}'.encode() in encode(change(new={"a": value}))


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_LOOP: list[Any] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (math.nan, "new.a"),
        (math.inf, "new.a"),
        (Decimal("NaN"), "new.a"),
        (Decimal("1e999999"), "new.a"),
        (Decimal("1e-999999"), "new.a"),
        (10**5_000, "bits"),
        (object(), "object has no form"),
        (timedelta(1), "timedelta has no form"),
        ("\ud800", "surrogate"),
        ({"b": ["\udfff"]}, "new.a.b\\[0\\]"),
        ({1: 2}, "is no text"),
        ({"\ud800": 2}, "surrogate"),
        (_nested(40), "deep"),
        (_LOOP, "deep"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_what_has_no_form_is_refused_by_its_place(value: Any, named: str) -> None:
    """A value that JSON has nothing for is an error that says where it lies, never a silent null."""
    with pytest.raises(MalformedEventError, match=named):
        change(new={"a": value})


@pytest.mark.parametrize(
    ("fields", "kind", "named"),
    [
        ({"id": ""}, MalformedEventError, "id"),
        ({"id": 7}, MalformedEventError, "id=7"),
        ({"id": "x" * 513}, OversizedEventError, "id has 513"),
        ({"entity": None}, MalformedEventError, "entity"),
        ({"operation": "upsert"}, MalformedEventError, "insert, modify, remove, other"),
        ({"keys": [("id", 1)]}, MalformedEventError, "keys"),
        ({"old": "row"}, MalformedEventError, "old"),
        ({"changed_ms": 1.5}, MalformedEventError, "changed_ms"),
        ({"changed_ms": True}, MalformedEventError, "changed_ms"),
        ({"region": 1}, MalformedEventError, "region"),
        ({"trace": "x" * 257}, OversizedEventError, "trace"),
        ({"trace": "\ud800"}, MalformedEventError, "trace"),
        ({"schema": 2}, UnsupportedEventVersionError, "schema=2"),
        ({"schema": True}, UnsupportedEventVersionError, "schema"),
    ],
)
def test_a_change_checks_itself(fields: dict[str, Any], kind: type[EventError], named: str) -> None:
    """There is no change that could not be sent: its constructor names the field, the value and the fix."""
    with pytest.raises(kind, match=named):
        change(**fields)


@pytest.mark.parametrize(
    ("fields", "kind", "named"),
    [
        ({}, MalformedEventError, "nothing is named"),
        ({"tags": "catalog"}, MalformedEventError, "no list"),
        ({"tags": [""]}, MalformedEventError, r"tags\[0\]"),
        ({"tags": ["a", 1]}, MalformedEventError, r"tags\[1\]"),
        ({"tags": ["ü" * 600]}, OversizedEventError, "1200 bytes"),
        ({"tags": ["a"] * 1_001}, OversizedEventError, "1001"),
        ({"tags": ["a"], "soft": 1}, MalformedEventError, "soft"),
        ({"tags": ["a"], "row_version": -1}, MalformedEventError, "row_version"),
        ({"tags": ["a"], "lag_ms": 3_600_001}, MalformedEventError, "lag_ms"),
        ({"tags": ["a"], "namespace": ""}, MalformedEventError, "namespace"),
    ],
)
def test_an_invalidation_checks_itself(fields: dict[str, Any], kind: type[EventError], named: str) -> None:
    """The same of an invalidation."""
    with pytest.raises(kind, match=named):
        Invalidate(id="i", **fields)


def test_now_fills_in_what_a_program_need_not_say() -> None:
    """A fresh id that sorts by time, and the present; whatever is given goes first."""
    first, second = Change.now("p", "insert"), Change.now("p", "insert", id="mine", changed_ms=0)
    assert (len(first.id), first.changed_ms > 1_700_000_000_000) == (32, True)
    assert (second.id, second.changed_ms) == ("mine", 0)
    assert Invalidate.now("a", "b", keys=["k"]).tags == ("a", "b")


def test_the_wire_has_every_field_in_its_place() -> None:
    """A reader in another language finds every field of the contract, also those that are empty."""
    assert json.loads(encode(change())) == {
        "staleproof": "change", "schema": 1, "id": "i", "entity": "product", "operation": "modify", "keys": {},
        "old": None, "new": None, "changed_ms": 0, "region": "", "trace": "",
    }  # fmt: skip
    assert json.loads(encode(Invalidate(id="i", tags=("a",)))) == {
        "staleproof": "invalidate", "schema": 1, "id": "i", "namespace": None, "tags": ["a"], "keys": [],
        "soft": False, "row_version": None, "lag_ms": 0, "trace": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"null", b"[]", b"7", b"{}", b"\xff", b'{"staleproof":null}', b'{"staleproof":["change"]}',
        b'{"staleproof":"change","schema":1}', b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800"',
        HEAD + b'{"a":1e999999999}}',
        HEAD + b'{"a":' + b"9" * 10_000 + b"}}",
        HEAD + b'{"a":' * 50 + b"1" + b"}" * 51,
        b'{"staleproof":"invalidate","schema":1,"id":"i","tags":{"a":1}}',
    ],
    ids=range(17),
)  # fmt: skip
def test_what_is_no_message_is_malformed(raw: bytes) -> None:
    """Hostile input ends in an error of ours, whatever it is."""
    with pytest.raises(MalformedEventError):
        decode(raw)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_bytes_break_the_reader(raw: bytes | str) -> None:
    """Of random input nothing but our own errors comes out."""
    with pytest.raises(EventError):
        decode(raw)


@pytest.mark.parametrize(
    "raw", [b'{"staleproof":"change","schema":2,"rows":[]}', b'{"staleproof":"invalidate","schema":"2"}']
)
def test_another_schema_is_told_first(raw: bytes) -> None:
    """A message of a newer release is not called malformed: whoever upgrades can redrive it."""
    with pytest.raises(UnsupportedEventVersionError):
        decode(raw)


def test_a_field_that_was_added_later_is_let_pass() -> None:
    """Within a schema newer writers add fields, and older readers go on."""
    document = json.loads(encode(change())) | {"shard": {"a": 1}}
    assert decode(json.dumps(document)) == change()


def test_a_message_is_bounded() -> None:
    """What is larger than the bound is neither written nor parsed."""
    large = change(new={"a": "x" * bounds.MAX_MESSAGE})
    with pytest.raises(OversizedEventError, match="bytes"):
        encode(large)
    with pytest.raises(OversizedEventError):
        decode(b" " * (bounds.MAX_MESSAGE + 1))
