"""The plans that answer a read: the few multi-step paths of a cache, as generators.

Theory of operation
-------------------
A plan yields commands (`staleproof.cache.commands`) and receives their replies; it does no I/O itself. Two drivers
run it, one blocking, one asyncio, and a test may step several plans in any order, which turns races into ordinary
deterministic tests.

*Hit*: by equality of versions, whatever else is in the policy. A hit may be *tended*: prolonged, or loaded anew ahead.

*Miss*: one load a process (`Fly`), and one among processes by the key's lease (`staleproof.cache.filling`). Whoever
waited for a load of this process takes its value only if that load began after he asked; else he looks again, and the
versions judge (`AGAIN`). So nobody is handed what an invalidation that he knows of has outdated.

*Stale*: what is over, or was invalidated softly, may be served meanwhile or instead, as the policy says; never inside a
load, whose result would keep it.

*Near cache*: the journal is read before the entry, in the same round trip; the ticket so gained fences the insert.

*Server away*: by the policy's `fallback`. What is loaded then is not stored, and no lease was taken; what was missed
meanwhile cannot be served afterwards: versions are compared with the server's own, near copies follow the journal.

Rules: no I/O here, no plan over forty lines, no `yield` of a command outside the plans' modules: this one, `reading`,
`filling`, `composing`, `storing`, `writing`, `many`, `explaining` and `searching`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof.cache import filling, nesting, reading
from staleproof.cache.commands import Apart, Depart, Fly, Landed, Read, Turn
from staleproof.cache.core import Hit
from staleproof.cache.missing import MISSING
from staleproof.cache.passing import adopted, look_into
from staleproof.errors import ConfigurationError, LoadTimeoutError, ProviderUnavailableError
from staleproof.policies.expiration import is_due
from staleproof.policies.judgement import EXPIRED, Miss, Partial

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core, Stale
    from staleproof.cache.near import Position
    from staleproof.policies.policy import Policy


JOINED = 2
"""How much more patient a reader is with a load of his own process: its leader may have to wait for another process
first, and then loads. If all gave up together, all would load."""


def serve(core: Core, call: Call) -> Plan[Any]:
    """Return the fresh value of *call*, from the nearest place that has it, or load it."""
    near = core.near_for(call)
    ticket = None
    try:
        if near is None:
            asked = core.wanted(call)
            verdict = core.judge(call, asked, (yield Read(call.key, asked)))
        else:
            copy = yield from reading.follow(core, near, call)
            if copy is not None:
                core.statistics.near_hits += 1
                return copy.value
            ticket, verdict = yield from reading.look_following(core, near, call)
    except ProviderUnavailableError as error:
        return (yield from cut_off(core, call, error))
    return (yield from answer(core, call, verdict, ticket))


def answer(core: Core, call: Call, verdict: Hit | Miss | Partial, ticket: Position | None) -> Plan[Any]:
    """Turn the judgement of a read into a value."""
    try:
        found = yield from reading.settle(core, call, verdict)
    except ProviderUnavailableError as error:
        return (yield from cut_off(core, call, error))
    if isinstance(found, Miss):
        core.statistics.missed(found.reason)
        return adopted(core, call, (yield from make_up(core, call, found, ticket)))
    core.statistics.hit(found)
    reading.keep(core, call, found.value, found.entry, ticket)
    if call.policy.tends:
        return (yield from tend(core, call, found, ticket))
    return found.value


# --- a hit that needs a second look -----------------------------------------------------------------


def tend(core: Core, call: Call, hit: Hit, ticket: Position | None) -> Plan[Any]:
    """Prolong an entry that would idle away, and load one anew whose end is near."""
    policy, entry, now_ms = call.policy, hit.entry, core.now_ms()
    yield from reading.prolong(core, call, entry)
    due = is_due(policy, entry.born_ms, entry.expires_ms, entry.cost_us, now_ms, core.draw())
    if not due or is_resting(core, call):
        return hit.value
    renewed = yield from revalidate(core, call, Miss(EXPIRED, entry), ticket, hit.value)
    return hit.value if renewed is MISSING else renewed


def revalidate(core: Core, call: Call, miss: Miss, ticket: Position | None, old: Any) -> Plan[Any]:
    """Load anew in the background, or here if there is none and nobody else does; `MISSING` if nothing came of it."""
    if (yield Depart(call.flight, lambda: renew(core, call, miss, ticket, old), overdue(call.policy))):
        return MISSING
    try:
        return (yield from renew(core, call, miss, ticket, old))
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - there is a value to serve, and the failure is counted
        return MISSING


def renew(core: Core, call: Call, miss: Miss, ticket: Position | None, old: Any) -> Plan[Any]:
    """Load anew if nobody else does. A loader that fails is left alone for a while, in the background too."""
    try:
        return (yield from filling.renew(core, call, miss, ticket, lambda: old))
    except Exception:
        rest(core, call)
        raise


# --- a miss -----------------------------------------------------------------------------------------


def make_up(core: Core, call: Call, miss: Miss, ticket: Position | None) -> Plan[Any]:
    """Answer a miss: serve what is stale while one reader loads, or load, or serve stale because that failed."""
    stale = core.stale(call, miss)
    if stale is None:
        return (yield from load_once(core, call, miss, ticket))
    policy = call.policy
    if policy.stale_while_revalidate and stale.age <= policy.stale_while_revalidate:
        if is_resting(core, call):
            return served(core, stale, "resting")
        renewed = yield from revalidate(core, call, miss, ticket, stale.value)
        return served(core, stale, "revalidating") if renewed is MISSING else renewed
    if is_resting(core, call):
        return served(core, stale, "resting")
    try:
        return (yield from load_once(core, call, miss, ticket, stale))
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - whatever the loader raised: the policy asked for the stale value then
        rest(core, call)
        return served(core, stale, "error")


def served(core: Core, stale: Stale, occasion: str) -> Any:
    """Count and return a stale value."""
    core.statistics.served_stale(occasion)
    return stale.value


def rest(core: Core, call: Call) -> None:
    """Leave a loader that failed alone for a while."""
    core.resting.put(call.key, core.clock.monotonic() + call.policy.retry_after)


def is_resting(core: Core, call: Call) -> bool:
    """Say whether the loader of *call* failed just now."""
    until = core.resting.get(call.key) if core.resting else None
    return until is not None and core.clock.monotonic() < until


def load_once(
    core: Core, call: Call, miss: Miss, ticket: Position | None, stale: Stale | None = None
) -> Plan[Any]:
    """Load, or take what another load of this process brings; with a *stale* value at hand, not for too long."""
    until = deadline(core, call.policy.hard_timeout, None if stale is None else call.policy.soft_timeout)
    while True:
        plan = partial(filling.fill, core, call, miss, ticket)
        reply = yield fly(core, call, call.flight, plan, until)
        if isinstance(reply, Landed):
            if reply.shared and nesting.inside():
                yield from look_into(core, call)
            return landed(core, reply)
        if reply is not Turn.AGAIN:
            return (yield from unlanded(core, call, reply, stale, until))
        try:
            found = yield from reading.look(core, call)
        except ProviderUnavailableError as error:
            return (yield from do_without(core, call, error, until))
        if isinstance(found, Hit):
            return filling.waited(core, call, found, None)
        miss = found


def fly(core: Core, call: Call, flight: Hashable, plan: Callable[[], Plan[Any]], until: float | None) -> Fly:
    """Return the command that runs *plan* as the one load of *flight*, for a reader who waits *until* then."""
    left = None if until is None else max(0.0, until - core.clock.monotonic())
    policy = call.policy
    return Fly(flight, plan, left, JOINED * policy.patience, overdue(policy), until is not None)


def deadline(core: Core, *bounds: float | None) -> float | None:
    """Return when the first of *bounds* is reached, on the monotonic clock; None if there is none."""
    given = [bound for bound in bounds if bound is not None]
    return core.clock.monotonic() + min(given) if given else None


def overdue(policy: Policy) -> float:
    """Return the age at which a load can store nothing any more: it waited for a lease, and had one."""
    return policy.patience + policy.lease


def landed(core: Core, reply: Landed) -> Any:
    """Return what a flight brought."""
    if reply.shared:
        core.statistics.waited()
    return reply.value


def unlanded(core: Core, call: Call, turn: Turn, stale: Stale | None, until: float | None) -> Plan[Any]:
    """Do without a load that takes too long, or that waits for itself: load for oneself, if there is time."""
    if turn is not Turn.LATE:
        reason = "recursion" if turn is Turn.RECURSIVE else "patience"
        alone = partial(filling.load_unstored, core, call, reason)
        if until is None:
            return (yield from alone())
        reply = yield fly(core, call, object(), alone, until)
        if isinstance(reply, Landed):
            return reply.value
    if stale is not None:
        return served(core, stale, "slow")
    core.statistics.timeouts += 1
    raise LoadTimeoutError(
        f"loading {call.key[:80]!r} took longer than hard_timeout={call.policy.hard_timeout} s; retry, or raise it"
    )


# --- the server is away -----------------------------------------------------------------------------


def cut_off(core: Core, call: Call, error: ProviderUnavailableError) -> Plan[Any]:
    """Answer a read that the server did not answer at all."""
    core.statistics.missed(reading.outage(error))
    return adopted(core, call, (yield from do_without(core, call, error)))


def do_without(
    core: Core, call: Call, error: ProviderUnavailableError, until: float | None = None
) -> Plan[Any]:
    """Answer without the server, as the policy says: *until* then, or within its bound."""
    policy, near = call.policy, core.near_for(call)
    if policy.fallback == "error":
        core.statistics.fell_back("error")
        raise error
    if policy.fallback == "stale" and near is not None:
        copy = near.last_resort(call, policy.stale_if_error, core.clock.now())
        if copy is not None:
            core.statistics.fell_back("stale")
            return copy.value
    core.statistics.fell_back("load")
    return (yield from load_apart(core, call, until or deadline(core, policy.hard_timeout)))


def load_apart(core: Core, call: Call, until: float | None) -> Plan[Any]:
    """Load without the server: still once a process, and not stored."""
    plan = partial(filling.load_unstored, core, call, "provider")
    while True:
        reply = yield fly(core, call, Apart(call.flight), plan, until)
        if isinstance(reply, Landed):
            return landed(core, reply)
        if reply is not Turn.AGAIN:
            return (yield from unlanded(core, call, reply, None, until))


# --- whatever is stored -----------------------------------------------------------------------------


def refresh(core: Core, call: Call) -> Plan[Any]:
    """Load anew whatever is stored. Another's load under way began earlier, so its value is not taken."""
    near = core.near_for(call)
    ticket = None
    try:
        if near is not None:
            near.discard(call.key)
            yield from reading.catch_up(near)
            ticket = near.position()
    except ProviderUnavailableError as error:
        return (yield from do_without(core, call, error))
    return adopted(core, call, (yield from filling.refill(core, call, ticket)))
