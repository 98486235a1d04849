"""All rules of a deployment, and what they say about a change."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from staleproof_pipeline.rules.derive import Targets, derive
from staleproof_pipeline.rules.match import concerns, matches

if TYPE_CHECKING:
    from staleproof_pipeline.change import ChangeEvent, Source
    from staleproof_pipeline.rules.model import Rule, RuleFile


class Ruleset:
    """Rules, ready to be asked.

    Args:
        file: the rules.
        text: the file as written; its digest names this version in dead letters.

    Attributes:
        digest: 16 hex digits that name this version of the rules.
        namespaces: the namespaces that rules name.
    """

    def __init__(self, file: RuleFile, text: str) -> None:
        self._rules = tuple(file.rules)
        self.digest = blake2b(text.encode(), digest_size=8).hexdigest()
        self.namespaces = frozenset(rule.namespace for rule in file.rules if rule.namespace)
        self._about = lru_cache(maxsize=1_024)(self._rules_about)

    def __len__(self) -> int:
        return len(self._rules)

    def knows(self, source: Source, entity: str) -> bool:
        """Say whether any rule is about *entity*."""
        return bool(self._about(source, entity))

    def entities(self, source: Source) -> list[str]:
        """Return the patterns of every entity of *source* that rules are about."""
        named = [
            pattern for rule in self._rules if rule.when.source == source for pattern in rule.when.entities
        ]
        return sorted(set(named))

    def targets(self, change: ChangeEvent) -> list[Targets]:
        """Return what every matching rule makes stale.

        Raises:
            MalformedEventError: see `derive`.
        """
        rules = self._about(change.source, change.entity)
        return [derive(rule, change) for rule in rules if matches(rule.when, change)]

    def _rules_about(self, source: Source, entity: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._rules if concerns(rule.when, source, entity))
