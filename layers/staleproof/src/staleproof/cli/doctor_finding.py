"""`Finding`: one thing that the doctor saw, what it means for a cache of ours, and what to do about it."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Severity(IntEnum):
    """How bad it is."""

    OK = 0
    """As it should be."""

    INFO = 1
    """Worth knowing; nothing to do."""

    WARNING = 2
    """It works, and will hurt one day."""

    ERROR = 3
    """It does not work, or a promise does not hold."""

    @property
    def word(self) -> str:
        """Its name in lower case."""
        return self.name.lower()


class Finding(NamedTuple):
    """One finding.

    Attributes:
        check: what was looked at; the same word in every release.
        severity: how bad it is.
        found: what was seen.
        means: what follows from it for a cache of ours, "" if nothing does.
        fix: what to do, "" if nothing.
    """

    check: str
    severity: Severity
    found: str
    means: str = ""
    fix: str = ""


def fine(check: str, found: str, means: str = "") -> Finding:
    """Return what is as it should be."""
    return Finding(check, Severity.OK, found, means)


def note(check: str, found: str, means: str = "", fix: str = "") -> Finding:
    """Return what is worth knowing."""
    return Finding(check, Severity.INFO, found, means, fix)


def warn(check: str, found: str, means: str, fix: str) -> Finding:
    """Return what will hurt one day."""
    return Finding(check, Severity.WARNING, found, means, fix)


def fault(check: str, found: str, means: str, fix: str) -> Finding:
    """Return what does not work."""
    return Finding(check, Severity.ERROR, found, means, fix)


def worst(findings: list[Finding]) -> Severity:
    """Return the severity of the worst of *findings*."""
    return max((each.severity for each in findings), default=Severity.OK)
