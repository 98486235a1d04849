"""The plan that answers many reads at once: near copies first, then one round trip, then one load for what is missing.

What is stale may be served meanwhile or instead, as for one key: `stale_while_revalidate` serves it while the keys
whose leases are free are loaded anew together, `stale_if_error` serves it if the load of the others fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from staleproof.cache import nesting
from staleproof.cache.commands import Depart
from staleproof.cache.many import (
    Batch,
    LoaderCutOffError,
    fill_many,
    fill_ours,
    load_rest,
    missed,
    read_some,
    unanswered,
)
from staleproof.cache.missing import MISSING
from staleproof.cache.plans import is_resting, overdue, rest, served
from staleproof.cache.reading import catch_up
from staleproof.cache.storing import batches
from staleproof.errors import ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core, Stale
    from staleproof.policies.judgement import Miss


def serve_many(core: Core, calls: Sequence[Call]) -> Plan[list[Any]]:
    """Return a value for each of *calls*, loading what is missing; `MISSING` for what the loader does not return."""
    batch = Batch(calls, [MISSING] * len(calls), None)
    try:
        return (yield from answer_many(core, batch)) if calls else batch.values
    except LoaderCutOffError as cut:
        raise cut.error from None


def answer_many(core: Core, batch: Batch) -> Plan[list[Any]]:
    """Find a value for each of the batch's calls."""
    missing: dict[int, Miss] = {}
    try:
        batch, wanted = yield from from_near(core, batch)
        for some in batches(wanted):
            missing |= yield from read_some(core, batch, some, core.statistics.hit)
    except ProviderUnavailableError as error:
        left = from_last_resort(core, batch, missed(core, batch, missing, error))
        yield from load_rest(core, batch, left, "provider", error)
        return batch.values
    missed(core, batch, missing)
    if missing:
        places = list(missing)
        yield from make_up_many(core, batch, missing)
        if nesting.inside():
            for at in places:
                nesting.adopt(core.source, core.wanted(batch.calls[at]))
    return batch.values


def make_up_many(core: Core, batch: Batch, missing: dict[int, Miss]) -> Plan[None]:
    """Answer what is *missing*: stale meanwhile, loaded, or stale because that failed."""
    found = ((at, core.stale(batch.calls[at], miss)) for at, miss in missing.items())
    stale = {at: one for at, one in found if one is not None}
    yield from serve_meanwhile(core, batch, missing, stale)
    if not missing:
        return
    try:
        yield from fill_many(core, batch, missing)
    except ConfigurationError:
        raise
    except Exception:
        left = unanswered(batch, missing)
        if any(at not in stale for at in left):
            raise
        for at in left:
            rest(core, batch.calls[at])
            batch.values[at] = served(core, stale[at], "error")


def serve_meanwhile(
    core: Core, batch: Batch, missing: dict[int, Miss], stale: Mapping[int, Stale]
) -> Plan[None]:
    """Serve what may be stale while it is loaded anew, and what a failed loader was spared just now."""
    window = batch.calls[0].policy.stale_while_revalidate
    renewing: dict[int, Miss] = {}
    for at, one in stale.items():
        if is_resting(core, batch.calls[at]):
            batch.values[at] = served(core, one, "resting")
            del missing[at]
        elif window and one.age <= window:
            renewing[at] = missing.pop(at)
    if renewing:
        yield from renew_many(core, batch, renewing)
        for at in unanswered(batch, renewing):
            batch.values[at] = served(core, stale[at], "revalidating")


def renew_many(core: Core, batch: Batch, renewing: dict[int, Miss]) -> Plan[None]:
    """Load anew what nobody else does: in the background, or here if there is none."""
    apart = replace(batch, values=[MISSING] * len(batch.calls))
    key = tuple(batch.calls[at].flight for at in renewing)
    if (yield Depart(key, lambda: renew_ours(core, apart, renewing), overdue(batch.calls[0].policy))):
        return
    try:
        yield from renew_ours(core, batch, dict(renewing))
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - there are values to serve, and the failure is counted
        return


def renew_ours(core: Core, batch: Batch, renewing: dict[int, Miss]) -> Plan[None]:
    """Load those of *renewing* whose leases are free."""
    statistics, places = core.statistics, list(renewing)
    try:
        yield from fill_ours(core, batch, renewing)
    except ProviderUnavailableError:
        return
    except Exception:
        statistics.refreshes += 1
        statistics.refresh_failures += 1
        for at in places:
            rest(core, batch.calls[at])
        raise
    if len(renewing) < len(places):
        statistics.refreshes += 1


def from_last_resort(core: Core, batch: Batch, rest: list[int]) -> list[int]:
    """Take what the near cache has for an outage, if the policy wants that; return the places that are left."""
    policy, near = batch.calls[0].policy, core.near_for(batch.calls[0])
    if policy.fallback != "stale" or near is None:
        return rest
    now = core.clock.now()
    for at in rest:
        copy = near.last_resort(batch.calls[at], policy.stale_if_error, now)
        if copy is not None:
            core.statistics.fell_back("stale")
            batch.values[at] = copy.value
    return unanswered(batch, rest)


def from_near(core: Core, batch: Batch) -> Plan[tuple[Batch, list[int]]]:
    """Take what the near cache has; return the rest, and a ticket for what will be read of it."""
    near = core.near_for(batch.calls[0])
    if near is None:
        return batch, list(range(len(batch.calls)))
    now = core.clock.now()
    staleness = batch.calls[0].policy.staleness
    if not staleness or now.elapsed(near.synced) > staleness:
        yield from catch_up(near)
    wanted = []
    for at, call in enumerate(batch.calls):
        copy = near.get(call, now)
        if copy is None:
            wanted.append(at)
        else:
            batch.values[at] = copy.value
    near_hits = len(batch.calls) - len(wanted)
    core.statistics.near_hits += near_hits
    return replace(batch, ticket=near.position()), wanted
