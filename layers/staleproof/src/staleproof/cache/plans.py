"""The plans: the few multi-step paths of a cache, as generators.

Theory of operation
-------------------
A plan yields commands (`staleproof.cache.commands`) and receives their replies; it does no I/O itself. Two drivers
run it, one blocking, one asyncio, and a test may step several plans in any order, which turns races into ordinary
deterministic tests. The order of steps below is the algorithm; each comment says what breaks without it.

*Miss*: snapshot the tags' versions and take the key's lease, **then** load, then store value and snapshot if
the lease is still ours. A version taken after the load would bless an old value with a new version.

*Tags from the result*: the guard is read with the first snapshot, before the load, and again after the late
snapshot; if a stripe of a late tag moved, the value is served and not stored.

*Lagging source*: a load whose row is older than a fence among its tags is served and not stored.

*Near cache*: the journal is read before the entry, in the same round trip; the ticket so gained fences the insert.

Rules: no I/O here, no plan over forty lines, no `yield` of a command outside this module and
`staleproof.cache.reading`.
"""

from __future__ import annotations

import os
from random import random
from typing import TYPE_CHECKING, Any

from staleproof.cache.commands import Begin, Load, Pause, Put, Read, Release, Store, TakeSnapshot
from staleproof.cache.core import Hit
from staleproof.cache.reading import catch_up, follow, keep, look, look_following, settle
from staleproof.entry import Entry, carries, encode
from staleproof.errors import ProviderError
from staleproof.policies import guard
from staleproof.policies.judgement import Miss, Partial, acceptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.near import Position
    from staleproof.ports import Begun, Snapshot
    from staleproof.tags import TagId

LEASE_BYTES = 12
FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1


def serve(core: Core, call: Call) -> Plan[Any]:
    """Return the fresh value of *call*, from the nearest place that has it, or load it."""
    near = core.near_for(call)
    if near is None:
        asked = core.wanted(call)
        verdict = core.judge(call, asked, (yield Read(call.key, asked)))
        return (yield from answer(core, call, verdict, None))
    copy = yield from follow(core, near, call)
    if copy is not None:
        core.statistics.near_hits += 1
        return copy.value
    ticket, verdict = yield from look_following(core, near, call)
    return (yield from answer(core, call, verdict, ticket))


def answer(core: Core, call: Call, verdict: Hit | Miss | Partial, ticket: Position | None) -> Plan[Any]:
    """Turn the judgement of a read into a value."""
    found = yield from settle(core, call, verdict)
    if isinstance(found, Miss):
        return (yield from fill(core, call, found, ticket))
    core.statistics.hits += 1
    keep(core, call, found.value, found.entry, ticket)
    return found.value


# --- loading --------------------------------------------------------------------------------------


def fill(core: Core, call: Call, miss: Miss, ticket: Position | None) -> Plan[Any]:
    """Load under the key's lease and store; or wait for whoever holds it, and take what it stored."""
    core.statistics.missed(miss.reason)
    predicted = miss.entry.revealed_ids if miss.entry and call.tags_from else []
    tags = list(dict.fromkeys([*call.tags, *predicted]))
    lease = os.urandom(LEASE_BYTES)
    deadline = core.clock.monotonic() + call.policy.patience
    pause = FIRST_PAUSE
    begun: Begun = yield begin(call, tags, lease)
    while not begun.leased:
        if core.clock.monotonic() >= deadline:
            return (yield from load_unstored(core))
        yield Pause(pause * (0.5 + random()))
        pause = min(2 * pause, LONGEST_PAUSE)
        found = yield from look(core, call)
        if isinstance(found, Hit):
            return waited(core, call, found, ticket)
        begun = yield begin(call, tags, lease)
    if carries(begun.head, call.tags, begun.snapshot.versions[: len(call.tags)]):
        # The last holder stored between our look and our lease: without this, each of a crowd would load in turn.
        found = yield from look(core, call)
        if isinstance(found, Hit):
            yield from give_back(call.key, lease)
            return waited(core, call, found, ticket)
    return (yield from load(core, call, tags, begun, lease, ticket))


def waited(core: Core, call: Call, found: Hit, ticket: Position | None) -> Any:
    """Return what somebody else has loaded."""
    core.statistics.waits += 1
    keep(core, call, found.value, found.entry, ticket)
    return found.value


def refresh(core: Core, call: Call) -> Plan[Any]:
    """Load anew whatever is stored. Another's load under way began earlier, so its value is not taken."""
    lease = os.urandom(LEASE_BYTES)
    deadline = core.clock.monotonic() + call.policy.patience
    ticket = None
    near = core.near_for(call)
    if near is not None:
        yield from catch_up(near)
        ticket = near.position()
    while True:
        begun: Begun = yield begin(call, call.tags, lease)
        if begun.leased:
            return (yield from load(core, call, call.tags, begun, lease, ticket))
        if core.clock.monotonic() >= deadline:
            return (yield from load_unstored(core))
        yield Pause(LONGEST_PAUSE * random())


def begin(call: Call, tags: Sequence[TagId], lease: bytes) -> Begin:
    """Return the command that opens a load of *call*."""
    policy = call.policy
    return Begin(call.key, tags, lease, policy.lease_ms, policy.tag_ttl_ms, call.tags_from is not None)


def load_unstored(core: Core) -> Plan[Any]:
    """Load for oneself when another's lease outlasts the policy's patience."""
    core.statistics.loads += 1
    core.statistics.left_unstored("patience")
    return (yield Load())


def load(
    core: Core, call: Call, tags: Sequence[TagId], begun: Begun, lease: bytes, ticket: Position | None
) -> Plan[Any]:
    """Load under a lease that is ours, and store what may be stored."""
    born_ms = int(core.clock.wall() * 1_000)
    core.statistics.loads += 1
    try:
        value = yield Load()
        entry = yield from compose(core, call, tags, begun.snapshot, value, born_ms)
    except BaseException:
        yield from give_back(call.key, lease)
        raise
    if entry is None:
        yield from give_back(call.key, lease)
        return value
    if (yield from store(core, call, entry, lease)):
        keep(core, call, value, entry, ticket)
    return value


def compose(
    core: Core, call: Call, tags: Sequence[TagId], snapshot: Snapshot, value: Any, born_ms: int
) -> Plan[Entry | None]:
    """Make the entry of a loaded value; None if it must not be stored."""
    revealed = call.revealed(value)
    late = [tag for tag in revealed if tag not in set(tags)]
    versions = dict(zip(tags, snapshot.versions, strict=True))
    least = list(snapshot.min_versions)
    if late:
        after: Snapshot = yield TakeSnapshot(late, call.policy.tag_ttl_ms)
        if guard.moved(snapshot.guard, after.guard, late):
            core.statistics.left_unstored("guard")
            return None
        versions.update(zip(late, after.versions, strict=True))
        least.extend(after.min_versions)
    row = call.row_version(value) if call.row_version else None
    if not acceptable(row, least):
        core.statistics.left_unstored("lagging")
        return None
    if call.tags_from is not None:
        core.learn(call.key, revealed)
    return sealed(call, [*call.tags, *revealed], versions, value, born_ms, row)


def sealed(
    call: Call, ids: Sequence[TagId], versions: dict[TagId, bytes], value: Any, born_ms: int, row: int | None
) -> Entry:
    """Return *value* as an entry under the given versions."""
    ttl_ms = call.policy.ttl_ms
    return Entry(
        codec=call.codec.codec_id,
        ids=b"".join(ids),
        versions=b"".join(versions[tag] for tag in ids),
        named=len(call.tags),
        born_ms=born_ms,
        expires_ms=born_ms + ttl_ms if ttl_ms else 0,
        row_version=row or 0,
        payload=call.codec.encode(value),
    )


def store(core: Core, call: Call, entry: Entry, lease: bytes) -> Plan[bool]:
    """Store *entry* under our lease. A server that cannot take it costs a miss later, never this answer."""
    try:
        stored: bool = yield Store(call.key, encode(entry), call.policy.ttl_ms, lease)
    except ProviderError:
        core.statistics.left_unstored("provider")
        return False
    if stored:
        core.statistics.stored += 1
    else:
        core.statistics.left_unstored("lease")
    return stored


def give_back(key: str, lease: bytes) -> Plan[None]:
    """Release a lease; if the server is away it expires by itself."""
    try:
        yield Release(key, lease)
    except ProviderError:
        return


# --- writing --------------------------------------------------------------------------------------


def put(core: Core, call: Call, value: Any) -> Plan[None]:
    """Store *value* as if its load began now: snapshot first, then write over whatever is there."""
    born_ms = int(core.clock.wall() * 1_000)
    policy = call.policy
    ids = [*call.tags, *call.revealed(value)]
    snapshot: Snapshot = yield TakeSnapshot(ids, policy.tag_ttl_ms, guard=False)
    versions = dict(zip(ids, snapshot.versions, strict=True))
    entry = sealed(call, ids, versions, value, born_ms, None)
    yield Put(call.key, encode(entry), policy.ttl_ms)
