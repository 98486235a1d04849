"""All rules of a deployment, and what they say about a change."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from staleproof_pipeline.rules.derive import Targets, derive
from staleproof_pipeline.rules.match import concerns, matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.errors import EventError
    from staleproof_pipeline.change import ChangeEvent, Source
    from staleproof_pipeline.rules.model import Rule, RuleFile


def digest(text: str) -> str:
    """Return the 16 hex digits that name a version of the rules."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


class Rules(Protocol):
    """Whoever has rules: a `Ruleset`, or what reads them anew from time to time (`reload.LiveRules`)."""

    def current(self) -> Ruleset:
        """Return the rules that hold now."""
        ...


class Ruleset:
    """Rules, ready to be asked.

    Args:
        file: the rules.
        text: the file as written; its digest names this version in dead letters.

    Attributes:
        file: the rules as they were read.
        digest: 16 hex digits that name this version of the rules.
        namespaces: the namespaces that rules name.
    """

    def __init__(self, file: RuleFile, text: str) -> None:
        self.file = file
        self._rules = tuple(file.rules)
        self.digest = digest(text)
        self.namespaces = frozenset(rule.namespace for rule in file.rules if rule.namespace)
        self._about = lru_cache(maxsize=1_024)(self._rules_about)
        self._matched = Counter[str]({rule.name: 0 for rule in self._rules})

    def __len__(self) -> int:
        return len(self._rules)

    def current(self) -> Ruleset:
        """See `Rules.current`: these rules do not change."""
        return self

    def knows(self, source: Source, entity: str, channel: str = "") -> bool:
        """Say whether any rule is about *entity*."""
        return bool(self._about(source, entity, channel))

    def entities(self, source: Source) -> list[str]:
        """Return the patterns of every entity of *source* that rules are about."""
        named = [
            pattern for rule in self._rules if rule.when.source is source for pattern in rule.when.entities
        ]
        return sorted(set(named))

    def targets(self, change: ChangeEvent, errors: list[EventError] | None = None) -> list[Targets]:
        """Return what every matching rule makes stale; *errors* takes what would be raised, see `derive`.

        Raises:
            EventError: see `derive`.
        """
        rules = self._about(change.source, change.entity, change.channel)
        matching = [rule for rule in rules if matches(rule.when, change)]
        for rule in matching:
            self._matched[rule.name] += 1
        return [derive(rule, change, shadow=self.file.shadow, errors=errors) for rule in matching]

    def coverage(self) -> Mapping[str, int]:
        """Return how many changes each rule has matched in this process; threads may lose a few of many."""
        return dict(self._matched)

    def carry(self, counts: Mapping[str, int]) -> None:
        """Go on counting from *counts*, those of the rules that these replace."""
        self._matched.update({name: count for name, count in counts.items() if name in self._matched})

    def unmatched(self) -> list[str]:
        """Return the rules that have matched nothing in this process, in the order of the file."""
        return [name for name, count in self._matched.items() if not count]

    @property
    def needs_deferral(self) -> list[str]:
        """The rules that put invalidations off: without somebody to keep these, they would do half their work."""
        return [rule.name for rule in self._rules if rule.delay_ms or rule.harden_ms or rule.coalesce_ms]

    def _rules_about(self, source: Source, entity: str, channel: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._rules if concerns(rule.when, source, entity, channel))
