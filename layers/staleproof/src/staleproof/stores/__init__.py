"""Stores: bounded mappings inside the process, and the orders in which they let go of what they hold.

Names are resolved at first use: the near cache, which every cold start imports, needs the orders alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.stores.orders import EVICTIONS
    from staleproof.stores.removal import Removal
    from staleproof.stores.statistics import StoreStatistics
    from staleproof.stores.store import Store

_HOMES = {"EVICTIONS": "orders", "Removal": "removal", "Store": "store", "StoreStatistics": "statistics"}

__all__ = ["EVICTIONS", "Removal", "Store", "StoreStatistics"]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use, like everything here

    value: object = getattr(import_module(f"staleproof.stores.{home}"), name)
    globals()[name] = value
    return value
