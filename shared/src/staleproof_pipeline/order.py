"""Which records of a batch are the same, which follow one another, and which come again together. Pure.

What is behind a failed record and follows it must be delivered again too, though it was applied: a source that moved on
would acknowledge out of order. Applying it early and once more is harmless, and fresher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator, Sequence

    Naming = Callable[[Any], Hashable | None]


def nameless(_: Any) -> None:
    """Name nothing: no record is another's copy, or follows another."""


class Order(NamedTuple):
    """How records of one source hang together; each function takes a raw record, whatever it holds.

    Attributes:
        identity: its name; records of the same name and content are copies. None for one without.
        lane: what it is about; records of a lane are acknowledged in their order. None for one without order.
        scope: what its source delivers again as a whole, from the first failure on. None for a record of its own.
    """

    identity: Naming = nameless
    lane: Naming = nameless
    scope: Naming = nameless

    def firsts(self, records: Sequence[Any]) -> list[int] | None:
        """Return for each record the number of the first one that it is a copy of, itself mostly; None if no copies."""
        if self.identity is nameless:
            return None
        found: dict[Hashable, int] = {}
        firsts = list(range(len(records)))
        copied = False
        for at, record in enumerate(records):
            name = self.identity(record)
            if name is None:
                continue
            first = found.setdefault(name, at)
            if first != at and same(records[first], record):
                firsts[at] = first
                copied = True
        return firsts if copied else None

    def behind(self, records: Sequence[Any], failed: Collection[int]) -> Iterator[int]:
        """Yield the records behind a *failed* one of their lane."""
        stopped: set[Hashable] = set()
        for at in range(min(failed, default=len(records)), len(records)):
            lane = self.lane(records[at])
            if lane is None:
                continue
            if at in failed:
                stopped.add(lane)
            elif lane in stopped:
                yield at

    def returning(self, records: Sequence[Any], failed: Collection[int]) -> set[int]:
        """Return the records that come again with the *failed* ones: those behind them in their scopes and lanes."""
        stopped: set[Hashable] = set()
        found = set(self.behind(records, failed))
        for at in range(min(failed, default=len(records)), len(records)):
            scope = self.scope(records[at])
            if scope is None:
                continue
            if at in failed:
                stopped.add(scope)
            elif scope in stopped:
                found.add(at)
        return found


ALONE = Order()
"""Every record for itself."""

TOGETHER = Order(scope=lambda _: "")
"""One line: from the first failure on, everything comes again."""


def same(one: Any, other: Any) -> bool:
    """Say whether two records are equal; those that cannot be compared are not."""
    try:
        return bool(one == other)
    except RecursionError:
        return False
