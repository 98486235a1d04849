"""Paths into documents: what they read, what a change makes, and what is refused; and the merge of RFC 7396."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import MISSING, ConfigurationError
from staleproof.cache.operations import paths

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


def places(document: Any, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in *document*."""
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document if isinstance(document, list) else ())
    )
    return [steps, *(place for step, inner in inside for place in places(inner, (*steps, step)))]


@given(documents, st.data(), scalars)
def test_a_change_is_made_at_one_place_and_on_a_copy(document: Any, data: st.DataObject, value: Any) -> None:
    """What is put at a place is found there, everything else stays, and the old document is untouched."""
    place = data.draw(st.sampled_from(places(document)))
    before = copy.deepcopy(document)
    steps = paths.parsed("$" + paths.rendered(place))
    assert steps == place
    new = paths.changed(document, steps, lambda _: value)
    assert document == before
    assert paths.found(new, steps) == value
    assert paths.changed(new, steps, lambda _: paths.found(before, steps)) == before


@given(documents)
def test_what_json_holds_is_let_through_as_it_is(document: Any) -> None:
    """A document of JSON's types is let through, and is the same after JSON."""
    assert paths.checked(document) == document == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    "value", [(1,), {1: 2}, {1}, b"", object(), float("nan"), float("inf"), [{"a": (1,)}]]
)
def test_what_json_would_change_is_refused(value: Any) -> None:
    """What would come back as something else, or not at all, is refused, naming its type."""
    with pytest.raises(ConfigurationError, match="value: a "):
        paths.checked(value)


def test_deep_documents_are_refused() -> None:
    """A document is at most so deep: nobody's recursion ends a process."""
    deep: Any = 1
    for _ in range(1_000):
        deep = [deep]
    with pytest.raises(ConfigurationError, match="levels deep"):
        paths.checked(deep)


@pytest.mark.parametrize(
    "path", ["", "a", "$..a", "$.*", "$[*]", "$[?(@.a)]", "$.a.", "$[", "$['a]", "$[1:2]", "$" + ".a" * 999]
)
def test_what_means_several_places_is_refused(path: str) -> None:
    """A path names one place, or is refused."""
    with pytest.raises(ConfigurationError, match="path="):
        paths.parsed(path)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a.b_1-c", ("a", "b_1-c")),
        ("$[0][-1]", (0, -1)),
        ('$["a b"][\'c"\']', ("a b", 'c"')),
        (r'$["q\"\\"]', ('q"\\',)),
    ],
)
def test_paths_are_read(path: str, steps: tuple[str | int, ...]) -> None:
    """Names, indexes and quoted names lead inwards."""
    assert paths.parsed(path) == steps


def test_no_place_is_no_change() -> None:
    """Where nothing is to be changed nothing is: a new name needs its object, an index its element."""
    document = {"a": [1], "b": 2}
    for steps in (("c", "d"), ("a", 1), ("a", "x"), ("b", "x"), ("b", 0), (0,)):
        assert paths.changed(document, steps, lambda _: 9) is MISSING
        assert paths.found(document, steps) is MISSING
    assert paths.changed(document, ("c",), lambda _: 9) == {"a": [1], "b": 2, "c": 9}


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7396(document: Any, patch: Any, result: Any) -> None:
    """A merge does what the appendix of RFC 7396 says."""
    assert paths.merged(document, patch) == result
