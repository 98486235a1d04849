"""The plans that write what no loader of a read brings: put, update in place, prolong.

All of them go through the key's lease, like a load: an invalidation that comes meanwhile breaks it, and what was
written is not stored after it. So a put, an update and a load of one key never overwrite one another unseen.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from staleproof.cache.commands import Expire, Invalidate, TakeSnapshot
from staleproof.cache.composing import Item, Loaded, compose_all
from staleproof.cache.core import Hit
from staleproof.cache.filling import LEASE_BYTES, claim, give_back, leased, store
from staleproof.cache.loading import LoadContext
from staleproof.cache.many import Batch, begin_some
from staleproof.cache.reading import look
from staleproof.cache.storing import batches, store_all
from staleproof.policies.duration import seconds
from staleproof.policies.expiration import kept_ms
from staleproof.policies.judgement import ABSENT, Miss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Begin, Plan
    from staleproof.cache.core import Core
    from staleproof.cache.many import Ours
    from staleproof.events import Invalidation
    from staleproof.policies.duration import Duration
    from staleproof.ports import Begun

_UNKNOWN = Miss(ABSENT, None)


def put(core: Core, call: Call, value: Any) -> Plan[bool]:
    """Store *value* as if its load began now; say whether it was stored. The key must just have been invalidated."""
    return (yield from leased(core, call, lambda lease: put_under(core, call, value, lease)))


def put_under(core: Core, call: Call, value: Any, lease: bytes) -> Plan[bool]:
    """Take the lease, if nobody else has it, and store."""
    begun: Begun = yield begin(call, lease)
    if not begun.leased:
        return put_aside(core, "lease")
    if begun.head:
        # Loaded since the key was invalidated just before: a newer read of the source, and near caches may have it.
        yield from give_back(call.key, lease)
        return put_aside(core, "newer")
    return (yield from deposit(core, call, begun, value, lease))


def put_aside(core: Core, reason: str, values: int = 1) -> bool:
    """Count values that were not stored; say so."""
    core.statistics.puts += values
    core.statistics.left_unstored(reason, values)
    return False


def begin(call: Call, lease: bytes) -> Begin:
    """Return the command that takes the lease and snapshots the call's tags."""
    return claim(call, call.tags, lease)


def deposit(core: Core, call: Call, begun: Begun, value: Any, lease: bytes) -> Plan[bool]:
    """Store *value* under a lease that is ours, as if loaded since; whatever its cost, which was somebody else's."""
    core.statistics.puts += 1
    loaded = Loaded(value, core.now_ms(), 0, LoadContext(call.key))
    (entry,) = yield from compose_all(core, [Item(call, call.tags, begun.snapshot, loaded)])
    if entry is None:
        yield from give_back(call.key, lease)
        return False
    return (yield from store(core, call, entry, lease))


# --- many ------------------------------------------------------------------------------------------


def put_many(core: Core, calls: Sequence[Call], values: Sequence[Any], record: Invalidation) -> Plan[int]:
    """Store *values* as if loaded now, once *record* has invalidated their keys; return how many were stored."""
    core.acknowledged([record], (yield Invalidate([record])))
    lease = os.urandom(LEASE_BYTES)
    batch = Batch(calls, list(values), None)
    stored = 0
    for some in batches(range(len(calls))):
        begun = yield from begin_some(batch, dict.fromkeys(some, _UNKNOWN), some, lease)
        if begun is None:
            put_aside(core, "provider", len(some))
            continue
        newer = [at for at, each in begun.items() if each.begun.head]
        put_aside(core, "lease", len(some) - len(begun))
        put_aside(core, "newer", len(newer))
        for at in newer:
            del begun[at]
            yield from give_back(calls[at].key, lease)
        stored += yield from deposit_all(core, batch, begun, lease)
    return stored


def deposit_all(core: Core, batch: Batch, begun: Mapping[int, Ours], lease: bytes) -> Plan[int]:
    """Store the values of *batch* whose loads *begun*, as `deposit` stores one; return how many were stored."""
    born_ms, values = core.now_ms(), len(begun)
    core.statistics.puts += values
    loaded = {at: Loaded(batch.values[at], born_ms, 0, LoadContext()) for at in begun}
    items = [Item(batch.calls[at], each.tags, each.begun.snapshot, loaded[at]) for at, each in begun.items()]
    keys = {item.call.key for item in items}
    try:
        stored = yield from store_all(core, items, None, lease)
    except GeneratorExit:
        raise
    except BaseException:
        for key in keys:
            yield from give_back(key, lease)
        raise
    for key in keys - stored.keys():
        yield from give_back(key, lease)
    return sum(stored.values())


def touch(core: Core, call: Call, ttl: Duration | None, record: Invalidation) -> Plan[bool]:
    """Let a fresh entry end *ttl* from now, without moving its value; say whether there was one.

    None is the policy's own time to live. If it ends sooner than it would have, *record* tells near copies, which have
    its old end: after the change, for a copy that is read again before it would have the old end once more.
    """
    found = yield from look(core, call)
    if not isinstance(found, Hit):
        return False
    entry, now_ms = found.entry, core.now_ms()
    life = call.policy.ttl_ms if ttl is None else max(1, round(seconds(ttl, "ttl") * 1_000))
    tags = entry.tag_ids
    snapshot = yield TakeSnapshot(tags, call.policy.tag_ttl_for(life), guard=False)
    if b"".join(snapshot.versions) != entry.versions:
        return False
    expires_ms = now_ms + life if life else 0
    moved: bool = yield Expire(call.key, entry.expires_ms, expires_ms, kept_ms(call.policy, life))
    if moved and expires_ms and (not entry.expires_ms or expires_ms < entry.expires_ms):
        core.acknowledged([record], (yield Invalidate([record])))
    return moved
