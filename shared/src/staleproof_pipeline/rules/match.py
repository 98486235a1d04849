"""Whether a rule concerns a change, and if not, why. Pure and total: whatever a change holds, it matches or not."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof_pipeline.change import Operation, Source
from staleproof_pipeline.rules.paths import find
from staleproof_pipeline.rules.pattern import UNTOLD, compiled, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.condition import Condition, When

SHOWN = 60
"""Characters of a value that an explanation shows."""

_FLAGS = ("expired", "truncated", "snapshot", "replayed")


class Check(NamedTuple):
    """One condition, ready to be asked.

    Attributes:
        name: of the condition in the file, such as `changed` or `new`.
        holds: says whether a change fulfils it.
        told: says in words what was wanted, and what the change has instead.
    """

    name: str
    holds: Callable[[ChangeEvent], bool]
    told: Callable[[ChangeEvent], str]


def concerns(when: When, source: Source, entity: str, channel: str = "") -> bool:
    """Say whether *when* is about *entity* of *source* at all."""
    return (
        source is when.source
        and any(like(entity, pattern) for pattern in when.entities)
        and (not when.channel or any(like(channel, pattern) for pattern in when.channel))
    )


def matches(condition: Condition, change: ChangeEvent) -> bool:
    """Say whether a change of an entity that a rule is about is one that it means."""
    return all(check.holds(change) for check in condition.checks)


def mismatch(when: When, change: ChangeEvent) -> tuple[str, str] | None:
    """Return the first condition of *when* that does not hold and why, or None if all do."""
    if change.source is not when.source:
        return "source", f"it is for {when.source}, and this comes from {change.source}"
    if not any(like(change.entity, pattern) for pattern in when.entities):
        name = next((each for each in ("table", "detail_type", "entity") if getattr(when, each)), "entity")
        return name, f"it is about {', '.join(when.entities)}, and this is {change.entity!r}"
    if not concerns(when, change.source, change.entity, change.channel):
        return "channel", f"it listens to {', '.join(when.channel)}, and this came by {change.channel!r}"
    failed = next((check for check in when.checks if not check.holds(change)), None)
    return None if failed is None else (failed.name, failed.told(change))


def checks(condition: Condition) -> tuple[Check, ...]:
    """Return the checks of *condition*, the cheapest first."""
    return tuple(_checks(condition))


def _checks(condition: Condition) -> Iterator[Check]:
    if set(condition.operation) != set(Operation):
        yield _operation(frozenset(condition.operation))
    for flag in _FLAGS:
        if (wanted := getattr(condition, flag)) is not None:
            yield _flag(flag, wanted=wanted)
    if condition.region:
        yield Check(
            "region",
            lambda change: any(like(change.region, pattern) for pattern in condition.region),
            lambda change: f"it happened in {change.region or 'an unknown region'!r}, not {condition.region}",
        )
    if condition.changed:
        yield _changed(condition.changed)
    for side in ("keys", "new", "old"):
        if (conditions := getattr(condition, side)) is not None:
            yield from _values(side, conditions)
    if condition.pattern is not None:
        matcher = compiled(condition.pattern)
        yield Check(
            "pattern",
            lambda change: matcher(document(change)),
            lambda _: "the change does not match the whole pattern",
        )


def _operation(wanted: frozenset[Operation]) -> Check:
    listed = " or ".join(each.value for each in Operation if each in wanted)
    return Check(
        "operation",
        lambda change: change.operation in wanted,
        lambda change: f"it is {change.operation.value}, not {listed}",
    )


def _flag(name: str, *, wanted: bool) -> Check:
    return Check(
        name,
        lambda change: getattr(change, name) is wanted,
        lambda _: f"it is {'not ' * wanted}{name}",
    )


def _changed(paths: Sequence[str]) -> Check:
    return Check(
        "changed",
        lambda change: any(differs(path, change) for path in paths),
        lambda _: f"nothing of {', '.join(paths)} differs",
    )


def _values(side: str, conditions: dict[str, Any]) -> Iterator[Check]:
    """One check an attribute, so that the one that fails can be named."""
    for name, value in plain(conditions).items():
        matcher = compiled({name: value})
        yield Check(f"{side}.{name}", partial(_holds, matcher, side), partial(_value_told, side, name, value))


def _holds(matcher: Callable[[Any], bool], side: str, change: ChangeEvent) -> bool:
    return matcher(_row(side, change))


def _value_told(side: str, name: str, wanted: Any, change: ChangeEvent) -> str:
    row = _row(side, change)
    found = f"is {row[name]!r:.{SHOWN}}" if isinstance(row, dict) and name in row else "is not there"
    return f"{side}.{name} {found}, wanted {wanted!r:.{SHOWN}}"


def _row(side: str, change: ChangeEvent) -> Any:
    """The row before or after, or the keys; nothing if there was no row, `UNTOLD` if the source does not tell."""
    row = getattr(change, side)
    if side == "keys":
        return row or UNTOLD  # a row has a key, whether its source tells it or not
    if row is not None:
        return {**row, **dict.fromkeys(change.untold, UNTOLD)} if side == "new" and change.untold else row
    if side in change.images or _impossible(side, change):
        return {}
    return UNTOLD


def _impossible(side: str, change: ChangeEvent) -> bool:
    """Say whether no row can be there, whatever a source tells. A row of a snapshot may have been another before."""
    if change.snapshot:
        return False
    return (side, change.operation) in {("old", Operation.INSERT), ("new", Operation.REMOVE)}


def document(change: ChangeEvent) -> dict[str, Any]:
    """Return *change* as patterns see it. For events of a bus also under the names that events have."""
    told = {
        "id": change.id,
        "source": change.source.value,
        "entity": change.entity,
        "channel": change.channel,
        "operation": change.operation.value,
        "region": change.region,
        "writer": change.writer,
        "trace": change.trace,
        "changed_ms": change.changed_ms,
        **{flag: getattr(change, flag) for flag in _FLAGS},
        **{side: _row(side, change) for side in ("keys", "old", "new")},
    }
    if change.source is Source.EVENTBRIDGE:
        told |= {"detail-type": change.entity, "detail": told["new"], "source": change.channel}
    return told


def differs(path: str, change: ChangeEvent) -> bool:
    """Say whether the attribute at *path* changed.

    It did if the row came or went, and if the source does not tell: in doubt, invalidate.
    """
    if change.old is None or change.new is None or {"old", "new"} - change.images:
        return True
    return not _same(find(path, change.old), find(path, change.new))


def _same(old: Any, new: Any) -> bool:
    # Python takes True for 1 and 0 for False; to whoever reads the row they are different values.
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(_same(each, new[name]) for name, each in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def like(name: str, pattern: str) -> bool:
    """Say whether *name* is like *pattern*, in which `*` stands for any characters."""
    # Only `*` is special: a name may hold brackets and question marks.
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))
