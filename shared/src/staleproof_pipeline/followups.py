"""What rules ask for beside an invalidation at once: a later one, one of many, a warm-up, or nothing but a report.

Plain values, made by the pure steps; `deferral`, `coalescing` and `warm_requests` carry them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from staleproof.events import Invalidation


class Deferred(NamedTuple):
    """An invalidation to be applied later.

    Attributes:
        invalidation: what is to fall.
        delay_ms: how much later, at least.
    """

    invalidation: Invalidation
    delay_ms: int


class Coalesced(NamedTuple):
    """An invalidation of hot tags, to be applied at most twice a window.

    Attributes:
        invalidation: what is to fall.
        window_ms: the window.
    """

    invalidation: Invalidation
    window_ms: int


class WarmRequested(NamedTuple):
    """A request that keys be loaded again; it asks for speed, and what it names is right without it too.

    Attributes:
        id: of the change that made them stale.
        namespace: where the keys are.
        keys: key texts.
        rules: the rules that ask.
        after_ms: load no earlier than so much later, when replicas have caught up.
        trace: trace id, or "".
    """

    id: str
    namespace: str
    keys: tuple[str, ...]
    rules: tuple[str, ...]
    after_ms: int = 0
    trace: str = ""


class FollowUps(NamedTuple):
    """All of them, of one record.

    Attributes:
        deferred: to be applied later, as well or instead.
        coalesced: to be applied at once or later, as the windows of their tags say.
        warm: to be loaded again.
        shadowed: not to be applied: what rules in shadow mode would have made stale.
    """

    deferred: tuple[Deferred, ...] = ()
    coalesced: tuple[Coalesced, ...] = ()
    warm: tuple[WarmRequested, ...] = ()
    shadowed: tuple[Invalidation, ...] = ()

    def __bool__(self) -> bool:
        return any(self)


NONE = FollowUps()


def joined(parts: Iterable[FollowUps]) -> FollowUps:
    """Return *parts* as one."""
    found = [part for part in parts if part]
    if len(found) < 2:  # noqa: PLR2004 - nearly always: then nothing is to be joined
        return found[0] if found else NONE
    deferred, coalesced, warm, shadowed = zip(*found, strict=True)
    return FollowUps(sum(deferred, ()), sum(coalesced, ()), sum(warm, ()), sum(shadowed, ()))
