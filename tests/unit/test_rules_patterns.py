"""Event patterns mean what Amazon EventBridge documents, whatever a document holds."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof_pipeline.rules.operators import OPERATORS, PlacedError
from staleproof_pipeline.rules.pattern import UNTOLD, compiled, plain

EVENT = {
    "source": "aws.ec2",
    "account": None,
    "detail": {
        "state": "running",
        "name": "AutoScaling-1",
        "path": "dir/lib/file.png",
        "empty": "",
        "count": 5,
        "price": Decimal("19.5"),
        "whole": 300,
        "ip": "10.0.0.17",
        "ipv6": "2001:db8::1",
        "flag": True,
        "tags": ["blue", "round"],
        "none": [],
        "labels": frozenset({"x", "y"}),
        "binary": b"\x01\xff",
        "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
        "deep": {"er": 1},
    },
}


def matches(pattern: Any, document: Any = EVENT) -> bool:
    return compiled(pattern)(document)


@pytest.mark.parametrize(
    ("field", "matchers", "expected"),
    [
        # Equals.
        ("state", ["running"], True),
        ("state", ["Running"], False),
        ("state", ["stopped", "running"], True),
        ("empty", [""], True),
        ("state", [""], False),
        ("count", [5], True),
        ("count", ["5"], False),
        ("count", [5.0], False),
        ("whole", [300], True),
        ("whole", [300.0], False),
        ("price", [19.5], True),
        ("flag", [True], True),
        ("flag", ["true"], False),
        ("flag", [1], False),
        ("count", [True], False),
        ("missing", ["x"], False),
        ("binary", ["01ff"], True),
        # Prefix and suffix, in any case too.
        ("state", [{"prefix": "run"}], True),
        ("state", [{"prefix": "RUN"}], False),
        ("state", [{"prefix": {"equals-ignore-case": "RUN"}}], True),
        ("path", [{"suffix": ".png"}], True),
        ("path", [{"suffix": {"equals-ignore-case": ".PNG"}}], True),
        ("path", [{"suffix": ".PNG"}], False),
        ("count", [{"prefix": "5"}], False),
        ("state", [{"equals-ignore-case": "RUNNING"}], True),
        ("state", [{"equals-ignore-case": "RUN"}], False),
        # Wildcards.
        ("path", [{"wildcard": "dir/*.png"}], True),
        ("path", [{"wildcard": "*/lib/*"}], True),
        ("path", [{"wildcard": "*.png"}], True),
        ("path", [{"wildcard": "dir/*/file"}], False),
        ("path", [{"wildcard": "dir/lib/file.png"}], True),
        ("path", [{"wildcard": "*"}], True),
        ("empty", [{"wildcard": "*"}], True),
        ("state", [{"wildcard": "run*ning"}], True),
        ("state", [{"wildcard": "runn*nning"}], False),
        # Anything but.
        ("state", [{"anything-but": "running"}], False),
        ("state", [{"anything-but": "stopped"}], True),
        ("state", [{"anything-but": ["stopped", "running"]}], False),
        ("count", [{"anything-but": 5}], False),
        ("count", [{"anything-but": [4, 6]}], True),
        ("count", [{"anything-but": "5"}], True),
        ("missing", [{"anything-but": "x"}], False),
        ("state", [{"anything-but": {"prefix": "run"}}], False),
        ("state", [{"anything-but": {"prefix": ["x", "run"]}}], False),
        ("state", [{"anything-but": {"prefix": ["x", "y"]}}], True),
        ("path", [{"anything-but": {"suffix": ".png"}}], False),
        ("path", [{"anything-but": {"suffix": [".jpg", ".gif"]}}], True),
        ("state", [{"anything-but": {"equals-ignore-case": ["RUNNING"]}}], False),
        ("path", [{"anything-but": {"wildcard": "*/lib/*"}}], False),
        ("path", [{"anything-but": {"wildcard": ["*/bin/*", "*/etc/*"]}}], True),
        # Numbers.
        ("count", [{"numeric": ["=", 5]}], True),
        ("whole", [{"numeric": ["=", 300.0]}], True),
        ("count", [{"numeric": [">", 0, "<=", 5]}], True),
        ("count", [{"numeric": [">", 5]}], False),
        ("count", [{"numeric": [">=", 5, "<", 6]}], True),
        ("price", [{"numeric": [">", 19, "<", 20]}], True),
        ("state", [{"numeric": [">", 0]}], False),
        ("flag", [{"numeric": ["=", 1]}], False),
        # Addresses.
        ("ip", [{"cidr": "10.0.0.0/24"}], True),
        ("ip", [{"cidr": "10.0.1.0/24"}], False),
        ("ipv6", [{"cidr": "2001:db8::/32"}], True),
        ("ip", [{"cidr": "2001:db8::/32"}], False),
        ("state", [{"cidr": "10.0.0.0/24"}], False),
        # What is there: leaves only.
        ("state", [{"exists": True}], True),
        ("state", [{"exists": False}], False),
        ("missing", [{"exists": False}], True),
        ("missing", [{"exists": True}], False),
        ("deep", [{"exists": True}], False),
        ("deep", [{"exists": False}], True),
        ("none", [{"exists": True}], False),
        ("none", [{"exists": False}], True),
        ("state", [{"exists": False}, "running"], True),
        # Lists and sets: one element is enough.
        ("tags", ["blue"], True),
        ("tags", ["green"], False),
        ("tags", [{"anything-but": "blue"}], True),
        ("labels", ["y"], True),
        ("none", [{"anything-but": "blue"}], False),
    ],
)
def test_an_operator_means_what_is_documented(field: str, matchers: list[Any], expected: bool) -> None:
    """Each operator, on each kind of value: the table of the user guide, and its edges."""
    assert matches({"detail": {field: matchers}}) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["aws.ec2"], "detail": {"state": ["running"]}}, True),
        ({"source": ["aws.ec2"], "detail": {"state": ["stopped"]}}, False),
        ({"account": [None]}, True),
        ({"account": [{"exists": True}]}, True),
        ({"source": [None]}, False),
        ({"$or": [{"source": ["x"]}, {"detail": {"count": [5]}}]}, True),
        ({"$or": [{"source": ["x"]}, {"detail": {"count": [6]}}]}, False),
        ({"source": ["aws.ec2"], "$or": [{"account": ["1"]}, {"account": ["2"]}]}, False),
        ({"detail": {"$or": [{"state": ["stopped"]}, {"count": [{"numeric": [">", 4]}]}]}}, True),
        ({"detail": {"$or": [{"$or": [{"state": ["a"]}, {"state": ["running"]}]}, {"state": ["b"]}]}}, True),
        ({"detail": {"deep": {"er": [1]}}}, True),
        ({"detail": {"deep": {"er": {"er": [{"exists": False}]}}}}, True),
        ({"nowhere": {"x": [{"exists": False}]}}, True),
        ({"nowhere": {"x": ["y"]}}, False),
        ({"detail": {"items": {"sku": ["a"], "n": [1]}}}, True),
        ({"detail": {"items": {"sku": ["a"], "n": [2]}}}, False),
        ({"source": {"x": ["y"]}}, False),
    ],
)
def test_fields_are_joined_by_and_lists_by_or(pattern: dict[str, Any], expected: bool) -> None:
    """What holds for a pattern as a whole; of a list of objects, one must match the whole inner pattern."""
    assert matches(pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "place", "told"),
    [
        ({}, (), "the pattern is empty"),
        ([], (), "a pattern has fields"),
        ({"a": "x"}, ("a",), "a pattern has fields"),
        ({"a": []}, ("a",), "a list has 1 to"),
        ({"a": [{"b": 1}]}, ("a", 0), "there is no operator 'b'"),
        ({"a": ["x", {"prefix": "a", "suffix": "b"}]}, ("a", 1), "one operator, and this has 2"),
        ({"a": [{"prefix": 5}]}, ("a", 0, "prefix"), "5 is not a text"),
        ({"a": [{"prefix": ""}]}, ("a", 0, "prefix"), "'' is not a text"),
        ({"a": [{"prefix": {"x": "y"}}]}, ("a", 0, "prefix"), "equals-ignore-case"),
        ({"a": [{"wildcard": "a**b"}]}, ("a", 0, "wildcard"), "two stars in a row"),
        ({"a": [{"wildcard": "a\\b"}]}, ("a", 0, "wildcard"), "a backslash goes before"),
        ({"a": [{"wildcard": "a\\"}]}, ("a", 0, "wildcard"), "a backslash goes before"),
        ({"a": [{"anything-but": [1, "x"]}]}, ("a", 0, "anything-but"), "a list of texts or of numbers"),
        ({"a": [{"anything-but": []}]}, ("a", 0, "anything-but"), "a list of texts or of numbers"),
        ({"a": [{"anything-but": None}]}, ("a", 0, "anything-but"), "a list of texts or of numbers"),
        ({"a": [{"anything-but": {"cidr": "x"}}]}, ("a", 0, "anything-but"), "anything-but takes one of"),
        ({"a": [{"anything-but": {"prefix": []}}]}, ("a", 0, "anything-but", "prefix"), "the list is empty"),
        ({"a": [{"numeric": [">"]}]}, ("a", 0, "numeric"), "write such as"),
        ({"a": [{"numeric": ["!", 1]}]}, ("a", 0, "numeric"), "write one of"),
        ({"a": [{"numeric": [">", "1"]}]}, ("a", 0, "numeric"), "and a number"),
        ({"a": [{"numeric": ["=", float("nan")]}]}, ("a", 0, "numeric"), "and a number"),
        ({"a": [{"numeric": [">", 6e9]}]}, ("a", 0, "numeric"), "and a number within"),
        ({"a": [{"numeric": [">", 5, "<", 1]}]}, ("a", 0, "numeric"), "is no range"),
        ({"a": [{"numeric": ["<", 5, ">", 1]}]}, ("a", 0, "numeric"), "the lower end first"),
        ({"a": [{"cidr": "10.0.0.0/99"}]}, ("a", 0, "cidr"), "is no range of addresses"),
        ({"a": [{"exists": "yes"}]}, ("a", 0, "exists"), "write exists: true"),
        ({"$or": [{"a": [1]}]}, ("$or",), "at least two patterns"),
        ({"$or": [{"a": [1]}, {"a": ["*", {"x": 1}]}]}, ("$or", 1, "a", 1), "there is no operator 'x'"),
        ({"a": {"b": {}}}, ("a", "b"), "the pattern is empty"),
    ],
)
def test_a_pattern_that_means_nothing_is_refused_at_its_place(
    pattern: Any, place: tuple[Any, ...], told: str
) -> None:
    """Each mistake is told where it is, and with what to write."""
    with pytest.raises(PlacedError) as caught:
        compiled(pattern)
    assert caught.value.place == place
    assert told in str(caught.value)


def test_an_unknown_field_of_a_change_is_refused() -> None:
    """Where the fields are known, a misspelt one is told with the one that was meant."""
    with pytest.raises(PlacedError, match="no field 'detial'; did you mean 'detail'"):
        compiled({"detial": {"x": ["y"]}}, known=("detail", "source"))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"status": "open"}, {"status": ["open"]}),
        ({"status": None}, {"status": [None]}),
        ({"status": ["a", "b"]}, {"status": ["a", "b"]}),
        ({"price": {"numeric": [">", 0]}}, {"price": [{"numeric": [">", 0]}]}),
        ({"home.city": "Bonn"}, {"home": {"city": ["Bonn"]}}),
        ({"home": {"city": "Bonn"}, "home.zip": 5}, {"home": {"city": ["Bonn"], "zip": [5]}}),
        ({"a.prefix": "x"}, {"a": {"prefix": ["x"]}}),
        ({"$or": [{"a": 1}, {"b.c": 2}]}, {"$or": [{"a": [1]}, {"b": {"c": [2]}}]}),
    ],
)
def test_conditions_are_patterns_in_short(conditions: dict[str, Any], expected: dict[str, Any]) -> None:
    """A dot leads into a map, and a single matcher needs no list."""
    assert plain(conditions) == expected


@pytest.mark.parametrize("conditions", [{"a": 1, "a.b": 2}, {"a.b": 1, "a": {"b": 2}}, {"a.b": 2, "a": 1}])
def test_two_conditions_of_one_attribute_are_refused(conditions: dict[str, Any]) -> None:
    """One of them would win in silence."""
    with pytest.raises(PlacedError, match="has a condition already"):
        plain(conditions)


def test_what_is_not_told_matches_everything() -> None:
    """In doubt, invalidate: also what must not exist, and within alternatives."""
    pattern = {
        "old": {"a": ["x"], "b": [{"exists": False}]},
        "$or": [{"old": {"c": [1]}}, {"new": {"c": [2]}}],
    }

    assert matches(pattern, {"old": UNTOLD, "new": {}})
    assert not matches(pattern, {"old": {}, "new": {}})


def test_a_wildcard_is_linear_in_what_it_reads() -> None:
    """A pattern of many stars against a long text that nearly matches ends at once."""
    pattern = "*".join("ab" for _ in range(200)) + "!"

    assert not matches({"a": [{"wildcard": pattern}]}, {"a": "ab" * 200_000})


def test_a_document_may_nest_deeper_than_python_recurses() -> None:
    """Lists within lists are walked, not recursed into."""
    nested: Any = ["x"]
    for _ in range(50_000):
        nested = [nested]

    assert matches({"a": ["x"]}, {"a": nested})


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.decimals(allow_nan=True)
    | st.text(max_size=8)
    | st.binary(max_size=4)
)
values = st.recursive(
    scalars | st.frozensets(st.text(max_size=3), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
texts = st.text(alphabet="ab.*/", min_size=1, max_size=5)
comparisons = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    texts,
    st.builds(lambda text: {"prefix": text}, texts),
    st.builds(lambda text: {"suffix": {"equals-ignore-case": text}}, texts),
    st.builds(lambda text: {"anything-but": {"suffix": [text]}}, texts),
    st.builds(lambda number: {"anything-but": [number]}, st.integers()),
    st.builds(lambda low: {"numeric": [">", low, "<=", low + 5]}, st.integers(-100, 100)),
    st.builds(lambda wanted: {"exists": wanted}, st.booleans()),
    st.just({"cidr": "10.0.0.0/8"}),
    st.just({"wildcard": "a*b*"}),
)
leaves = st.lists(comparisons, min_size=1, max_size=3)
patterns = st.recursive(
    st.dictionaries(st.sampled_from("abc"), leaves, min_size=1, max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner | leaves, min_size=1, max_size=2)
        | st.builds(lambda one, two: {"$or": [one, two]}, inner, inner)
    ),
    max_leaves=6,
)


@given(patterns, values)
def test_matching_is_total_and_pure(pattern: dict[str, Any], document: Any) -> None:
    """Whatever a document holds, a pattern matches or does not, and says the same again."""
    matcher = compiled(pattern)

    assert matcher(document) is matcher(document)


@given(patterns, values)
def test_or_is_the_union_and_fields_are_the_intersection(pattern: dict[str, Any], document: Any) -> None:
    """`$or` of a pattern and another matches what either does; both together what both do."""
    other = {"z": [{"exists": False}], "a": [{"exists": True}]}
    either, both = compiled({"$or": [pattern, other]}), compiled({"$or": [pattern, pattern]})
    if not isinstance(document, list):  # of a list, each element may match another alternative
        assert either(document) is (compiled(pattern)(document) or compiled(other)(document))
    assert both(document) is compiled(pattern)(document)


@given(st.sampled_from([each for each in OPERATORS if each != "anything-but"]), values)
def test_an_operand_of_any_kind_is_accepted_or_refused(name: str, operand: Any) -> None:
    """A wrong operand is told, never raised as something else."""
    with suppress(PlacedError):
        compiled({"a": [{name: operand}]})


@given(texts, st.text(alphabet="ab.*/", max_size=12))
def test_a_wildcard_is_what_a_regular_expression_says(pattern: str, text: str) -> None:
    """Wildcards agree with the expression that they stand for."""
    if "**" in pattern:
        return
    expression = ".*".join(map(re.escape, pattern.split("*")))

    assert matches({"a": [{"wildcard": pattern}]}, {"a": text}) is bool(
        re.fullmatch(expression, text, re.DOTALL)
    )
