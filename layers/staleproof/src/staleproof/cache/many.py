"""The plans over many keys: each key by the same algorithm as one alone, in a few round trips for all.

What is missing is loaded with one call of the loader, for the keys whose lease is ours. For the others we wait, as one
reader would, and at the end of the policy's patience load what is still missing, unstored. All calls share one policy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.cache.commands import BeginMany, Invalidate, Load, ReadMany, StoreMany
from staleproof.cache.composing import Item, Loaded, compose_all
from staleproof.cache.filling import LEASE_BYTES, foreseen, give_back, is_news, without_server
from staleproof.cache.loading import LoadContext
from staleproof.cache.missing import MISSING
from staleproof.cache.patience import Patience
from staleproof.cache.reading import catch_up, keep, settle
from staleproof.cache.sealing import admitted
from staleproof.entry import encode
from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError
from staleproof.policies.expiration import kept_ms
from staleproof.policies.judgement import ABSENT, BREAKER, Miss
from staleproof.ports import Claim, Deposit, Want

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.near import Position
    from staleproof.events import Invalidation
    from staleproof.ports import Begun
    from staleproof.tags import TagId

BATCH = 500
"""Keys of one round trip at most."""

_UNKNOWN = Miss(ABSENT, None)


class Ours(NamedTuple):
    """A load that is ours: the tags that were snapshot for it, and what `begin` said."""

    tags: Sequence[TagId]
    begun: Begun


class Batch(NamedTuple):
    """What is being answered.

    Attributes:
        calls: the reads, all under one policy.
        values: what was found so far; `MISSING` where nothing was.
        ticket: fences inserts into the near cache; None without one.
    """

    calls: Sequence[Call]
    values: list[Any]
    ticket: Position | None


def look_many(core: Core, calls: Sequence[Call]) -> Plan[list[Any]]:
    """Return what the server has fresh for each of *calls*, `MISSING` for the rest; never load."""
    batch = Batch(calls, [MISSING] * len(calls), None)
    for some in batches(range(len(calls))):
        yield from read_some(core, batch, some)
    return batch.values


def serve_many(core: Core, calls: Sequence[Call]) -> Plan[list[Any]]:
    """Return a value for each of *calls*, loading what is missing; `MISSING` for what the loader does not return."""
    batch = Batch(calls, [MISSING] * len(calls), None)
    if not calls:
        return batch.values
    missing: dict[int, Miss] = {}
    try:
        batch, wanted = yield from from_near(core, batch)
        for some in batches(wanted):
            missing |= yield from read_some(core, batch, some)
    except ProviderUnavailableError as error:
        core.statistics.missed(BREAKER)
        without_server(core, calls[0], error)
        return (yield from load_rest(core, batch, "provider"))
    core.statistics.hits += len(wanted) - len(missing)
    for miss in missing.values():
        core.statistics.missed(miss.reason)
    if missing:
        yield from fill_many(core, batch, missing)
    return batch.values


def from_near(core: Core, batch: Batch) -> Plan[tuple[Batch, list[int]]]:
    """Take what the near cache has; return the rest, and a ticket for what will be read of it."""
    near = core.near_for(batch.calls[0])
    if near is None:
        return batch, list(range(len(batch.calls)))
    yield from catch_up(near)
    now = core.clock.now()
    wanted = []
    for at, call in enumerate(batch.calls):
        copy = near.get(call, now)
        if copy is None:
            wanted.append(at)
        else:
            batch.values[at] = copy.value
    core.statistics.near_hits += len(batch.calls) - len(wanted)
    return batch._replace(ticket=near.position()), wanted


def read_some(core: Core, batch: Batch, some: Sequence[int]) -> Plan[dict[int, Miss]]:
    """Read *some* of the batch in one round trip; return what was missed."""
    wants = [Want(batch.calls[at].key, core.wanted(batch.calls[at])) for at in some]
    observed = yield ReadMany(wants)
    missed = {}
    for at, want, one in zip(some, wants, observed, strict=True):
        call = batch.calls[at]
        found = yield from settle(core, call, core.judge(call, want.tags, one))
        if isinstance(found, Miss):
            missed[at] = found
        else:
            batch.values[at] = found.value
            keep(core, call, found.value, found.entry, batch.ticket)
    return missed


def fill_many(core: Core, batch: Batch, missing: dict[int, Miss]) -> Plan[None]:
    """Load what is *missing*, waiting for others' loads as long as the policy says."""
    policy = batch.calls[0].policy
    patience = Patience(policy.patience, core.clock)
    while missing:
        try:
            yield from fill_ours(core, batch, missing)
            if not missing or patience.is_over():
                break
            yield patience.pause()
            yield from take_stored(core, batch, missing, list(missing))
        except ProviderUnavailableError as error:
            without_server(core, batch.calls[0], error)
            break
    if missing:
        yield from load_rest(core, batch, "patience")


def take_stored(core: Core, batch: Batch, missing: dict[int, Miss], places: Sequence[int]) -> Plan[list[int]]:
    """Take what others have stored at *places*, which is no longer *missing* then; return where that was."""
    taken = []
    for some in batches(places):
        still = yield from read_some(core, batch, some)
        taken += [at for at in some if at not in still]
    for at in taken:
        core.statistics.waits += 1
        del missing[at]
    return taken


def fill_ours(core: Core, batch: Batch, missing: dict[int, Miss]) -> Plan[None]:
    """Take the leases that are free, and load under them; what another loads stays *missing*."""
    lease = os.urandom(LEASE_BYTES)
    begun: dict[int, Ours] = {}
    try:
        for some in batches(list(missing)):
            begun |= yield from begin_some(batch, missing, some, lease)
        news = [at for at, each in begun.items() if is_news(missing[at], batch.calls[at], each.begun)]
        yield from take_news(core, batch, missing, begun, news, lease)
        if begun:
            yield from load_some(core, batch, begun, lease)
    except (ProviderUnavailableError, GeneratorExit):
        raise
    except BaseException:
        for at in begun:
            yield from give_back(batch.calls[at].key, lease)
        raise
    for at in begun:
        del missing[at]


def begin_some(
    batch: Batch, missing: Mapping[int, Miss], some: Sequence[int], lease: bytes
) -> Plan[dict[int, Ours]]:
    """Begin the loads of *some*; return those whose lease is ours. A server that takes no writes gives none."""
    calls, policy = batch.calls, batch.calls[0].policy
    claims = [Claim(calls[at].key, foreseen(calls[at], missing[at]), lease) for at in some]
    guarded = any(calls[at].guarded for at in some)
    try:
        begun = yield BeginMany(claims, policy.lease_ms, policy.tag_ttl_ms, guarded)
    except ProviderRejectedError:
        return {}
    granted = zip(some, claims, begun, strict=True)
    return {at: Ours(claim.tags, each) for at, claim, each in granted if each.leased}


def take_news(
    core: Core, batch: Batch, missing: dict[int, Miss], begun: dict[int, Ours], news: list[int], lease: bytes
) -> Plan[None]:
    """Take what was stored between our look and our lease."""
    for at in (yield from take_stored(core, batch, missing, news)):
        del begun[at]
        yield from give_back(batch.calls[at].key, lease)


def load_some(core: Core, batch: Batch, begun: Mapping[int, Ours], lease: bytes) -> Plan[None]:
    """Call the loader once for all that *begun*, and store what it returns."""
    loaded = yield from run_loader(core, batch, list(begun))
    items, places = [], []
    for at, each in begun.items():
        call = batch.calls[at]
        if at in loaded:
            batch.values[at] = loaded[at].value
            if admitted(core, call, loaded[at]):
                items.append(Item(call, each.tags, each.begun.snapshot, loaded[at]))
                places.append(at)
    entries = yield from compose_all(core, items)
    ready = [
        (at, item, entry) for at, item, entry in zip(places, items, entries, strict=True) if entry is not None
    ]
    for at in set(begun) - {at for at, _, _ in ready}:
        yield from give_back(batch.calls[at].key, lease)
    for some in batches(ready):
        yield from store_some(core, batch, some, lease)


def store_some(core: Core, batch: Batch, some: Sequence[Any], lease: bytes) -> Plan[None]:
    """Store *some* entries, and keep near what was stored."""
    deposits = []
    for _, item, entry in some:
        life = entry.expires_ms - entry.born_ms if entry.expires_ms else 0
        deposits.append(Deposit(item.call.key, encode(entry), kept_ms(item.call.policy, life), lease))
    try:
        stored = yield StoreMany(deposits)
    except ProviderError:
        for _ in deposits:
            core.statistics.left_unstored("provider")
        return
    for (_, item, entry), deposit, kept in zip(some, deposits, stored, strict=True):
        if kept:
            core.statistics.stored += 1
            core.statistics.bytes_written += len(deposit.entry)
            keep(core, item.call, item.loaded.value, entry, batch.ticket)
        else:
            core.statistics.left_unstored("lease")


def run_loader(core: Core, batch: Batch, missing: Sequence[int]) -> Plan[dict[int, Loaded]]:
    """Call the loader for *missing*; its time is shared out evenly."""
    context = LoadContext()
    born_ms, began = core.now_ms(), core.clock.monotonic()
    core.statistics.loads += 1
    try:
        found: Mapping[int, Any] = yield Load(context, missing)
    except BaseException:
        core.statistics.load_failures += 1
        raise
    spent_us = max(0, round((core.clock.monotonic() - began) * 1_000_000))
    core.statistics.load_us += spent_us
    cost_us = spent_us // max(1, len(missing))
    habit = batch.calls[0].habit
    if habit is not None:
        habit.learn(reveals=bool(context.tags))
    return {at: Loaded(found[at], born_ms, cost_us, context) for at in missing if at in found}


def load_rest(core: Core, batch: Batch, reason: str) -> Plan[list[Any]]:
    """Load whatever has no value yet, for oneself alone."""
    missing = [at for at, value in enumerate(batch.values) if value is MISSING]
    core.statistics.left_unstored(reason)
    for at, loaded in (yield from run_loader(core, batch, missing)).items():
        batch.values[at] = loaded.value
    return batch.values


def put_many(core: Core, calls: Sequence[Call], values: Sequence[Any], record: Invalidation) -> Plan[int]:
    """Store *values* as if loaded now, once *record* has invalidated their keys; return how many were stored."""
    core.acknowledged([record], (yield Invalidate([record])))
    before = core.statistics.stored
    lease = os.urandom(LEASE_BYTES)
    for some in batches(list(range(len(calls)))):
        batch = Batch(calls, list(values), None)
        begun = yield from begin_some(batch, dict.fromkeys(some, _UNKNOWN), some, lease)
        free = {at: each for at, each in begun.items() if not each.begun.head}
        for at in set(begun) - set(free):
            yield from give_back(calls[at].key, lease)
        born_ms = core.now_ms()
        items = [
            Item(calls[at], each.tags, each.begun.snapshot, Loaded(values[at], born_ms, 0, LoadContext()))
            for at, each in free.items()
        ]
        entries = yield from compose_all(core, items)
        ready = [(at, i, e) for at, i, e in zip(free, items, entries, strict=True) if e is not None]
        yield from store_some(core, batch, ready, lease)
    return core.statistics.stored - before


def batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut *items* into runs that fit one round trip."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
