"""Cached functions return classes that are still being defined, or come further down: they are resolved when used."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Self

import pytest

from staleproof import Cache, ConfigurationError
from staleproof.providers.memory import MemoryProvider
from tests.unit.both_faces import FACES, Face

CACHE = Cache(MemoryProvider("results"))


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Face:
    """Each face of a cache."""
    return Face(awaited=request.param)


@CACHE.cacheable("later:{number}")
def later(number: int) -> Later:
    """A function of a class that comes further down."""
    return Later(number)


@dataclass
class Later:
    number: int


@dataclass
class User:
    number: int

    @dataclass
    class Name:
        """A nested class."""

        text: str

    @CACHE.cacheable("user:{number}")
    @staticmethod
    def find(number: int) -> User:
        return User(number)

    @CACHE.cacheable("maybe:{self.number}")
    def maybe(self) -> User | None:
        return self

    @CACHE.cacheable("same:{self.number}")
    def same(self) -> Self:
        return self

    @CACHE.cacheable("either:{self.number}")
    def either(self) -> list[Self]:
        return [self]

    @CACHE.cacheable("made:{number}")
    @classmethod
    def made(cls, number: int) -> Self:
        return cls(number)

    @CACHE.cacheable("name:{self.number}")
    def name(self) -> Name:
        return User.Name("ada")

    @CACHE.cacheable_many("many:{number}")
    @staticmethod
    def many(numbers: list[int]) -> dict[int, User]:
        return {number: User(number) for number in numbers}


def test_the_class_being_defined_is_returned() -> None:
    """By name, in a union, as `Self`, nested, by id: loaded, and read back."""
    user = User(1)
    for _ in range(2):
        assert later(1) == Later(1)
        assert User.find(1) == user.maybe() == user.same() == User.made(1) == user
        assert user.either() == [user]
        assert user.name() == User.Name("ada")
        assert User.many([1]) == {1: user}
    assert CACHE.statistics.loads == 8


def test_a_class_within_a_function_is_found() -> None:
    """By the class that the method stands in."""

    @dataclass
    class Node:
        number: int

        @CACHE.cacheable("node:{self.number}")
        def next(self) -> Node | None:
            return Node(self.number + 1)

        @CACHE.cacheable("twin:{self.number}")
        def twin(self) -> Self:
            return self

    node = Node(1)
    assert [node.next(), node.next()] == [Node(2)] * 2
    assert [node.twin(), node.twin()] == [node] * 2


def test_what_is_never_defined_is_told_at_the_first_use() -> None:
    """With the function's name, the annotation and what to do."""

    @CACHE.cacheable("nowhere")
    def nowhere() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return 1

    with pytest.raises(
        ConfigurationError, match="nowhere: the result's annotation 'Nowhere' cannot be resolved"
    ):
        nowhere()


@FACES
def test_what_would_come_back_as_another_class_is_served_and_never_stored(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    """Every caller gets what the function returned; statistics count it, and the log says once what to mend."""

    def count(word: str) -> dict[str, int]:
        return defaultdict(int, {word: 1})

    counts = face.cache.cacheable("counts:{word}")(face.coloured(count))
    with caplog.at_level(logging.WARNING, "staleproof"):
        answers: list[Any] = [face.do(counts("s3cret")) for _ in range(3)]

    statistics = face.cache.statistics
    assert [type(each) for each in answers] == [defaultdict] * 3
    assert (statistics.loads, statistics.stored, statistics.unstored["inexact"]) == (3, 0, 3)
    told = [each.getMessage() for each in caplog.records if "defaultdict" in each.getMessage()]
    assert len(told) <= 1
    assert all("comes back as a dict" in each and "s3cret" not in each for each in told)


@FACES
def test_an_integer_under_float_is_stored_as_what_it_is(face: Face) -> None:
    """The second caller gets the integer that the first got."""
    cost = face.cache.cacheable("cost")(face.coloured(_cost))

    assert [repr(face.do(cost())) for _ in range(2)] == ["5", "5"]
    assert face.cache.statistics.loads == 1


def _cost() -> float:
    return 5


@FACES
def test_an_update_to_what_would_come_back_as_another_class_is_an_error(face: Face) -> None:
    """Whoever changes what is stored is told that it was not; what was stored before stays."""
    cache = face.cache
    face.do(cache.put("k", {"a": 1}, kind=dict[str, int]))
    with pytest.raises(ConfigurationError, match="would not come back as what it is; give kind="):
        face.do(cache.update("k", lambda _: defaultdict(int), kind=dict[str, int]))

    assert face.do(cache.get("k", kind=dict[str, int])) == {"a": 1}
