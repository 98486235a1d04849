"""Keys: no two argument lists meet in one key, and bad templates fail where they are written."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import ConfigurationError, key
from staleproof.keys import MAX_KEY_BYTES, Keyspace, Template, text

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
        (Decimal("1.50"), "1.50"),
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
