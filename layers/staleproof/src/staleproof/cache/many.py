"""The plans over many keys: each key by the same algorithm as one alone, in a few round trips for all.

What is missing is loaded with one call of the loader, for the keys whose lease is ours. For the others we wait, as one
reader would, and at the end of the policy's patience load what is still missing, unstored. All calls share one policy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from staleproof.cache import nesting
from staleproof.cache.commands import BeginMany, Load, ReadMany
from staleproof.cache.composing import Item, Loaded, admit_all
from staleproof.cache.filling import LEASE_BYTES, foreseen, give_back, is_news, without_server
from staleproof.cache.loading import LoadContext
from staleproof.cache.missing import MISSING
from staleproof.cache.patience import Patience
from staleproof.cache.reading import OFF, keep, outage, prolong, settle, without_answer
from staleproof.cache.storing import batches, store_all
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.policies.judgement import Miss
from staleproof.ports import Claim, Want
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core, Hit
    from staleproof.cache.near import Position
    from staleproof.ports import Begun
    from staleproof.tags import TagId


class Ours(Record, frozen=True):
    """A load that is ours: the tags that were snapshot for it, and what `begin` said."""

    tags: Sequence[TagId]
    begun: Begun


class LoaderCutOffError(Exception):
    """A loader met an outage of its own: not to be taken for one of ours, after which it would be called again."""

    def __init__(self, error: ProviderUnavailableError) -> None:
        super().__init__(str(error))
        self.error = error


class Batch(Record, frozen=True):
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
        yield from read_some(core, batch, some, lambda _: None)
    return batch.values


def get_many(core: Core, calls: Sequence[Call]) -> Plan[list[Any]]:
    """Return what `look_many` returns; reads that are counted, and load nothing."""
    batch, missing = Batch(calls, [MISSING] * len(calls), None), dict[int, Miss]()
    try:
        for some in batches(range(len(calls))):
            missing |= yield from read_some(core, batch, some, core.statistics.hit)
    except ProviderUnavailableError as error:
        for at in missed(core, batch, missing, error):
            batch.values[at] = without_answer(core, calls[at], error)
        return batch.values
    missed(core, batch, missing)
    return batch.values


def missed(
    core: Core, batch: Batch, missing: Mapping[int, Miss], error: ProviderUnavailableError | None = None
) -> list[int]:
    """Count what was not found: *missing* by reason, what the server did not answer by *error*; return both."""
    for miss in missing.values():
        core.statistics.missed(miss.reason)
    rest = unanswered(batch, range(len(batch.calls)))
    if error is not None:
        core.statistics.missed(outage(error), len(rest) - len(missing))
    return rest


def unanswered(batch: Batch, places: Iterable[int]) -> list[int]:
    """Return those of *places* that have no value yet."""
    return [at for at in places if batch.values[at] is MISSING]


def read_some(
    core: Core, batch: Batch, some: Sequence[int], count: Callable[[Hit], object]
) -> Plan[dict[int, Miss]]:
    """Read *some* of the batch in one round trip; *count* what was found, and return what was missed."""
    if core.off:
        return dict.fromkeys(some, OFF)
    wants = [Want(batch.calls[at].key, core.wanted(batch.calls[at])) for at in some]
    observed = yield ReadMany(wants)
    misses = {}
    for at, want, one in zip(some, wants, observed, strict=True):
        call = batch.calls[at]
        found = yield from settle(core, call, core.judge(call, want.tags, one))
        if isinstance(found, Miss):
            misses[at] = found
        else:
            batch.values[at] = found.value
            count(found)
            if call.policy.idle is not None:
                yield from prolong(core, call, found.entry)
            keep(core, call, found.value, found.entry, batch.ticket)
    return misses


def fill_many(core: Core, batch: Batch, missing: dict[int, Miss]) -> Plan[None]:
    """Load what is *missing*, waiting for others' loads as long as the policy says."""
    patience = Patience(batch.calls[0].policy.patience, core.clock)
    takes_writes, failure = True, None
    own = (
        [at for at in missing if nesting.in_progress(core.namespace, batch.calls[at].key)]
        if nesting.inside()
        else []
    )
    for at in own:
        del missing[at]
    yield from load_rest(core, batch, own, "recursion")
    try:
        while missing:
            takes_writes = yield from fill_ours(core, batch, missing)
            if not missing or not takes_writes or patience.is_over():
                break
            yield patience.pause()
            yield from take_stored(core, batch, missing, list(missing))
    except ProviderUnavailableError as error:
        failure = error
    reason = "patience" if takes_writes and failure is None else "provider"
    yield from load_rest(core, batch, unanswered(batch, missing), reason, failure)


def take_stored(core: Core, batch: Batch, missing: dict[int, Miss], places: Sequence[int]) -> Plan[list[int]]:
    """Take what others have stored at *places*, which is no longer *missing* then; return where that was."""
    taken = []
    for some in batches(places):
        still = yield from read_some(core, batch, some, core.statistics.waited)
        taken += [at for at in some if at not in still]
    for at in taken:
        del missing[at]
    return taken


def fill_ours(core: Core, batch: Batch, missing: dict[int, Miss]) -> Plan[bool]:
    """Take the leases that are free, and load under them; what another loads stays *missing*.

    Say whether the server takes writes: where it does not there are no leases to wait for.
    """
    lease = os.urandom(LEASE_BYTES)
    begun: dict[int, Ours] = {}
    granted: dict[int, Ours] | None = {}
    try:
        for some in batches(list(missing)):
            granted = yield from begin_some(batch, missing, some, lease)
            begun |= granted or {}
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
    return granted is not None


def begin_some(
    batch: Batch, missing: Mapping[int, Miss], some: Sequence[int], lease: bytes
) -> Plan[dict[int, Ours] | None]:
    """Begin the loads of *some*; return those whose lease is ours, or None if the server takes no writes."""
    calls, policy = batch.calls, batch.calls[0].policy
    claims = [Claim(calls[at].key, foreseen(calls[at], missing[at]), lease) for at in some]
    guarded = any(calls[at].guarded for at in some)
    try:
        begun = yield BeginMany(claims, policy.lease_ms, policy.tag_ttl_ms, guarded)
    except ProviderRejectedError:
        return None
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
    items = []
    for at, one in loaded.items():
        batch.values[at] = one.value
        items.append(Item(batch.calls[at], begun[at].tags, begun[at].begun.snapshot, one))
    stored = yield from store_all(core, admit_all(core, items), batch.ticket, lease)
    for key in {batch.calls[at].key for at in begun} - stored.keys():
        yield from give_back(key, lease)


def run_loader(core: Core, batch: Batch, missing: Sequence[int]) -> Plan[dict[int, Loaded]]:
    """Call the loader for *missing*; its time is shared out evenly."""
    loads = frozenset((core.namespace, batch.calls[at].key) for at in missing)
    source = core.source if batch.calls[0].policy.inherit_tags else None
    context, statistics = LoadContext(loads=loads, source=source), core.statistics
    born_ms, began = core.now_ms(), core.clock.monotonic()
    statistics.loads += 1
    try:
        found: Mapping[int, Any] = yield Load(context, missing)
    except ProviderUnavailableError as error:
        statistics.load_failures += 1
        raise LoaderCutOffError(error) from error
    except BaseException:
        statistics.load_failures += 1
        raise
    finally:
        spent_us = max(0, round((core.clock.monotonic() - began) * 1_000_000))
        statistics.load_us += spent_us
    cost_us = spent_us // max(1, len(missing))
    habit = batch.calls[0].habit
    if habit is not None:
        habit.learn(reveals=context.reveals)
    loaded = {at: Loaded(found[at], born_ms, cost_us, context) for at in missing if at in found}
    values = len(loaded)
    statistics.loaded += values
    return loaded


def load_rest(
    core: Core, batch: Batch, rest: Sequence[int], reason: str, error: ProviderUnavailableError | None = None
) -> Plan[None]:
    """Load what is left, for oneself alone: because the server is away, if there is an *error*."""
    if not rest:
        return
    if error is not None:
        without_server(core, batch.calls[0], error, len(rest))
    loaded = yield from run_loader(core, batch, rest)
    for at, one in loaded.items():
        batch.values[at] = one.value
    core.statistics.left_unstored(reason, len(loaded))
