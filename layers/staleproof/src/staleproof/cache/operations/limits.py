"""Rate limits: the rule, what it answers, and the plans.

Theory of operation: one number a name lies on the server, and one script reads and moves it, by the server's clock (see
`staleproof.policies.gcra`). So all processes share one limit, and none of their clocks matters. If a reply is lost the
script may run twice: then too much is counted, never too little.

*Without a server* the rule's `unreachable` decides. `"local"` keeps the same limit in this process alone, from empty
memory: so many processes let through so many times the limit, and a name that `MAX_LOCAL` others pushed out begins
anew.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from weakref import WeakSet

from staleproof.cache.operations.counts import whole
from staleproof.cache.operations.performing import Perform
from staleproof.errors import ConfigurationError, ProviderError
from staleproof.policies import gcra
from staleproof.policies.duration import seconds
from staleproof.ports.operations import MAX_COUNT, Forget, Take, Taken
from staleproof.stores import Store

if TYPE_CHECKING:
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.clock import Clock
    from staleproof.policies.duration import Duration

LimitUnreachable: TypeAlias = Literal["local", "allow", "deny", "raise"]

MAX_LOCAL = 10_000
"""Names that a process limits by itself while no server answers."""

MAX_RATE = 10_000
"""Units a second of one name: above, microseconds are too coarse, and one server key too hot."""

LONGEST_WINDOW = 366 * 86_400.0
_US = 1_000_000


_RULES: WeakSet[Rule] = WeakSet()


def _after_fork() -> None:
    for rule in list(_RULES):
        rule.forget()


os.register_at_fork(after_in_child=_after_fork)


class Allowance(NamedTuple):
    """What a rate limit answered; true if it lets the call through.

    Attributes:
        allowed: whether it does.
        limit: how many may come at once, when nothing came for long: the limit and its burst.
        remaining: how many could come now, after this.
        retry_after: seconds after which as much could be taken again; 0 if it was.
        reset_after: seconds after which the limit is full again.
        local: whether this process alone decided, for the server is away.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: float
    reset_after: float
    local: bool = False

    def __bool__(self) -> bool:
        return self.allowed


class Rule:
    """How much may come how often.

    Args:
        limit: so many a *per*, steadily.
        per: seconds, or `"1m"`.
        burst: so many more at once, after a while without any.
        unreachable: what to answer while no server does.
        clock: tells the time where this process decides alone.

    Raises:
        ConfigurationError: an argument is out of its bounds.
    """

    def __init__(
        self, limit: int, per: Duration, burst: int, unreachable: LimitUnreachable, clock: Clock
    ) -> None:
        window = seconds(per, "per")
        if not 0 < window <= LONGEST_WINDOW:
            raise ConfigurationError(f"per={per!r} must be more than 0 and at most 366 days")
        self.capacity = whole("limit", limit, 1, MAX_COUNT) + whole("burst", burst, 0, MAX_COUNT)
        if limit > MAX_RATE * window:
            raise ConfigurationError(
                f"limit={limit!r} per {per!r} is more than {MAX_RATE} a second; split the name, such as by a shard"
            )
        if unreachable not in {"local", "allow", "deny", "raise"}:
            raise ConfigurationError(
                f"unreachable={unreachable!r} is none of 'local', 'allow', 'deny', 'raise'"
            )
        self.interval_us = -(-round(window * _US) // limit)
        if self.interval_us * self.capacity > 10 * LONGEST_WINDOW * _US:
            raise ConfigurationError(f"burst={burst!r} would take more than ten years to refill; lower it")
        self._unreachable = unreachable
        self._refusal = Taken(
            allowed=False, used_us=self.interval_us * self.capacity, wait_us=self.interval_us
        )
        self._local: Store[str, int] = Store(max_entries=MAX_LOCAL, clock=clock)
        self.forget()
        _RULES.add(self)

    def forget(self) -> None:
        """Begin with a free lock, whoever has it now."""
        self._lock = threading.Lock()

    def cost(self, cost: int) -> int:
        """Return *cost*, checked.

        Raises:
            ConfigurationError: it could never be taken.
        """
        if whole("cost", cost, 1, MAX_COUNT) > self.capacity:
            raise ConfigurationError(
                f"cost={cost!r} is more than limit and burst, {self.capacity}, so it could never be let through"
            )
        return cost

    def answer(self, taken: Taken, *, local: bool = False) -> Allowance:
        """Return what was *taken* in the caller's words."""
        free = self.interval_us * self.capacity - taken.used_us
        remaining = max(0, free // self.interval_us)
        wait, reset = taken.wait_us / _US, taken.used_us / _US
        return Allowance(taken.allowed, self.capacity, remaining, wait, reset, local)

    def looked(self, taken: Taken, cost: int, *, local: bool = False) -> Allowance:
        """Return whether *cost* could be taken, after a look."""
        wait = max(taken.wait_us, taken.used_us + self.interval_us * (cost - self.capacity))
        return self.answer(Taken(taken.allowed and wait <= 0, taken.used_us, max(0, wait)), local=local)

    def without_server(self, core: Core, name: str, cost: int, error: ProviderError) -> Taken:
        """Decide alone, and count that it was.

        Raises:
            ProviderError: *error*, if the rule says so.
        """
        if self._unreachable == "raise":
            core.statistics.fell_back("error")
            raise error
        if self._unreachable == "local":
            core.statistics.fell_back("local")
            return self._taken_here(core, name, cost)
        allowed = self._unreachable == "allow"
        core.statistics.fell_back("allowed" if allowed else "denied")
        return Taken(allowed, 0, 0) if allowed else self._refusal

    def _taken_here(self, core: Core, name: str, cost: int) -> Taken:
        now = round(core.clock.wall() * _US)
        with self._lock:
            level = gcra.take(self._local.get(name), now, self.interval_us, self.capacity, cost)
            if level.allowed and cost:
                self._local.set(name, level.full, ttl=max(1.0, (level.full - now) / _US))
        return Taken(level.allowed, level.full - now, level.wait)


def take(core: Core, rule: Rule, name: str, cost: int) -> Plan[Allowance]:
    """Take *cost* from the limit of *name*."""
    cost = rule.cost(cost)
    try:
        taken: Taken = yield Perform(Take(name, rule.interval_us, rule.capacity, cost))
    except ProviderError as error:
        return rule.answer(rule.without_server(core, name, cost, error), local=True)
    return rule.answer(taken)


def peek(core: Core, rule: Rule, name: str, cost: int) -> Plan[Allowance]:
    """Tell whether *cost* could be taken."""
    cost = rule.cost(cost)
    try:
        taken: Taken = yield Perform(Take(name, rule.interval_us, rule.capacity, 0))
    except ProviderError as error:
        return rule.looked(rule.without_server(core, name, 0, error), cost, local=True)
    return rule.looked(taken, cost)


def reset(name: str) -> Plan[None]:
    """Let *name* begin anew."""
    yield Perform(Forget(name, "limit"))
