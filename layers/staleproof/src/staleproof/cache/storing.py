"""The plans that store many values in a few round trips, each under its own lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache.commands import StoreMany
from staleproof.cache.composing import compose_all
from staleproof.cache.filling import give_back
from staleproof.cache.reading import keep
from staleproof.entry import encode
from staleproof.errors import ProviderError, ProviderRejectedError
from staleproof.policies.expiration import kept_ms
from staleproof.ports import Deposit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.commands import Plan
    from staleproof.cache.composing import Item
    from staleproof.cache.core import Core
    from staleproof.cache.near import Position
    from staleproof.entry import Entry

BATCH = 500
"""Keys of one round trip at most."""


def batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut *items* into runs that fit one round trip."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def store_all(
    core: Core, items: Sequence[Item], ticket: Position | None, lease: bytes
) -> Plan[dict[str, bool]]:
    """Store what may be stored of *items*, and keep it near; say of each key that was tried whether it was stored."""
    entries = yield from compose_all(core, items)
    ready = [(item, entry) for item, entry in zip(items, entries, strict=True) if entry is not None]
    stored: dict[str, bool] = {}
    for some in batches(ready):
        kept = yield from store_some(core, some, ticket, lease)
        stored |= {item.call.key: each for (item, _), each in zip(some, kept, strict=True)}
    return stored


def store_some(
    core: Core, some: Sequence[tuple[Item, Entry]], ticket: Position | None, lease: bytes
) -> Plan[Sequence[bool]]:
    """Store *some* in one round trip. A server that cannot take them costs misses later, never this answer."""
    try:
        deposits = [_deposit(item, entry, lease) for item, entry in some]
        stored: Sequence[bool] = yield StoreMany(deposits)
    except ProviderError as error:
        core.statistics.left_unstored("provider", len(some))
        for item, _ in some if isinstance(error, ProviderRejectedError) else ():
            yield from give_back(item.call.key, lease)
        return [False] * len(some)
    except BaseException:
        core.statistics.left_unstored("error", len(some))
        raise
    for (item, entry), deposit, kept in zip(some, deposits, stored, strict=True):
        core.statistics.kept(deposit.entry if kept else None)
        if kept:
            keep(core, item.call, item.loaded.value, entry, ticket)
    return stored


def _deposit(item: Item, entry: Entry, lease: bytes) -> Deposit:
    life = entry.expires_ms - entry.born_ms if entry.expires_ms else 0
    return Deposit(item.call.key, encode(entry), kept_ms(item.call.policy, life), lease)
