"""The plans that load and store. The order of steps here is the algorithm; each comment says what breaks without it.

*Load*: snapshot the tags' versions and take the key's lease, **then** load, then store value and snapshot if
the lease is still ours. A version taken after the load would bless an old value with a new version.

What becomes of the loaded value stands in `composing`. See `staleproof.cache.plans` for what a plan is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache.commands import Begin, Load, Read, Release, Store
from staleproof.cache.composing import Item, Loaded, admit_all, compose_all
from staleproof.cache.core import Hit
from staleproof.cache.loading import LoadContext, NotModified
from staleproof.cache.missing import MISSING
from staleproof.cache.patience import Patience
from staleproof.cache.reading import keep, look
from staleproof.entry import born_at, carries, decode, encode
from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError
from staleproof.policies.expiration import kept_ms
from staleproof.policies.judgement import ABSENT, Miss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.near import Position
    from staleproof.entry import Entry
    from staleproof.ports import Begun, Observed
    from staleproof.tags import TagId

R = TypeVar("R")

LEASE_BYTES = 12


def fill(core: Core, call: Call, miss: Miss, ticket: Position | None) -> Plan[Any]:
    """Load under the key's lease and store; or wait for whoever holds it, and take what it stored."""
    tags = foreseen(call, miss)
    return (yield from leased(core, call, lambda lease: fill_under(core, call, miss, tags, lease, ticket)))


def foreseen(call: Call, miss: Miss) -> list[TagId]:
    """Return the tags to snapshot: those that the call names, and those that the last value revealed."""
    predicted = miss.entry.revealed_ids if miss.entry and call.guarded else []
    return list(dict.fromkeys([*call.tags, *predicted]))


def renew(
    core: Core, call: Call, miss: Miss, ticket: Position | None, outdated: Callable[[], Any]
) -> Plan[Any]:
    """Load anew if nobody else does; `MISSING` otherwise. There is a value to serve, so nobody waits here."""
    work = lambda lease: renew_under(core, call, miss, lease, ticket, outdated)  # noqa: E731
    return (yield from leased(core, call, work))


def renew_under(
    core: Core, call: Call, miss: Miss, lease: bytes, ticket: Position | None, outdated: Callable[[], Any]
) -> Plan[Any]:
    """Take the lease, if it is free, and load, unless another has renewed it since our look."""
    try:
        begun: Begun = yield claim(call, call.tags, lease)
    except ProviderRejectedError:
        return MISSING
    except ProviderUnavailableError:
        core.orphans.put(call.key, lease)
        return MISSING
    if not begun.leased:
        return MISSING
    if is_news(miss, call, begun):
        yield from give_back(call.key, lease)
        return MISSING
    core.statistics.refreshes += 1
    try:
        return (yield from load(core, call, call.tags, begun, lease, ticket, outdated))
    except BaseException:
        core.statistics.refresh_failures += 1
        raise


def leased(core: Core, call: Call, work: Callable[[bytes], Plan[R]]) -> Plan[R]:
    """Do *work* with a lease of a fresh name, and give it back whatever happens: an interruption too.

    Only where the server cannot be reached it is left: asking again would double the wait. But a server that hung does
    what it was asked when it goes on, and would keep the key from everybody until the lease runs out. So the next load
    of the key here gives it back first. Never is its name used again: an eviction in between must break the lease.
    """
    orphan = core.orphans.pop(call.key, None) if core.orphans else None
    if orphan is not None:
        yield from give_back(call.key, orphan)
    lease = os.urandom(LEASE_BYTES)
    try:
        return (yield from work(lease))
    except GeneratorExit:
        raise
    except ProviderUnavailableError:
        core.orphans.put(call.key, lease)
        raise
    except BaseException:
        yield from give_back(call.key, lease)
        raise


def fill_under(
    core: Core, call: Call, miss: Miss, tags: Sequence[TagId], lease: bytes, ticket: Position | None
) -> Plan[Any]:
    """Take the lease and load, or wait until somebody else's load is there or patience is over."""
    patience = Patience(call.policy.patience, core.clock)
    begun = yield from begin(core, call, tags, lease)
    while begun is not None and not begun.leased:
        if patience.is_over():
            return (yield from load_unstored(core, call, "patience"))
        yield patience.pause()
        found = yield from look_again(core, call)
        if isinstance(found, Hit):
            return waited(core, call, found, ticket)
        begun = None if found is None else (yield from begin(core, call, tags, lease))
    if begun is not None and is_news(miss, call, begun):
        # The last holder stored between our look and our lease: without this, each of a crowd would load in turn.
        found = yield from look_again(core, call)
        if isinstance(found, Hit):
            yield from give_back(call.key, lease)
            return waited(core, call, found, ticket)
        begun = None if found is None else begun
    if begun is None:
        return (yield from load_unstored(core, call, "provider"))
    return (yield from load(core, call, tags, begun, lease, ticket, lambda: core.outdated(call, miss)))


def look_again(core: Core, call: Call) -> Plan[Hit | Miss | None]:
    """Look at the entry once more; None if the server is away, and the policy lets us go on without it."""
    try:
        return (yield from look(core, call))
    except ProviderUnavailableError as error:
        without_server(core, call, error)
        return None


def is_news(miss: Miss, call: Call, begun: Begun) -> bool:
    """Say whether something was stored since our look that may be a hit."""
    if miss.entry is not None and born_at(begun.head) == miss.entry.born_ms:
        return False
    return carries(begun.head, call.tags, begun.snapshot.versions[: len(call.tags)])


def waited(core: Core, call: Call, found: Hit, ticket: Position | None) -> Any:
    """Return what somebody else has loaded."""
    core.statistics.waited(found)
    keep(core, call, found.value, found.entry, ticket)
    return found.value


def refill(core: Core, call: Call, ticket: Position | None) -> Plan[Any]:
    """Load anew whatever is stored, as soon as the lease is free."""
    return (yield from leased(core, call, lambda lease: refill_under(core, call, lease, ticket)))


def refill_under(core: Core, call: Call, lease: bytes, ticket: Position | None) -> Plan[Any]:
    """Take the lease, whoever has it now, and load."""
    patience = Patience(call.policy.patience, core.clock)
    while True:
        begun = yield from begin(core, call, call.tags, lease)
        if begun is None:
            return (yield from load_unstored(core, call, "provider"))
        if begun.leased:
            outdated = yield from look_back(core, call, begun)
            return (yield from load(core, call, call.tags, begun, lease, ticket, outdated))
        if patience.is_over():
            return (yield from load_unstored(core, call, "patience"))
        yield patience.pause()


def look_back(core: Core, call: Call, begun: Begun) -> Plan[Callable[[], Any]]:
    """Read what is stored, whatever it is worth, for a loader that asks its source whether anything changed."""
    entry = None
    if begun.head:
        with suppress(ProviderError):
            observed: Observed = yield Read(call.key, call.tags)
            entry = None if observed.entry is None else decode(observed.entry)
    return lambda: core.outdated(call, Miss(ABSENT, entry))


def begin(core: Core, call: Call, tags: Sequence[TagId], lease: bytes) -> Plan[Begun | None]:
    """Snapshot *tags* and ask for the lease; None if the server takes no writes, or is away: reads go on unstored."""
    try:
        return (yield claim(call, tags, lease))  # type: ignore[no-any-return]
    except ProviderRejectedError:
        return None
    except ProviderUnavailableError as error:
        core.orphans.put(call.key, lease)
        without_server(core, call, error)
        return None


def claim(call: Call, tags: Sequence[TagId], lease: bytes) -> Begin:
    """Return the command that snapshots *tags* and asks for the lease."""
    policy = call.policy
    return Begin(call.key, tags, lease, policy.lease_ms, policy.tag_ttl_ms, call.guarded)


def without_server(core: Core, call: Call, error: ProviderUnavailableError, reads: int = 1) -> None:
    """Go on without the server, if the policy lets us."""
    if call.policy.fallback == "error":
        core.statistics.fell_back("error", reads)
        raise error
    core.statistics.fell_back("load", reads)


def load_unstored(core: Core, call: Call, reason: str) -> Plan[Any]:
    """Load for oneself alone."""
    loaded = yield from run_loader(core, call, lambda: MISSING)
    core.statistics.left_unstored(reason)
    return loaded.value


def run_loader(core: Core, call: Call, outdated: Callable[[], Any]) -> Plan[Loaded]:
    """Call the loader, and take its time."""
    source = core.source if call.policy.inherit_tags else None
    context = LoadContext(call.key, ((core.namespace, call.key),), outdated, source)
    statistics = core.statistics
    born_ms, began = core.now_ms(), core.clock.monotonic()
    statistics.loads += 1
    try:
        value = yield Load(context)
    except NotModified:
        value = context.stale
    except BaseException:
        statistics.load_failures += 1
        raise
    finally:
        cost_us = max(0, round((core.clock.monotonic() - began) * 1_000_000))
        statistics.load_us += cost_us
    statistics.loaded += 1
    return Loaded(value, born_ms, cost_us, context)


def load(
    core: Core,
    call: Call,
    tags: Sequence[TagId],
    begun: Begun,
    lease: bytes,
    ticket: Position | None,
    outdated: Callable[[], Any] = lambda: MISSING,
) -> Plan[Any]:
    """Load under a lease that is ours, and store what may be stored."""
    loaded = yield from run_loader(core, call, outdated)
    if call.habit is not None:
        call.habit.learn(reveals=loaded.context.reveals)
    entry = None
    items = admit_all(core, [Item(call, tags, begun.snapshot, loaded)])
    if items:
        (entry,) = yield from compose_all(core, items)
    if entry is None:
        yield from give_back(call.key, lease)
    elif (yield from store(core, call, entry, lease)):
        keep(core, call, loaded.value, entry, ticket)
    return loaded.value


def store(core: Core, call: Call, entry: Entry, lease: bytes) -> Plan[bool]:
    """Store *entry* under our lease. A server that cannot take it costs a miss later, never this answer."""
    life = entry.expires_ms - entry.born_ms if entry.expires_ms else 0
    try:
        raw = encode(entry)
        stored: bool = yield Store(call.key, raw, kept_ms(call.policy, life), lease)
    except ProviderError as error:
        core.statistics.left_unstored("provider")
        if isinstance(error, ProviderUnavailableError):
            core.orphans.put(call.key, lease)
        else:
            yield from give_back(call.key, lease)
        return False
    except BaseException:
        core.statistics.left_unstored("error")
        raise
    core.statistics.kept(raw if stored else None)
    return stored


def give_back(key: str, lease: bytes) -> Plan[None]:
    """Release a lease; if the server is away it expires by itself."""
    try:
        yield Release(key, lease)
    except ProviderError:
        return
