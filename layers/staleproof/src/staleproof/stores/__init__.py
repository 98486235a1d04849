"""Stores: bounded mappings inside the process, and the orders in which they let go of what they hold."""

from staleproof.stores.orders import EVICTIONS
from staleproof.stores.removal import Removal
from staleproof.stores.statistics import StoreStatistics
from staleproof.stores.store import Store

__all__ = ["EVICTIONS", "Removal", "Store", "StoreStatistics"]
