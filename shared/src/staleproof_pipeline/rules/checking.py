"""Holding the rules to the examples in their file: what falls is what is expected, and every rule is shown once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import CacheError
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.rules import given
from staleproof_pipeline.rules.explain import explain
from staleproof_pipeline.sources import kafka

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from staleproof_pipeline.rules.example import Example, Expected
    from staleproof_pipeline.rules.explain import Explanation
    from staleproof_pipeline.rules.ruleset import Ruleset


class Fallen(NamedTuple):
    """What falls by an example's changes, each text once and sorted.

    Attributes:
        rules: the rules that fire.
        tags: the tags.
        keys: the keys.
        warm: the keys to be loaded again.
        clear: whether a whole namespace falls.
    """

    rules: list[str]
    tags: list[str]
    keys: list[str]
    warm: list[str]
    clear: bool


class Result(NamedTuple):
    """What became of an example.

    Attributes:
        name: the example's.
        fallen: what falls, None if the change cannot be read.
        differences: one line each, none if it is as expected.
    """

    name: str
    fallen: Fallen | None
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return not self.differences


def check(rules: Ruleset, folder: Path, reading: kafka.Reading = kafka.PLAIN) -> list[Result]:
    """Return what becomes of every example of *rules*, whose file lies in *folder*; *reading* is of Kafka's records."""
    return [_checked(rules, example, folder, reading) for example in rules.file.examples]


def coverage(rules: Ruleset, results: Iterable[Result]) -> Mapping[str, int]:
    """Return how many *results* each rule of *rules* took part in, in the order of the file."""
    seen = Counter(name for each in results if each.fallen for name in each.fallen.rules)
    return {rule.name: seen[rule.name] for rule in rules.file.rules}


def _checked(rules: Ruleset, example: Example, folder: Path, reading: kafka.Reading) -> Result:
    try:
        changes = given.parts(example.given, folder, reading)
    except CacheError as error:
        return Result(example.name, None, (f"given: {error}",))
    explained = [explain(rules, each) for each in changes if isinstance(each, ChangeEvent)]
    errors = tuple(f"dead letter: {each.error}" for each in explained if each.error)
    if not explained:
        errors = (f"given: no change that rules are asked about, but {type(changes[0]).__name__.lower()}",)
    fallen = fell(explained)
    return Result(example.name, fallen, (*errors, *_differences(example.expect, fallen)))


def fell(explained: Sequence[Explanation]) -> Fallen:
    """Return what falls by all of *explained*; rules in shadow mode count as if they were not."""
    targets = [target for each in explained for target in each.targets]
    return Fallen(
        list(dict.fromkeys(name for each in explained for name in each.fired)),
        sorted({tag for each in targets for tag in each.tags}),
        sorted({key for each in targets for key in each.keys}),
        sorted({key for each in targets for key in each.warm}),
        any(each.clear for each in targets),
    )


def _differences(expect: str | Expected, fallen: Fallen) -> Iterator[str]:
    if isinstance(expect, str):
        for field in ("tags", "keys"):
            yield from _compared(field, [], getattr(fallen, field))
        if fallen.clear:
            yield "+ clear: the whole namespace falls"
        return
    for field in ("rules", "tags", "keys", "warm"):
        wanted = getattr(expect, field)
        if wanted is not None:
            yield from _compared(field, wanted, getattr(fallen, field))
    if expect.clear is not None and expect.clear is not fallen.clear:
        yield f"{'-' if expect.clear else '+'} clear: the whole namespace falls"


def _compared(field: str, wanted: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    """Lines as of a diff: what was expected and is not there, then what is there and was not expected."""
    for text in sorted(set(wanted) - set(found)):
        yield f"- {field}: {text}"
    for text in sorted(set(found) - set(wanted)):
        yield f"+ {field}: {text}"
