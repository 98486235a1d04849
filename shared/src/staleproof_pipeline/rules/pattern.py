"""Event patterns in EventBridge's language, over any document: fields are joined by *and*, lists by *or*.

    detail: {state: [shipped, {prefix: "deliver"}], total: [{numeric: [">", 100]}]}
    $or: [{region: [eu-west-1]}, {expired: [true]}]

A leaf is a list of matchers (see `operators`); what is not named does not matter. Where the document has a list, one
of its elements must match, and where it has a list of objects, one of them must match the whole inner
pattern. `exists` concerns leaves: an object, an empty list and a missing field have none; `null` is one.

Evaluating is pure and total: no value of a document raises. What a source does not tell is `UNTOLD`, and matches
everything: in doubt, a change is invalidated.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from staleproof_pipeline.rules.operators import OPERATORS, PlacedError, test_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from staleproof_pipeline.rules.operators import Place

    Matcher = Callable[[Any], bool]

UNTOLD: Any = object()
"""Stands for a part of a document that the source does not tell."""

OR = "$or"
MAX_LIST = 500
"""Matchers of one leaf, and alternatives of one `$or`."""

_FEWEST_ALTERNATIVES = 2


def compiled(pattern: Any, *, known: Collection[str] | None = None, place: Place = ()) -> Matcher:
    """Return what says whether a document matches *pattern*.

    Args:
        pattern: the pattern.
        known: the fields that a document may have at the top, None if any.
        place: where the pattern lies, for errors.

    Raises:
        PlacedError: it means nothing; the error's `place` says where.
    """
    if not isinstance(pattern, dict):
        raise PlacedError(f"{pattern!r:.80}: a pattern has fields, such as {{status: [open]}}", place)
    if not pattern:
        raise PlacedError("the pattern is empty; name a field, such as {status: [open]}", place)
    alternatives = [
        _alternatives(value, known, (*place, name)) for name, value in pattern.items() if name == OR
    ]
    fields = [_field(name, value, known, (*place, name)) for name, value in pattern.items() if name != OR]

    def all_match(value: Any) -> bool:
        return all(field(value) for field in fields) and all(either(value) for either in alternatives)

    return lambda value: value is UNTOLD or any(all_match(each) for each in _objects(value))


def plain(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return *conditions* as a pattern: dotted names lead into maps, and a single matcher needs no list.

    Raises:
        PlacedError: two of them concern the same attribute.
    """
    made: dict[str, Any] = {}
    for name, value in conditions.items():
        _place(made, [name] if name == OR else str(name).split("."), _plain_value(name, value), (name,))
    return made


def _plain_value(name: str, value: Any) -> Any:
    if name == OR and isinstance(value, list):
        return [plain(each) if isinstance(each, dict) else each for each in value]
    if isinstance(value, dict):
        return [value] if len(value) == 1 and next(iter(value)) in OPERATORS else plain(value)
    return value if isinstance(value, list) else [value]


def _place(made: dict[str, Any], path: list[str], value: Any, place: Place) -> None:
    *around, last = path
    for name in around:
        made = made.setdefault(name, {})
        if not isinstance(made, dict):
            raise PlacedError(f"{name!r} has a condition already; keep one of them", place)
    held = made.get(last)
    if isinstance(held, dict) and isinstance(value, dict):
        for name, each in value.items():
            _place(held, [name], each, place)
    elif last in made:
        raise PlacedError(f"{last!r} has a condition already; keep one of them", place)
    else:
        made[last] = value


def _alternatives(value: Any, known: Collection[str] | None, place: Place) -> Matcher:
    if not isinstance(value, list) or not _FEWEST_ALTERNATIVES <= len(value) <= MAX_LIST:
        raise PlacedError(
            f"{OR} takes a list of at least two patterns, such as [{{a: [1]}}, {{b: [2]}}]", place
        )
    matchers = [compiled(each, known=known, place=(*place, at)) for at, each in enumerate(value)]
    return lambda document: any(matcher(document) for matcher in matchers)


def _field(name: Any, value: Any, known: Collection[str] | None, place: Place) -> Matcher:
    if known is not None and name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(sorted(known))}"
        raise PlacedError(f"a change has no field {str(name)[:40]!r}; {fix}", place)
    inner = _leaf(value, place) if isinstance(value, list) else compiled(value, place=place)

    def matches(document: Any) -> bool:
        return inner(document.get(name, ()))

    return matches


def _leaf(matchers: list[Any], place: Place) -> Matcher:
    if not 0 < len(matchers) <= MAX_LIST:
        raise PlacedError(
            f"a list has 1 to {MAX_LIST} matchers, not {len(matchers)}; write such as [open]", place
        )
    wants = {_existence(each, (*place, at)) for at, each in enumerate(matchers)} - {None}
    tests = [
        test_of(each, (*place, at))
        for at, each in enumerate(matchers)
        if _existence(each, (*place, at)) is None
    ]

    def matches(value: Any) -> bool:
        if value is UNTOLD:
            return True
        leaves = list(_leaves(value))
        return bool(leaves) in wants or any(test(leaf) for leaf in leaves for test in tests)

    return matches


def _existence(matcher: Any, place: Place) -> bool | None:
    if not isinstance(matcher, dict) or list(matcher) != ["exists"]:
        return None
    wanted = matcher["exists"]
    if not isinstance(wanted, bool):
        raise PlacedError(f"{wanted!r:.40}: write exists: true or exists: false", (*place, "exists"))
    return wanted


def _leaves(value: Any) -> Iterator[Any]:
    """The scalars of *value*, a scalar or lists of them. Not recursive: a document may nest deeper than Python can."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list | tuple | set | frozenset):
            waiting.extend(each)
        elif not isinstance(each, dict):
            yield each


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of *value*, an object or a list of them; an empty one where there is none."""
    if isinstance(value, dict):
        return [value]
    found: list[Mapping[str, Any]] = []
    if isinstance(value, list | tuple):
        found = [each for each in value if isinstance(each, dict)]
    return found or [{}]
