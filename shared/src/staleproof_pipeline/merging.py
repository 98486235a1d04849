"""From the targets of all rules to as few invalidations as possible.

What differs in namespace, fence or effect stays apart: a rule's row version must not fence another rule's tags, and
its delay must not hold them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from staleproof.events import Cause, Invalidation
from staleproof_pipeline import bounds
from staleproof_pipeline.followups import NONE, Coalesced, Deferred, FollowUps, WarmRequested

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.derive import Targets


class Home(NamedTuple):
    """Where and when rules are applied.

    Attributes:
        region: the origin of what they derive.
        namespace: where rules that name none invalidate.
        at_ms: now, in UTC milliseconds.
    """

    region: str
    namespace: str
    at_ms: int


class _Group(NamedTuple):
    """What targets must agree in to be merged."""

    namespace: str
    row_version: int | None
    lag_ms: int
    soft: bool
    shadow: bool
    coalesce_ms: int
    delay_ms: int
    harden_ms: int


def merged(
    targets: Sequence[Targets], change: ChangeEvent, home: Home
) -> tuple[tuple[Invalidation, ...], FollowUps]:
    """Return what is to be applied at once, and what beside.

    Raises:
        EventError: a tag or key is out of bounds.
    """
    groups: dict[_Group, list[Targets]] = {}
    for each in targets:
        if not each.empty:
            groups.setdefault(_group(each, home), []).append(each)
    made = [(group, _invalidation(group, members, change, home)) for group, members in groups.items()]
    now = tuple(each for group, each in made if not group.shadow and not group.coalesce_ms)
    if len(now) == len(made) and not any(group.delay_ms or group.harden_ms for group in groups):
        warm = tuple(_warm(groups, change))
        return now, FollowUps(warm=warm) if warm else NONE
    return now, FollowUps(
        tuple(later for group, each in made if not group.shadow for later in _later(group, each)),
        tuple(
            Coalesced(each, group.coalesce_ms)
            for group, each in made
            if group.coalesce_ms and not group.shadow
        ),
        tuple(_warm(groups, change)),
        tuple(each for group, each in made if group.shadow),
    )


def _later(group: _Group, each: Invalidation) -> Iterator[Deferred]:
    if group.delay_ms:
        yield Deferred(each, group.delay_ms)
    if group.harden_ms:
        yield Deferred(msgspec.structs.replace(each, soft=False), _spread(group.harden_ms, each.id))


def _spread(delay_ms: int, event_id: str) -> int:
    """Return *delay_ms* and up to a quarter more, for an event always the same: a mass of changes is spread."""
    return delay_ms + delay_ms * (crc32(event_id.encode(errors="replace")) % 1_000) // 4_000


def _group(each: Targets, home: Home) -> _Group:
    return _Group(
        each.namespace or home.namespace,
        each.row_version,
        each.lag_ms,
        each.soft,
        each.shadow,
        each.coalesce_ms,
        each.delay_ms,
        each.harden_ms,
    )


def _invalidation(group: _Group, members: Sequence[Targets], change: ChangeEvent, home: Home) -> Invalidation:
    return bounds.checked(
        Invalidation(
            id=change.id,
            origin=home.region,
            namespace=group.namespace,
            tags=tuple(dict.fromkeys(tag for each in members for tag in each.tags)),
            keys=tuple(dict.fromkeys(key for each in members for key in each.keys)),
            clear=any(each.clear for each in members),
            soft=group.soft,
            row_version=group.row_version,
            lag_ms=group.lag_ms,
            at_ms=home.at_ms,
            trace=change.trace,
            cause=_cause(change, members),
        )
    )


def _warm(groups: dict[_Group, list[Targets]], change: ChangeEvent) -> Iterator[WarmRequested]:
    for group, members in groups.items():
        keys = tuple(dict.fromkeys(key for each in members for key in each.warm))
        if keys and not group.shadow:
            rules = tuple(each.rule for each in members if each.warm)
            after_ms = max(group.delay_ms, group.coalesce_ms)
            yield WarmRequested(change.id, group.namespace, keys, rules, after_ms, change.trace)


def _cause(change: ChangeEvent, members: Sequence[Targets]) -> Cause:
    return Cause(
        source=f"{change.source}:{change.entity}",
        rules=tuple(each.rule for each in members),
        position=str(change.position),
        entity=change.entity,
        operation=change.operation.value,
        changed_ms=change.changed_ms,
    )
