"""The plans that read: look at an entry and judge it, and keep the near cache in step with the journal.

See `staleproof.cache.plans` for what a plan is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.cache.commands import Expire, FindEnd, Follow, Read, ReadFollowing
from staleproof.cache.core import Hit
from staleproof.cache.missing import MISSING
from staleproof.cache.near import Copy
from staleproof.errors import (
    CircuitOpenError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.policies.expiration import due_from_ms, kept_ms
from staleproof.policies.judgement import ABSENT, BREAKER, RETAGGED, UNREACHABLE, Miss, Partial
from staleproof.policies.policy import IDLE_STEP

if TYPE_CHECKING:
    from typing import Any

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.near import NearCache, Position
    from staleproof.entry import Entry
    from staleproof.near.copies import Copy as HeldCopy
    from staleproof.ports import JournalPage, Observed

PAGE = 256
"""Journal records that one answer holds at most."""

MAX_PAGES = 16
"""Answers that a reader goes through before it clears its near cache instead."""

MAX_REREADS = 3


OFF = Miss(ABSENT, None)
"""What is found in a cache that is switched off."""


def look(core: Core, call: Call) -> Plan[Hit | Miss]:
    """Read the entry with its tags' versions, and judge it."""
    if core.off:
        return OFF
    asked = core.wanted(call)
    verdict = core.judge(call, asked, (yield Read(call.key, asked)))
    return (yield from settle(core, call, verdict))


def get(core: Core, call: Call) -> Plan[Any]:
    """Return the fresh value of *call*, or `MISSING`: a read that is counted, and loads nothing."""
    statistics = core.statistics
    try:
        found = yield from look(core, call)
    except ProviderUnavailableError as error:
        statistics.missed(outage(error))
        return without_answer(core, call, error)
    if isinstance(found, Hit):
        statistics.hit(found)
        if call.policy.idle is not None:
            yield from prolong(core, call, found.entry)
        return found.value
    statistics.missed(found.reason)
    return MISSING


def prolong(core: Core, call: Call, entry: Entry) -> Plan[None]:
    """Keep an entry that was read from idling away, now and then."""
    idle = call.policy.idle
    if idle is None or not is_touch_due(core, call.key, idle):
        return
    left = max(1, entry.expires_ms - core.now_ms()) if entry.expires_ms else 0
    try:
        yield Expire(call.key, entry.expires_ms, entry.expires_ms, kept_ms(call.policy, left))
    except ProviderError:
        core.touched.pop(call.key, None)


def is_touch_due(core: Core, key: str, idle: float) -> bool:
    """Say whether an entry is to be prolonged now, and remember it."""
    now = core.clock.monotonic()
    last = core.touched.get(key)
    if last is not None and 0 <= now - last < idle * IDLE_STEP:
        return False
    core.touched.put(key, now)
    return True


def peek(core: Core, call: Call) -> Plan[Hit | None]:
    """Look as `get` does, uncounted; None where nothing fresh is found."""
    try:
        found = yield from look(core, call)
    except ProviderUnavailableError:
        if call.policy.fallback == "error":
            raise
        return None
    return found if isinstance(found, Hit) else None


def without_answer(core: Core, call: Call, error: ProviderUnavailableError) -> Any:
    """Return what a read without a loader finds while the server is away: a near copy, if the policy wants that."""
    policy, near = call.policy, core.near_for(call)
    core.statistics.fell_back(policy.fallback)
    if policy.fallback == "error":
        raise error
    copy = None
    if policy.fallback == "stale" and near is not None:
        copy = near.last_resort(call, policy.stale_if_error, core.clock.now())
    return MISSING if copy is None else copy.value


def outage(error: ProviderUnavailableError) -> str:
    """Return the reason of a miss that *error* explains."""
    return BREAKER if isinstance(error, CircuitOpenError) else UNREACHABLE


def life(core: Core, call: Call) -> Plan[float | None]:
    """Return for how many seconds the stored value is still fresh: 0 if it is not, None if for ever."""
    found = yield from peek(core, call)
    if found is None:
        return 0.0
    expires_ms = found.entry.expires_ms
    return max(0, expires_ms - core.now_ms()) / 1_000 if expires_ms else None


def settle(core: Core, call: Call, verdict: Hit | Miss | Partial) -> Plan[Hit | Miss]:
    """Ask again, with the entry's own tags, while it carries others than were asked for."""
    if not isinstance(verdict, Partial):
        return verdict
    for _ in range(MAX_REREADS):
        if not isinstance(verdict, Partial):
            break
        asked = verdict.entry.tag_ids
        verdict = core.judge(call, asked, (yield Read(call.key, asked)))
    if isinstance(verdict, Partial):
        return Miss(RETAGGED, verdict.entry)
    if isinstance(verdict, Hit):
        core.learn(call.key, verdict.entry.revealed_ids)
    return verdict


def follow(core: Core, near: NearCache, call: Call) -> Plan[HeldCopy | None]:
    """Return the near copy after bringing the near cache up to now; None if there is no usable copy."""
    now = core.clock.now()
    # A bound of 0 always asks: two readings of a coarse clock may be equal, with an acknowledgement between.
    copy = near.get(call, now) if call.policy.staleness else None
    if copy is not None or call.key not in near.copies:
        return copy
    yield from catch_up(near)
    return near.get(call, now)


def catch_up(near: NearCache) -> Plan[None]:
    """Read the journal from the cursor to its end; clear if it is too far."""
    if not near.follows:
        return  # there is none: copies live by their age
    for _ in range(MAX_PAGES):
        asked = near.position()
        if not asked.cursor:
            try:
                near.open(asked, (yield FindEnd()))
            except ProviderRejectedError:
                return  # no journal, and no room to begin one: nothing is kept near, and reads go on
            return
        page: JournalPage = yield Follow(asked.cursor, PAGE)
        near.advance(asked, page)
        if page.complete:
            return
    near.reset()


def look_following(core: Core, near: NearCache, call: Call) -> Plan[tuple[Position, Hit | Miss | Partial]]:
    """Read the journal and then the entry; the returned ticket fences the insert of what was read."""
    if call.policy.reader:
        found = yield from look_at_replica(core, near, call)
        if found is not None:
            return found
    if not near.position().cursor:
        yield from catch_up(near)
    wanted = core.wanted(call)
    asked = near.position()
    page: JournalPage
    observed: Observed
    page, observed = yield ReadFollowing(call.key, wanted, asked.cursor, PAGE)
    near.advance(asked, page)
    # The ticket is the place that this answer reached; another thread may have moved the cursor further.
    ticket = asked._replace(cursor=page.last) if page.contiguous else asked
    return ticket, core.judge(call, wanted, observed)


def look_at_replica(core: Core, near: NearCache, call: Call) -> Plan[tuple[Position, Hit] | None]:
    """Read from a replica that has everything up to our place in the primary's journal; None if it has no hit.

    Replication keeps the order of writes, and an invalidation writes its versions before its journal record: so what a
    replica with our last record answers is as fresh as our place in the journal, which is at most `staleness` old.
    """
    try:
        if core.clock.now().elapsed(near.synced) > (call.policy.staleness or 0.0):
            yield from catch_up(near)
        wanted = core.wanted(call)
        asked = near.position()
        page: JournalPage
        page, observed = yield ReadFollowing(call.key, wanted, asked.cursor, PAGE, reader=True)
    except ProviderUnavailableError:
        return None
    verdict = core.judge(call, wanted, observed)
    return (asked, verdict) if page.contiguous and asked.cursor and isinstance(verdict, Hit) else None


def keep(core: Core, call: Call, value: Any, entry: Entry, ticket: Position | None) -> None:
    """Insert a value in the near cache, if the call may use it and nothing has named it since *ticket*."""
    near = core.near_for(call)
    if near is None or ticket is None:
        return
    now = core.clock.now()
    # A copy answers without a second look; from when the entry may be due for a refresh, reads are to get one.
    end_ms = due_from_ms(call.policy, entry.born_ms, entry.expires_ms, entry.cost_us)
    life = max(0.0, end_ms / 1_000 - now.wall) if end_ms else None
    idle = None if call.policy.idle is None else call.policy.idle * IDLE_STEP
    limits = [each for each in (call.policy.ttl, idle) if each is not None]
    if limits:
        life = min(limits if life is None else [life, *limits])  # another host's clock may run ahead
    if life is None or life > 0:
        near.insert(call.key, Copy(value, entry.tag_ids, call, now, life), ticket, entry.size)
