"""The invalidation's wire form: stable, readable, bounded, and refused with a reason when it is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import MalformedEventError, UnsupportedEventVersionError
from staleproof.events.invalidation import Cause, Invalidation, convert, decode, encode, new_id
from staleproof.tags import MAX_TAG_BYTES, tag_id

SNAPSHOT = Path(__file__).parent.parent / "snapshots" / "invalidation-1.json"
TAGS = st.lists(st.text(min_size=1, max_size=20), max_size=300).map(tuple)


def test_schema_one_is_read_and_written_as_ever() -> None:
    """The stored sample is what today's code writes, to the byte."""
    stored = SNAPSHOT.read_bytes()
    read = decode(stored)
    assert encode(read) == stored
    assert read.row_version == 9_007_199_254_740_993  # beyond what a double can hold
    assert read.cause == Cause(
        source="dynamodb",
        rules=("flight-changed",),
        position="000001",
        entity="Flights",
        operation="modify",
        changed_ms=1_360_324_799_000,
    )
    assert convert(json.loads(stored)) == read


@given(tags=TAGS, keys=TAGS, clear=st.booleans())
def test_parts_together_say_the_same(tags: tuple[str, ...], keys: tuple[str, ...], clear: bool) -> None:
    """Splitting loses and adds nothing, keeps the id, and clears once."""
    whole = Invalidation(id=new_id(), origin="o", namespace="n", tags=tags, keys=keys, clear=clear)
    parts = list(whole.parts(64))
    assert tuple(tag for part in parts for tag in part.tags) == tags
    assert tuple(key for part in parts for key in part.keys) == keys
    assert [part.clear for part in parts] == [clear, *[False] * (len(parts) - 1)]
    assert {part.id for part in parts} == {whole.id}
    assert all(len(part.tags) <= 64 and len(part.keys) <= 64 for part in parts)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"id":1}',
        b'{"id":"a","origin":"b","namespace":"c","tags":[""]}',
        b"null",
    ],
)
def test_what_is_no_invalidation_is_malformed(raw: bytes) -> None:
    """The error says what was expected."""
    with pytest.raises(MalformedEventError, match="schema 1"):
        decode(raw)


def test_a_newer_schema_is_refused_with_the_way_out() -> None:
    """An old consumer does not guess at a new shape."""
    with pytest.raises(UnsupportedEventVersionError, match="upgrade the consumer, then redrive"):
        decode(b'{"id":"a","origin":"b","namespace":"c","schema":2}')


def test_ids_sort_by_time_and_never_repeat() -> None:
    """An id is a time and eighty random bits."""
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert [each[:12] for each in ids] == sorted(each[:12] for each in ids)


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("tags", "€" * 1_000, "3000 bytes"),
        ("tags", "\ud800", "surrogate"),
        ("keys", "\ud800", "surrogate"),
    ],
)
def test_a_record_whose_tags_no_reader_could_name_is_malformed(field: str, text: str, says: str) -> None:
    """Bytes are counted where the record is read: later on, every read of a near cache would fail at it."""
    document = {"id": "e", "origin": "o", "namespace": "n", field: [text]}
    with pytest.raises(MalformedEventError, match=says):
        convert(document)
    with pytest.raises(MalformedEventError):
        decode(json.dumps(document))


def test_a_record_of_the_longest_tag_is_read() -> None:
    """What `tag_id` takes is never refused on the wire."""
    tags = ("é" * (MAX_TAG_BYTES // 2), "a" * MAX_TAG_BYTES)
    record = Invalidation(id="e", origin="o", namespace="n", tags=tags)
    assert decode(encode(record)).tag_ids == list(map(tag_id, tags))
