"""How long an entry lives, and when it is due to be loaded anew. Pure: randomness is an argument."""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, Any

from staleproof.policies.duration import seconds
from staleproof.policies.policy import IDLE_SLACK

if TYPE_CHECKING:
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

_TINY = 1e-12
EARLY = 20
"""One of so many reads would be due before a near copy ends for the sake of `xfetch`."""


def life_ms(policy: Policy, value: Any, own: Duration | None, draw: float) -> int:
    """Return for how long *value* is fresh, in milliseconds; 0 is for ever.

    Args:
        policy: how it is kept.
        value: what was loaded.
        own: a life that the loader itself asked for, or None.
        draw: a random number from 0 to 1, for jitter.
    """
    given = own if own is not None else _from_value(policy, value)
    life = policy.ttl if given is None else seconds(given, "ttl of a loaded value")
    if value is None and policy.negative_ttl is not None:
        life = policy.negative_ttl if life is None else min(life, policy.negative_ttl)
    if life is None:
        return 0
    return max(1, round(life * (1 - policy.jitter * draw) * 1_000))


def _from_value(policy: Policy, value: Any) -> Duration | None:
    return None if policy.ttl_from is None else policy.ttl_from(value)


def kept_ms(policy: Policy, life: int) -> int:
    """Return for how long the server keeps an entry that is fresh for *life* milliseconds from now; 0 is for ever."""
    kept = life + policy.window_ms if life else 0
    if policy.idle is None:
        return kept
    idle = max(1, round(policy.idle * IDLE_SLACK * 1_000))
    return min(kept, idle) if kept else idle


def is_due(policy: Policy, born_ms: int, expires_ms: int, cost_us: int, now_ms: int, draw: float) -> bool:
    """Say whether a fresh entry should be loaded anew ahead of its end.

    By `refresh_ahead`, once that share of its life has passed; by `xfetch`, at random: "Optimal Probabilistic Cache
    Stampede Prevention", A. Vattani, F. Chierichetti, K. Lowenstein, VLDB 2015.
    """
    if not expires_ms:
        return False
    if policy.refresh_ahead is not None and now_ms - born_ms >= policy.refresh_ahead * (expires_ms - born_ms):
        return True
    if policy.xfetch is None:
        return False
    return now_ms - cost_us / 1_000 * policy.xfetch * log(max(draw, _TINY)) >= expires_ms


def due_from_ms(policy: Policy, born_ms: int, expires_ms: int, cost_us: int) -> int:
    """Return the moment from which a read of an entry is to be asked whether it is due, UTC milliseconds; 0 is never.

    Before it, `is_due` says no, or by `xfetch` yes in one of `EARLY` reads: a copy in the process may answer till then.
    """
    if not expires_ms:
        return 0
    due = expires_ms
    if policy.refresh_ahead is not None:
        due = born_ms + ceil(policy.refresh_ahead * (expires_ms - born_ms))
    if policy.xfetch is not None:
        due = min(due, expires_ms - ceil(cost_us / 1_000 * policy.xfetch * log(EARLY)))
    return max(born_ms, due)
