"""Canonical bytes: two values have one encoding if, and only if, no function could tell them apart."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr

from staleproof import ConfigurationError
from staleproof.keys.canonical import canonical


class Colour(Enum):
    RED = 1
    BLUE = 2


class Number(IntEnum):
    ONE = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Pair:
    x: int
    y: int
    note: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Other:
    x: int
    y: int


class Packed(msgspec.Struct):
    x: int
    y: int


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int
    y: int
    _seen: int = PrivateAttr(default=0)


class Declared:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = object()

    def __cache_key__(self) -> Any:
        return self.number


class Word(str):
    __slots__ = ()


class Marked(str):  # noqa: SLOT000 - with attributes, on purpose
    """A text with a mark, which an encoding as text would lose."""


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, math.inf]),
    st.text(max_size=3),
    st.sampled_from(["1", "True", "None", "s1:1", "i1:1"]),
    st.binary(max_size=3),
    st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("1.00")]),
    st.dates(date(2020, 1, 1), date(2020, 1, 3)),
    st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 9)),  # noqa: DTZ001
    st.sampled_from([Colour.RED, Colour.BLUE, Number.ONE, Rights.READ, Rights.READ | Rights.WRITE]),
    st.sampled_from([UUID(int=1), UUID(int=2), timedelta(1), timedelta(0, 1), Word("1"), int, str]),
)
HASHABLE = st.one_of(SCALARS, st.tuples(SCALARS, SCALARS), st.frozensets(SCALARS, max_size=3))
VALUES = st.recursive(
    st.one_of(SCALARS, st.sets(HASHABLE, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Other, inner, inner),
        st.builds(Packed, inner, inner),
        st.builds(Point, inner, inner),
        st.builds(Model.model_construct, x=inner, y=inner),
    ),
    max_leaves=5,
)


def shape(value: Any) -> Any:
    """The same judgement by other means: types and contents, members of sets and dicts in no order."""
    kind = type(value)
    if isinstance(value, dict):
        return kind, frozenset((shape(key), shape(each)) for key, each in value.items())
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(shape, value))
    if isinstance(value, list | tuple):
        return kind, tuple(map(shape, value))
    if isinstance(value, Pair | Other | Packed | Model):
        return kind, shape(value.x), shape(value.y)
    return kind, repr(value)


@given(one=VALUES, other=VALUES)
def test_encodings_agree_if_and_only_if_values_do(one: Any, other: Any) -> None:
    """Whatever is nested in whatever."""
    assert (canonical(one) == canonical(other)) == (shape(one) == shape(other))


@given(values=st.lists(VALUES, max_size=3), others=st.lists(VALUES, max_size=3))
def test_encodings_are_whole(values: list[Any], others: list[Any]) -> None:
    """Put one behind the other they still say where each ends: no two sequences have one text."""
    one, other = (b"".join(map(canonical, each)) for each in (values, others))
    assert (one == other) == (shape(values) == shape(others))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], (1,)),
        ({1}, frozenset({1})),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, defaultdict(int, a=1)),
        (Pair(1, 2), Other(1, 2)),
        (Point(1, 2), (1, 2)),
        (b"a", bytearray(b"a")),
        (time(1), time(1, fold=1)),
        (datetime(2020, 1, 1, 12, tzinfo=UTC), datetime(2020, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
        (
            datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Paris")),
            datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
        (datetime(2020, 1, 1), date(2020, 1, 1)),  # noqa: DTZ001
        (range(3), range(0, 3, 2)),
        (PurePosixPath("a"), "a"),
        (Colour, Number),
        (Declared(1), Declared(2)),
        (Declared(1), 1),
        ("\ud800", "\ud801"),
    ],
)
def test_kinds_are_kept_apart(one: Any, other: Any) -> None:
    """What only looks alike is not the same."""
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 3, 1}),
        (float("nan"), -float("nan")),
        (Pair(1, 2, "a"), Pair(1, 2, "b")),
        (Declared(1), Declared(1)),
        (Model(x=1, y=2), Model(y=2, x=1)),
        (2**70, 2**70),
    ],
)
def test_what_is_the_same_has_one_encoding(one: Any, other: Any) -> None:
    """In whatever order it was written, and whatever its equality leaves out."""
    assert canonical(one) == canonical(other)


def test_all_of_a_model_counts() -> None:
    """Extra fields and private attributes are part of a pydantic model's equality, so of its encoding."""
    plain, extra, private = Model(x=1, y=2), Model(x=1, y=2, z=3), Model(x=1, y=2)  # pyright: ignore[reportCallIssue]
    private._seen = 1
    assert len({canonical(each) for each in (plain, extra, private)}) == 3


class Idle:
    """An object that is equal to itself alone."""


@pytest.mark.parametrize("value", [object(), Idle(), [Idle()], {"a": {Idle()}}, len, lambda: 1, iter([1])])
def test_what_has_no_value_is_refused(value: Any) -> None:
    """Its text would be an address; the error says what to do instead."""
    with pytest.raises(
        ConfigurationError, match="has no value that a key could be made of; pass its id instead"
    ):
        canonical(value)


def test_a_subclass_that_adds_something_is_refused() -> None:
    """What is in its attributes would be lost."""
    marked = Marked("a")
    assert canonical(marked) != canonical("a")
    marked.mark = 1  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="has no value"):
        canonical(marked)


def test_a_class_without_a_name_of_its_own_is_refused() -> None:
    """Every call of a function makes another class of the same name."""

    class Local:
        pass

    with pytest.raises(ConfigurationError, match="made inside a function"):
        canonical(Local)


def test_endless_values_are_refused() -> None:
    """A list within itself has no end to encode."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConfigurationError, match="nested too deep"):
        canonical(endless)
