"""The plan that changes a value in place: read, change and store under the key's lease.

Theory of operation: a lease makes the three one step, as far as everybody else goes. What it cannot do is say whether
a store was made whose answer was lost: a connection that broke is tried again, and the second run finds no lease. So
a change carries a mark. One that the server did not say it made stays in *doubt*, and whoever has the lease next,
which is we, looks for the mark: our change is there, or what was there before is, or nothing, or somebody else's; and
only the last leaves open whether it was made.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from random import getrandbits
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.cache.changes import GONE, Removal
from staleproof.cache.commands import Invalidate, Read, Release, Store
from staleproof.cache.composing import Item, Loaded, compose_all
from staleproof.cache.core import Hit
from staleproof.cache.filling import give_back, leased, store
from staleproof.cache.loading import LoadContext
from staleproof.cache.missing import MISSING
from staleproof.cache.patience import Patience
from staleproof.cache.reading import settle
from staleproof.cache.writing import begin
from staleproof.entry import Entry, decode, encode
from staleproof.errors import ConfigurationError, LeaseLostError, ProviderUnavailableError
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.events import Invalidation
    from staleproof.ports import Begun, Observed

GRAVE_MS = 1_000
"""How long what is removed under its lease leaves an entry behind that is no hit to anybody."""


def update(core: Core, call: Call, change: Callable[[Any], Any] | Removal, record: Invalidation) -> Plan[Any]:
    """Replace the stored value by `change(value)`, in one step for everybody else; return what is stored then.

    *change* gets `MISSING` where nothing fresh is stored, and may return `MISSING` to leave everything as it is. It may
    be called again, if the key was invalidated meanwhile. *record* tells near caches and other regions of the change.

    Raises:
        LeaseLostError: others kept the key busy for longer than the policy's patience; retry.
        ConfigurationError: the policy does not let the new value in.
        ProviderUnavailableError: the server is away, and whether the change was made may not be known: look first.
    """
    patience = Patience(call.policy.patience, core.clock)
    doubt: Doubt | None = None
    while True:
        attempt = partial(update_under, core, call, change, doubt)
        state, value, doubt = yield from leased(core, call, attempt)
        if state is State.LEFT:
            return value
        if state is State.STORED:
            # After the store: a near cache that dropped its copy before could read the old value again.
            core.acknowledged([record], (yield Invalidate([record])))
            return value
        if patience.is_over():
            raise kept_busy(call, doubt)
        yield patience.pause()


class State(Enum):
    """What became of one attempt."""

    STORED = "stored"
    LEFT = "left as it is"
    LOST = "another has the lease, or broke ours"


class Doubt(NamedTuple):
    """A change that the server did not say it made; it may have, and its answer may be lost.

    Attributes:
        mark: by which its entry is known.
        value: what would be stored.
        before: what was stored before.
    """

    mark: int
    value: Any
    before: bytes | None


def kept_busy(call: Call, doubt: Doubt | None) -> Exception:
    """Return what to raise for a key that others kept busy."""
    if doubt is not None:
        return unknown(call)
    return LeaseLostError(
        f"{call.key[:80]!r} was kept busy for {call.policy.patience} s; retry, or update it less often"
    )


def unknown(call: Call) -> ProviderUnavailableError:
    """Return what to raise if nobody can tell any more whether a change was made."""
    return ProviderUnavailableError(
        f"whether the change of {call.key[:80]!r} was made is not known, for others have written since; "
        "look before you repeat it"
    )


def update_under(
    core: Core, call: Call, change: Callable[[Any], Any] | Removal, doubt: Doubt | None, lease: bytes
) -> Plan[tuple[State, Any, Doubt | None]]:
    """Take the lease, read, change and store; return what came of it, what is stored, and what is in doubt."""
    begun: Begun = yield begin(call, lease)
    if not begun.leased:
        return State.LOST, MISSING, doubt
    asked = core.wanted(call)
    observed: Observed = yield Read(call.key, asked)
    if doubt is not None and was_made(call, doubt, observed.entry):
        yield from give_back(call.key, lease)
        return State.STORED, doubt.value, None
    found = yield from settle(core, call, core.judge(call, asked, observed))
    value = found.value if isinstance(found, Hit) else MISSING
    if isinstance(change, Removal):
        changed = change.judge(value, found.entry if isinstance(found, Hit) else None)
    else:
        changed = change(value)
    if changed is MISSING:
        yield from give_back(call.key, lease)
        return State.LEFT, value, None
    if changed is GONE:
        mark = yield from remove(core, call, lease)
    else:
        mark = yield from replace(core, call, begun, changed, lease)
    if mark is None:
        return State.STORED, changed, None
    return State.LOST, MISSING, Doubt(mark, changed, observed.entry)


def was_made(call: Call, doubt: Doubt, raw: bytes | None) -> bool:
    """Say whether what is stored now is the change in doubt; asked under the lease, so nobody changes it meanwhile.

    Raises:
        ProviderUnavailableError: somebody else has written since, perhaps on top of it.
    """
    entry = None if raw is None else decode(raw)
    if entry is not None and entry.mark == doubt.mark:
        return True
    if raw is not None and raw != doubt.before:
        raise unknown(call)
    return False  # as it was before, or evicted: then nothing is left of it either way


def replace(core: Core, call: Call, begun: Begun, value: Any, lease: bytes) -> Plan[int | None]:
    """Store *value* under a lease that is ours; return None if it is stored, else the mark by which it would be known.

    A change that was made must not be made again, nor one be taken for made that was not. Where the server does not say
    that it stored, our lease is given up, so that nothing of ours can be stored any more; who has the next one looks.

    Raises:
        ConfigurationError: the policy does not let the value in.
        ProviderUnavailableError: whether it is stored is not known.
    """
    core.statistics.puts += 1
    context = LoadContext(call.key)
    loaded = Loaded(value, core.now_ms(), 0, context)
    (entry,) = yield from compose_all(core, [Item(call, call.tags, begun.snapshot, loaded, fenced=False)])
    mark = getrandbits(32) or 1
    if entry is None:
        yield from give_back(call.key, lease)
        if context.refused:
            why = (
                "would not come back as what it is; give kind= that fits it"
                if context.refused == "inexact"
                else "is not let in by max_bytes or admit of its policy"
            )
            raise ConfigurationError(
                f"the new value of {call.key[:80]!r} {why} ({context.refused}); what was stored before stays"
            )
        return mark
    if (yield from store(core, call, entry._replace(mark=mark), lease)):
        return None
    yield Release(call.key, lease)
    return mark


def remove(core: Core, call: Call, lease: bytes) -> Plan[int | None]:
    """Remove what is stored under a lease that is ours; return as `replace` does.

    There is no step that removes under a lease, and none is needed: what is stored instead is an entry that is no hit
    to anybody, for its versions are none, and that ends at once. So it holds on every provider, as a store does.

    Raises:
        ProviderError: the server is away, or refused; what is stored may be gone.
    """
    mark = getrandbits(32) or 1
    ids, nothing = b"".join(call.tags), bytes(VERSION_BYTES * len(call.tags))
    now = core.now_ms()
    grave = Entry(call.codec.codec_id, ids, nothing, len(call.tags), now, now + GRAVE_MS, 0, b"", mark=mark)
    try:
        stored: bool = yield Store(call.key, encode(grave), GRAVE_MS, lease)
    except ProviderUnavailableError:
        core.orphans.put(call.key, lease)
        raise
    if stored:
        return None
    yield Release(call.key, lease)
    return mark
