"""What is allowed in a rules file and probably not meant."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad a finding is.

    Attributes:
        ERROR: a rule can never do what it is for.
        WARNING: something stale may stay, or far more falls than need be.
        HINT: it could be simpler, or shown.
    """

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Finding(NamedTuple):
    """One of them.

    Attributes:
        code: names the kind of finding.
        severity: how bad it is.
        rule: the rule's name.
        what: what is there.
        fix: what to write instead.
    """

    code: str
    severity: Severity
    rule: str
    what: str
    fix: str
