"""From a raw record to what must be invalidated: source, rules and bounds in one pure step.

Whatever is wrong with a record becomes a value here, so one record's error costs its neighbours nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import EventError
from staleproof.events import Cause, Invalidation
from staleproof_pipeline import bounds
from staleproof_pipeline.errors import ForbiddenEventError, UnforeseenEventError
from staleproof_pipeline.followups import NONE, FollowUps, joined
from staleproof_pipeline.merging import Home, merged
from staleproof_pipeline.sources import Asked, Ignored, Replicated, Several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.derive import Targets
    from staleproof_pipeline.rules.ruleset import Rules, Ruleset
    from staleproof_pipeline.sources import Parsed, RecordSource


class Translated(NamedTuple):
    """What a record asks for.

    Attributes:
        invalidations: to be applied.
        error: why the record, or a part of it, never can be.
        note: what an operator should know, such as a table that no rule names; "" for nothing.
        rules: names of the rules that matched.
        ignored: why its source says that nothing changed; "" if it does not say so.
        follow_ups: what the rules ask for beside.
    """

    invalidations: tuple[Invalidation, ...] = ()
    error: EventError | None = None
    note: str = ""
    rules: tuple[str, ...] = ()
    ignored: str = ""
    follow_ups: FollowUps = NONE


class Translator:
    """Reads records by one set of rules, in one region.

    Args:
        rules: the rules.
        region: where this pipeline runs; what it derives originates here.
        namespace: where rules that name none invalidate.
        peers: the regions whose invalidations are applied here; those of other origins are refused.
        clock: the source of time.
    """

    def __init__(
        self,
        rules: Rules,
        region: str,
        namespace: str,
        *,
        peers: Iterable[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._rules = rules
        self.region = region
        self._namespace = namespace
        self._peers = frozenset(peers)
        self._clock = clock

    def translate(self, record: Any, source: RecordSource) -> Translated:
        """Return what *record* asks for; never raises for what the record holds."""
        return self._guarded(lambda: self._asked_by(source.parse(record)))

    def _asked_by(self, parsed: Parsed) -> Translated:
        match parsed:
            case Several():
                parts = [self._guarded(partial(self._asked_by, part)) for part in parsed.parts]
                return _joined([*parts, *(Translated(error=error) for error in parsed.errors)])
            case Replicated():
                return self._replicated(parsed)
            case Asked():
                return self._asked(parsed)
            case Ignored():
                return Translated(ignored=parsed.reason)
        return self._changed(parsed)

    def _guarded(self, step: Callable[[], Translated]) -> Translated:
        """Take *step*; whatever it raises becomes a value, so that one part's error costs the others nothing."""
        try:
            return step()
        except EventError as error:
            return Translated(error=error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not block the shard: the dead letter keeps it
            unforeseen = UnforeseenEventError(
                f"{type(error).__name__}: {error}; report it with this payload, then redrive"
            )
            unforeseen.__cause__ = error
            return Translated(error=unforeseen)

    def _replicated(self, parsed: Replicated) -> Translated:
        """What another region applied; what began here came back, and is dropped: loops cannot form."""
        foreign = [each for each in parsed.invalidations if each.origin != self.region]
        refused = {
            at: error for at, each in enumerate(foreign) if (error := self._refusal(each, parsed.origin))
        }
        accepted = tuple(each for at, each in enumerate(foreign) if at not in refused)
        return Translated(accepted, next(iter([*parsed.errors, *refused.values()]), None))

    def _asked(self, parsed: Asked) -> Translated:
        """What an application asks for by name; it begins here, so other regions get it from here."""
        asked = Invalidation(
            id=parsed.id,
            origin=self.region,
            namespace=parsed.namespace or self._namespace,
            tags=parsed.tags,
            keys=parsed.keys,
            soft=parsed.soft,
            row_version=parsed.row_version,
            lag_ms=parsed.lag_ms,
            at_ms=int(self._clock.wall() * 1_000),
            trace=parsed.trace,
            cause=Cause(
                source=f"application:{parsed.channel[:200]}" if parsed.channel else "application",
                position=parsed.position,
            ),
        )
        error = self._not_followed(asked.namespace)
        return Translated(error=error) if error else Translated((bounds.checked(asked),))

    def _refusal(self, asked: Invalidation, sender: str) -> ForbiddenEventError | None:
        """Why *asked* may not act here: whoever can put an event could otherwise clear any application's namespace."""
        if asked.origin != sender:
            return ForbiddenEventError(
                f"detail.origin is {sender[:64]!r} and an invalidation's origin {asked.origin!r}; "
                "a region ships only what began there"
            )
        if asked.origin not in self._peers:
            return ForbiddenEventError(
                f"origin {asked.origin!r} is no peer of this region (peers: {_listed(self._peers)}); "
                "add it to STALEPROOF_PEERS, then redrive"
            )
        return self._not_followed(asked.namespace)

    def _not_followed(self, namespace: str) -> ForbiddenEventError | None:
        if namespace not in self.namespaces:
            return ForbiddenEventError(
                f"namespace {namespace[:80]!r} is not followed here (followed: {_listed(self.namespaces)}); "
                "set STALEPROOF_NAMESPACE to it or name it in a rule of this region, then redrive"
            )
        return None

    def _changed(self, change: ChangeEvent) -> Translated:
        rules = self.rules
        errors: list[EventError] = []
        targets = rules.targets(change, errors)
        home = Home(self.region, self._namespace, int(self._clock.wall() * 1_000))
        invalidations, follow_ups = merged(targets, change, home)
        fired = tuple(each.rule for each in targets)
        error = next(iter(errors), None)  # what a rule cannot name keeps nothing back of what can be named
        note = "" if error else _note(rules, change, targets)
        return Translated(invalidations, error, note, fired, "", follow_ups)

    @property
    def rules(self) -> Ruleset:
        """The rules that hold now."""
        return self._rules.current()

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that are followed here."""
        return self.rules.namespaces | {self._namespace}


def _note(rules: Ruleset, change: ChangeEvent, targets: list[Targets]) -> str:
    for each in targets:
        if each.lacking:
            return (
                f"rule {each.rule!r} needs {', '.join(each.lacking)} of {change.entity!r}, which its source "
                f"does not tell: something stale may be missed; {change.source.remedy}"
            )
    if not targets and not rules.knows(change.source, change.entity, change.channel):
        known = ", ".join(rules.entities(change.source)) or "none"
        return (
            f"no rule is about {change.source} {change.entity!r} (there are rules for: {known}); add one, or "
            "filter the event source"
        )
    return ""


def _joined(parts: Sequence[Translated]) -> Translated:
    """One answer for a record that carries several: the first error and note, every invalidation."""
    ignored = [each.ignored for each in parts]
    return Translated(
        tuple(invalidation for each in parts for invalidation in each.invalidations),
        next((each.error for each in parts if each.error), None),
        next((each.note for each in parts if each.note), ""),
        tuple(dict.fromkeys(rule for each in parts for rule in each.rules)),
        ignored[0] if ignored and all(ignored) else "",
        joined(each.follow_ups for each in parts),
    )


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:20]) or "none"
