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
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache.commands import Begin, Load, Read, Release, Store, TakeSnapshot
from staleproof.cache.core import Hit
from staleproof.cache.patience import Patience
from staleproof.cache.reading import catch_up, follow, keep, look, look_following, settle
from staleproof.entry import Entry, carries, encode
from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError
from staleproof.policies import guard
from staleproof.policies.judgement import Miss, Partial, acceptable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.near import Position
    from staleproof.ports import Begun, Snapshot
    from staleproof.tags import TagId

R = TypeVar("R")

LEASE_BYTES = 12


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
    return (yield from leased(call, lambda lease: fill_under(core, call, tags, lease, ticket)))


def refresh(core: Core, call: Call) -> Plan[Any]:
    """Load anew whatever is stored. Another's load under way began earlier, so its value is not taken."""
    near = core.near_for(call)
    ticket = None
    if near is not None:
        near.discard(call.key)
        yield from catch_up(near)
        ticket = near.position()
    return (yield from leased(call, lambda lease: refresh_under(core, call, lease, ticket)))


def leased(call: Call, work: Callable[[bytes], Plan[R]]) -> Plan[R]:
    """Do *work* with a lease of a fresh name, and give it back whatever happens: an interruption too.

    Only where the server cannot be reached the lease is left to run out: asking again would double the wait.
    """
    lease = os.urandom(LEASE_BYTES)
    try:
        return (yield from work(lease))
    except (ProviderUnavailableError, GeneratorExit):
        raise
    except BaseException:
        yield from give_back(call.key, lease)
        raise


def fill_under(
    core: Core, call: Call, tags: Sequence[TagId], lease: bytes, ticket: Position | None
) -> Plan[Any]:
    """Take the lease and load, or wait until somebody else's load is there or patience is over."""
    patience = Patience(call.policy.patience, core.clock)
    begun = yield from begin(call, tags, lease)
    while begun is not None and not begun.leased:
        if patience.is_over():
            return (yield from load_unstored(core, "patience"))
        yield patience.pause()
        found = yield from look(core, call)
        if isinstance(found, Hit):
            return waited(core, call, found, ticket)
        begun = yield from begin(call, tags, lease)
    if begun is None:
        return (yield from load_unstored(core, "provider"))
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


def refresh_under(core: Core, call: Call, lease: bytes, ticket: Position | None) -> Plan[Any]:
    """Take the lease, whoever has it now, and load."""
    patience = Patience(call.policy.patience, core.clock)
    while True:
        begun = yield from begin(call, call.tags, lease)
        if begun is None:
            return (yield from load_unstored(core, "provider"))
        if begun.leased:
            return (yield from load(core, call, call.tags, begun, lease, ticket))
        if patience.is_over():
            return (yield from load_unstored(core, "patience"))
        yield patience.pause()


def begin(call: Call, tags: Sequence[TagId], lease: bytes) -> Plan[Begun | None]:
    """Snapshot *tags* and ask for the lease; None if the server takes no writes (it is full): reads go on unstored."""
    policy = call.policy
    guarded = call.tags_from is not None
    try:
        return (yield Begin(call.key, tags, lease, policy.lease_ms, policy.tag_ttl_ms, guarded))  # type: ignore[no-any-return]
    except ProviderRejectedError:
        return None


def load_unstored(core: Core, reason: str) -> Plan[Any]:
    """Load for oneself alone."""
    core.statistics.loads += 1
    core.statistics.left_unstored(reason)
    return (yield Load())


def load(
    core: Core, call: Call, tags: Sequence[TagId], begun: Begun, lease: bytes, ticket: Position | None
) -> Plan[Any]:
    """Load under a lease that is ours, and store what may be stored."""
    born_ms = int(core.clock.wall() * 1_000)
    core.statistics.loads += 1
    value = yield Load()
    entry = yield from compose(core, call, tags, begun.snapshot, value, born_ms)
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
    row = call.row_of(value)
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


def put(core: Core, call: Call, value: Any) -> Plan[bool]:
    """Store *value* as if its load began now; say whether it was stored. The key must just have been invalidated.

    Under a lease like any load: an invalidation that comes meanwhile breaks it, and the value is not stored after it.
    """
    return (yield from leased(call, lambda lease: put_under(core, call, value, lease)))


def put_under(core: Core, call: Call, value: Any, lease: bytes) -> Plan[bool]:
    """Take the lease, if nobody else has it, and store."""
    born_ms = int(core.clock.wall() * 1_000)
    begun = yield from begin(call, call.tags, lease)
    if begun is None or not begun.leased:
        return False
    if begun.head:
        # Loaded since the key was invalidated just before: a newer read of the source, and near caches may have it.
        yield from give_back(call.key, lease)
        return False
    versions = dict(zip(call.tags, begun.snapshot.versions, strict=True))
    entry = sealed(call, call.tags, versions, value, born_ms, None)
    return (yield from store(core, call, entry, lease))
