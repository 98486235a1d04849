"""Keys: no two argument lists meet in one key, and bad templates fail where they are written."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from staleproof import ConfigurationError, key
from staleproof.keys import MAX_KEY_BYTES, Keyspace, Template
from staleproof.texts import text
from staleproof_pipeline.sources import attribute_values

TEXTS = st.text(max_size=12)


class Colour(Enum):
    RED = "red"


@given(left=st.tuples(TEXTS, TEXTS), right=st.tuples(TEXTS, TEXTS))
def test_different_values_give_different_keys(left: tuple[str, str], right: tuple[str, str]) -> None:
    """The separator, braces and control characters inside a value cannot imitate the template's own."""
    first, second = (key("a:{x}:{y}", x=x, y=y) for x, y in (left, right))
    assert (first == second) == (left == right)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        ("1", "1"),
        ("a:b", "a%3Ab"),
        ("50%", "50%25"),
        (True, "true"),
        (None, "%none"),
        ("%none", "%25none"),
        (1.5, "1.5"),
        (1.0, "1"),
        (-0.0, "0"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+2"), "100"),
        (1e-7, "0.0000001"),
        (1e22, "1" + 22 * "0"),
        (b"\x00\xff", "00ff"),
        (date(2013, 2, 8), "2013-02-08"),
        (datetime(2013, 2, 8, 12, tzinfo=UTC), "2013-02-08T12%3A00%3A00+00%3A00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        ("Zürich", "Zürich"),
    ],
)
def test_a_field_renders_to_its_escaped_text(value: Any, expected: str) -> None:
    """A value's text is what a database's change record would carry, escaped."""
    assert text(value) == expected


NUMBERS = st.one_of(
    st.integers(-(10**37), 10**37),
    st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20),
)


@given(number=NUMBERS)
def test_a_number_has_the_text_that_its_change_record_has(number: int | Decimal) -> None:
    """What an application renders, a rule renders of the same number as DynamoDB's stream carries it."""
    stored = TypeSerializer().serialize(number)
    assert text(number) == text(attribute_values.value(stored, "id"))


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_the_text_that_its_json_has(number: float) -> None:
    """The same of an event's JSON, and of the integer that a whole float equals."""
    assert text(number) == text(json.loads(json.dumps(number))) == text(Decimal(repr(number)))
    if number.is_integer():
        assert text(number) == text(int(Decimal(repr(number))))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("1E+999999"), Decimal("1E-999999")])
def test_a_number_without_a_reasonable_text_is_refused(number: Any) -> None:
    """Neither what equals nothing, nor what would take a megabyte to write down."""
    with pytest.raises(ConfigurationError, match="finite"):
        text(number)


def test_boto3s_binary_renders_as_its_bytes() -> None:
    """A table's resource returns binary keys in a wrapper of its own."""
    assert text(Binary(b"\x00\xff")) == text(b"\x00\xff") == "00ff"


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), {1, 2}])
def test_a_value_without_one_obvious_text_is_refused(value: Any) -> None:
    """The error says what to pass instead."""
    with pytest.raises(ConfigurationError, match="name an attribute"):
        text(value)


@pytest.mark.parametrize("source", ["a:{", "a:}", "a:{x y}", "a:{1}", "a:{}", "", "{x}}", "{x!r}", "{x.}"])
def test_a_bad_template_is_refused(source: str) -> None:
    """It fails when it is parsed, with the template in the message."""
    with pytest.raises(ConfigurationError, match="template"):
        Template(source)


def test_dotted_fields_read_attributes_and_mappings() -> None:
    """A field may go into an object, and says so if it cannot."""
    assert key("u:{user.id}", user={"id": 7}) == "u:7"
    assert key("c:{colour.value}", colour=Colour.RED) == "c:red"
    with pytest.raises(ConfigurationError, match=r"no value for field 'user\.id'"):
        key("u:{user.id}", user={})


def test_a_long_key_ends_in_a_digest() -> None:
    """The server's key is bounded, and long keys with one beginning stay apart."""
    keyspace = Keyspace("n")
    one, two = (keyspace.entry("x" * 10_000 + end) for end in "ab")
    assert one != two
    assert len(one) <= MAX_KEY_BYTES + 16


@given(name=st.text(max_size=40))
def test_an_entry_and_its_lease_share_a_hash_slot(name: str) -> None:
    """Redis hashes what stands between the first brace and the next closing one: never empty, always the same."""
    keyspace = Keyspace("n")

    def tagged(raw: bytes) -> bytes:
        start = raw.index(b"{")
        return raw[start + 1 : raw.index(b"}", start)]

    assert tagged(keyspace.entry(name)) == tagged(keyspace.lease(name)) != b""


@pytest.mark.parametrize("namespace", ["", "a b", "a{b", "a:b", "x" * 65, "é"])
def test_a_bad_namespace_is_refused(namespace: str) -> None:
    """A namespace is part of every key, so its alphabet is small."""
    with pytest.raises(ConfigurationError, match="namespace"):
        Keyspace(namespace)
