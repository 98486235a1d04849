"""A slip in what is passed or returned is refused, clearly, before it passes for an empty answer; on both faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from staleproof import MISSING, ConfigurationError, Policy
from tests.unit.both_faces import Face


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces."""
    return Face(awaited=request.param)


@dataclass
class Point:
    x: int


WRONG: dict[str, Any] = {
    "evict_many": (lambda cache, load: cache.evict_many("user:1"), "one key; pass a list"),
    "get_many": (lambda cache, load: cache.get_many("ab"), "one key; pass a list"),
    "get_many of bytes": (lambda cache, load: cache.get_many(b"ab"), "one key; pass a list"),
    "get_many of numbers": (lambda cache, load: cache.get_many([1]), "key=1 is no text"),
    "get_or_load_many": (lambda cache, load: cache.get_or_load_many("ab", load), "one key; pass a list"),
    "put_many of pairs": (lambda cache, load: cache.put_many([("a", 1)]), "no mapping; pass a dict"),
    "a number": (lambda cache, load: cache.get(5), "key=5 is no text"),
    "bytes": (lambda cache, load: cache.get(b"a"), "key=b'a' is no text"),
    "no tags": (lambda cache, load: cache.get("a", tags=None), "tags=None is no list"),
    "None among the tags": (lambda cache, load: cache.put("a", 1, tags=["b", None]), "None is no text"),
    "a dict as policy": (lambda cache, load: cache.put("a", 1, policy={"ttl": 5}), "neither a Policy nor"),
    "a list of tags": (lambda cache, load: cache.invalidate(["a", "b"]), r"invalidate\(\*tags\)"),
    "nothing": (lambda cache, load: cache.invalidate(), "nothing is named"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_argument_is_refused_by_name(face: Face, what: str) -> None:
    """With what to write instead."""
    act, match = WRONG[what]
    with pytest.raises(ConfigurationError, match=match):
        face.do(act(face.cache, face.coloured(dict)))


def test_an_empty_list_names_nothing_and_is_no_slip(face: Face) -> None:
    """Lists that a program made may be empty."""
    face.do(face.cache.evict_many([]))
    face.do(face.cache.invalidate(keys=[]))
    assert face.do(face.cache.get_many([])) == {}
    assert face.do(face.cache.put_many({})) == 0


def test_a_loader_of_many_that_returns_no_mapping_is_refused(face: Face) -> None:
    """A list has no keys."""
    with pytest.raises(ConfigurationError, match=r"returned \['a'\], a list; return a dict"):
        face.do(face.cache.get_or_load_many(["a"], face.coloured(lambda keys: keys)))


def test_a_loader_of_many_that_returns_nothing_asked_for_is_refused(face: Face) -> None:
    """Ids of another type, or parts of keys, are never found; what nobody asked for is no slip."""
    decorate = face.cache.cacheable_many("p:{number}", each="numbers")

    def texts(numbers: list[int]) -> dict[Any, int]:
        return {str(each): each for each in numbers}

    with pytest.raises(ConfigurationError, match="asked for 1 and returned '1'"):
        face.do(decorate(face.coloured(texts))([1, 2]))
    with pytest.raises(ConfigurationError, match="asked for 'p:1' and returned '1'"):
        face.do(face.cache.get_or_load_many(["p:1"], face.coloured(lambda keys: {"1": 1})))
    assert face.do(face.cache.get_or_load_many(["a"], face.coloured(lambda keys: {"b": 1}))) == {}
    assert face.do(face.cache.get_or_load_many(["a"], face.coloured(lambda keys: {}))) == {}


def test_put_writes_and_refuses_by_kind(face: Face) -> None:
    """As `get` reads by it: a value put with a type is one that reads of the type find."""
    cache = face.cache
    face.do(cache.put("a", Point(1), kind=Point))
    assert face.do(cache.put_many({"b": Point(2)}, kind=Point)) == 1
    assert face.do(cache.put_if_absent("c", Point(3), kind=Point))
    assert face.do(cache.get_many(["a", "b", "c"], kind=Point)) == {
        "a": Point(1),
        "b": Point(2),
        "c": Point(3),
    }


def test_a_loader_of_the_other_face_is_refused(face: Face) -> None:
    """A coroutine is no value, and a value cannot be awaited; nothing is stored."""
    cache, other = face.cache, Face(awaited=not face.awaited)
    for policy in (Policy(), Policy(stale_if_error="1h", ttl="1s")):
        with pytest.raises(ConfigurationError, match="coroutine function; "):
            face.do(cache.get_or_load("k", other.coloured(lambda: 1), policy=policy))
    with pytest.raises(ConfigurationError, match="coroutine function; "):
        face.do(cache.get_or_load_many(["k"], other.coloured(lambda keys: {"k": 1})))
    assert face.do(cache.get("k")) is MISSING
