"""The plan that makes entries of loaded values, or finds that they must not be stored.

*Tags from the result*, or added by the loader: the guard is read with the first snapshot, before the load, and again
after the late snapshot; if a stripe of a late tag moved, the value is served and not stored. A version that was created
after the load would otherwise bless an old value.

*Lagging source*: a load whose row is older than a fence among its tags is served and not stored.

*A longer life than the policy's*: the versions are prolonged, and must still be those of the snapshot.

*Tags of cached values inside the load*: of hits with the versions that they were judged by, which must still stand
after it (see `staleproof.cache.nesting`); of what was loaded inside like those of the result.

Every value that comes here is counted once: here, if no entry comes of it, else by whoever stores the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache.commands import TakeSnapshot
from staleproof.cache.sealing import admitted, sealed
from staleproof.errors import ProviderError
from staleproof.policies import guard
from staleproof.policies.expiration import life_ms
from staleproof.policies.judgement import acceptable
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.loading import LoadContext
    from staleproof.entry import Entry
    from staleproof.ports import Snapshot
    from staleproof.tags import TagId


class Loaded(Record, frozen=True):
    """What a load brought.

    Attributes:
        value: the value.
        born_ms: UTC milliseconds at which the load began.
        cost_us: what it took, in microseconds.
        context: what the loader said about it.
    """

    value: Any
    born_ms: int
    cost_us: int
    context: LoadContext


class Revealed(Record, frozen=True):
    """The tags of a loaded value that its call does not name.

    Attributes:
        all: all of them.
        guarded: those that are not known from hits alone, which the guard must fence.
    """

    all: Sequence[TagId]
    guarded: Sequence[TagId]


class Item(Record, frozen=True):
    """One loaded value on its way to the server.

    Attributes:
        call: the read that it answers.
        tags: what was snapshot before the load.
        snapshot: their versions then.
        loaded: the value.
        fenced: whether it comes from a source that may lag behind; what is changed in place does not.
    """

    call: Call
    tags: Sequence[TagId]
    snapshot: Snapshot
    loaded: Loaded
    fenced: bool = True


def admit_all(core: Core, items: Sequence[Item]) -> list[Item]:
    """Return those of *items* that are to be stored."""
    taken: list[Item] = []
    refused = 0
    try:
        for item in items:
            if admitted(core, item.call, item.loaded):
                taken.append(item)
            else:
                refused += 1
    except BaseException:
        core.statistics.left_unstored("error", len(items) - refused)
        raise
    return taken


def compose_all(core: Core, items: Sequence[Item]) -> Plan[list[Entry | None]]:
    """Make the entry of each of *items*, None where it must not be stored; one late snapshot serves all."""
    entries: list[Entry | None] = []
    try:
        yield from compose_each(core, items, entries)
    except ProviderError:
        core.statistics.left_unstored("provider", len(items) - len(entries))
        entries += [None] * (len(items) - len(entries))
    except BaseException:
        core.statistics.left_unstored("error", len(items) - len(entries))
        raise
    return entries


def compose_each(core: Core, items: Sequence[Item], entries: list[Entry | None]) -> Plan[None]:
    """Append the entries of *items* to *entries*, one by one."""
    revealed = [revealed_by(item) for item in items]
    late = [
        [tag for tag in tags.all if tag not in set(item.tags)]
        for item, tags in zip(items, revealed, strict=True)
    ]
    union = list(dict.fromkeys(tag for tags in late for tag in tags))
    after: Snapshot | None = None
    if union:
        after = yield TakeSnapshot(union, items[0].call.policy.tag_ttl_ms)
    for item, tags, own in zip(items, revealed, late, strict=True):
        entries.append((yield from compose(core, item, tags, _part(after, union, own))))


def revealed_by(item: Item) -> Revealed:
    """Return the tags of *item* beside those that its call names."""
    context, named = item.loaded.context, set(item.call.tags)
    own = item.call.revealed(item.loaded.value, context.tags)
    if not context.adopted and not context.inherited:
        return Revealed(own, own)
    guarded = list(dict.fromkeys([*own, *(tag for tag in context.adopted if tag not in named)]))
    inherited = (tag for tag in context.inherited if tag not in named)
    return Revealed(list(dict.fromkeys([*guarded, *inherited])), guarded)


def _part(after: Snapshot | None, union: Sequence[TagId], own: Sequence[TagId]) -> Snapshot | None:
    """Return what *after*, a snapshot of *union*, says of *own*."""
    if after is None or not own:
        return None
    places = [union.index(tag) for tag in own]
    versions, least = after.versions, after.min_versions
    return after._replace(versions=[versions[at] for at in places], min_versions=[least[at] for at in places])


def compose(core: Core, item: Item, revealed: Revealed, after: Snapshot | None) -> Plan[Entry | None]:
    """Make the entry of one loaded value, of whose *revealed* tags the late ones were snapshot *after* the load."""
    call, loaded = item.call, item.loaded
    versions = dict(zip(item.tags, item.snapshot.versions, strict=True))
    least = list(item.snapshot.min_versions)
    if after is not None:
        late = [tag for tag in revealed.all if tag not in versions]
        guarded = [tag for tag in late if tag in set(revealed.guarded)]
        if guarded and guard.moved(item.snapshot.guard, after.guard, guarded):
            core.statistics.left_unstored("guard")
            return None
        versions.update(zip(late, after.versions, strict=True))
        least += [row for tag, row in zip(late, after.min_versions, strict=True) if tag in guarded]
    if any(versions[tag] != version for tag, version in loaded.context.inherited.items()):
        core.statistics.left_unstored("tag")
        return None
    row = call.row_of(loaded.value)
    if item.fenced and not acceptable(row, least):
        core.statistics.left_unstored("lagging")
        return None
    if call.guarded or revealed.all:
        core.learn(call.key, revealed.all)
    life = life_ms(call.policy, loaded.value, loaded.context.ttl, core.draw())
    kept = [*call.tags, *revealed.all]
    if not (yield from prolonged(core, call, {tag: versions[tag] for tag in kept}, life)):
        return None
    return sealed(core, call, kept, versions, loaded, row or 0, life)


def prolonged(core: Core, call: Call, versions: Mapping[TagId, bytes], life: int) -> Plan[bool]:
    """Let the tags' versions outlive an entry that lives longer than its policy says; say whether they still stand."""
    policy = call.policy
    if not policy.ttl_ms or 0 < life <= policy.ttl_ms:
        return True
    now: Snapshot = yield TakeSnapshot(list(versions), policy.tag_ttl_for(life), guard=False)
    if list(now.versions) == list(versions.values()):
        return True
    core.statistics.left_unstored("tag")
    return False
