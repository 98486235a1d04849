"""Why rules fire for a change, why others do not, and what falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import EventError
from staleproof_pipeline.followups import NONE, FollowUps
from staleproof_pipeline.merging import Home, merged
from staleproof_pipeline.rules.derive import derive
from staleproof_pipeline.rules.match import mismatch

if TYPE_CHECKING:
    from staleproof.events import Invalidation
    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.derive import Targets
    from staleproof_pipeline.rules.model import Rule
    from staleproof_pipeline.rules.ruleset import Ruleset

HOME = Home("eu-west-1", "default", 0)


class Verdict(NamedTuple):
    """One rule's answer.

    Attributes:
        rule: its name.
        fired: whether every condition holds.
        condition: the first condition that does not hold, "" if all do.
        why: what was wanted and what is there; of a rule that fired, what is wrong with what it derives, or "".
        targets: what it makes stale, None for nothing.
        error: why not all that it names can fall, or "".
    """

    rule: str
    fired: bool
    condition: str = ""
    why: str = ""
    targets: Targets | None = None
    error: str = ""


class Explanation(NamedTuple):
    """All rules' answers.

    Attributes:
        change: the change.
        verdicts: one a rule, in the order of the file.
        invalidations: what is applied at once.
        follow_ups: what is asked for beside.
        error: why the change goes to the dead letters, or "".
    """

    change: ChangeEvent
    verdicts: tuple[Verdict, ...]
    invalidations: tuple[Invalidation, ...] = ()
    follow_ups: FollowUps = NONE
    error: str = ""

    @property
    def fired(self) -> list[str]:
        """The rules that fire."""
        return [each.rule for each in self.verdicts if each.fired]

    @property
    def targets(self) -> list[Targets]:
        """What each of them makes stale."""
        return [each.targets for each in self.verdicts if each.targets is not None]


def explain(rules: Ruleset, change: ChangeEvent, home: Home = HOME) -> Explanation:
    """Return what *rules* say about *change*, and why."""
    verdicts = tuple(_verdict(rule, change, shadow=rules.file.shadow) for rule in rules.file.rules)
    error = next((each.error for each in verdicts if each.error), "")
    try:
        targets = [each.targets for each in verdicts if each.targets is not None]
        invalidations, follow_ups = merged(targets, change, home)
    except EventError as failure:
        return Explanation(change, verdicts, error=str(failure))
    return Explanation(change, verdicts, invalidations, follow_ups, error)


def _verdict(rule: Rule, change: ChangeEvent, *, shadow: bool) -> Verdict:
    failed = mismatch(rule.when, change)
    if failed is not None:
        return Verdict(rule.name, False, *failed)  # noqa: FBT003 - the fields of a tuple, by position
    errors: list[EventError] = []
    targets = derive(rule, change, shadow=shadow, errors=errors)
    error = str(errors[0]) if errors else ""
    return Verdict(rule.name, fired=True, why=error or _remark(targets), targets=targets, error=error)


def _remark(targets: Targets) -> str:
    if targets.lacking:
        return f"the source does not tell {', '.join(targets.lacking)}: something stale may be missed"
    return "no attribute that its templates name is there" if targets.empty else ""
