"""What became of a letter in a redriving, and the sum of them."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fate(StrEnum):
    """What became of a letter.

    Attributes:
        APPLIED: what it makes stale is gone; the letter is, too.
        IGNORED: it makes nothing stale; the letter is gone.
        AGAIN: it can still not be applied; it stays, with another attempt counted.
        TRIMMED: its records cannot be read any more; it stays.
        CLEARED: so they cannot, and what they may have changed was cleared; it is gone.
        UNREADABLE: it is no letter, or pieces of it are missing; it stays.
        PASSED: the filter does not want it; it stays.
    """

    APPLIED = "applied"
    IGNORED = "ignored"
    AGAIN = "again"
    TRIMMED = "trimmed"
    CLEARED = "cleared"
    UNREADABLE = "unreadable"
    PASSED = "passed"


class Step(NamedTuple):
    """One letter's fate; of a dry run, what it would be.

    Attributes:
        name: the store's name of it.
        fate: what became of it.
        reason: why it was given up.
        source: of its records.
        records: how many it has.
        told: what falls, or what is wrong.
        rules: names of the rules that fire; of a dry run.
    """

    name: str
    fate: Fate
    reason: str = ""
    source: str = ""
    records: int = 0
    told: str = ""
    rules: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON writes it."""
        return {**self._asdict(), "fate": self.fate.value}


def counts(steps: Iterable[Step]) -> dict[str, int]:
    """Return how many letters had each fate."""
    found = Counter(each.fate for each in steps)
    return {fate.value: found[fate] for fate in Fate}
