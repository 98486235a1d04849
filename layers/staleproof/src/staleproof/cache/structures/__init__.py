"""Data structures: typed handles of sorted sets, lists, hashes and the like, which tags empty in constant time.

=============  ====================================================================================
`template`     `cache.sorted_set("leaderboard:{game}", …)`: makes a handle for each game
`handle`       what every handle has: where it points to, and the plan that asks
`method`       one definition of an operation, for blocking and for asyncio handles
`elements`     what members, fields and values are on the server
`requests`     the two questions that a plan asks a provider
=============  ====================================================================================

The others have the operations of one kind each. The names below are for annotations, and resolved at first use.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.cache.structures.bitmaps import AsyncBitmap, Bitmap
    from staleproof.cache.structures.counters import AsyncCounter, Counter
    from staleproof.cache.structures.geo import AsyncGeo, Geo, Nearby, Position
    from staleproof.cache.structures.hashes import AsyncHash, Hash
    from staleproof.cache.structures.lists import AsyncList, List
    from staleproof.cache.structures.sets import AsyncSet, Set
    from staleproof.cache.structures.sketches import AsyncHyperLogLog, HyperLogLog
    from staleproof.cache.structures.sorted_sets import AsyncSortedSet, SortedSet
    from staleproof.cache.structures.streams import AsyncStream, Record, Stream
    from staleproof.cache.structures.template import Structures

_HOMES = {
    "AsyncBitmap": "bitmaps",
    "AsyncCounter": "counters",
    "AsyncGeo": "geo",
    "AsyncHash": "hashes",
    "AsyncHyperLogLog": "sketches",
    "AsyncList": "lists",
    "AsyncSet": "sets",
    "AsyncSortedSet": "sorted_sets",
    "AsyncStream": "streams",
    "Bitmap": "bitmaps",
    "Counter": "counters",
    "Geo": "geo",
    "Hash": "hashes",
    "HyperLogLog": "sketches",
    "List": "lists",
    "Nearby": "geo",
    "Position": "geo",
    "Record": "streams",
    "Set": "sets",
    "SortedSet": "sorted_sets",
    "Stream": "streams",
    "Structures": "template",
}

__all__ = [
    "AsyncBitmap",
    "AsyncCounter",
    "AsyncGeo",
    "AsyncHash",
    "AsyncHyperLogLog",
    "AsyncList",
    "AsyncSet",
    "AsyncSortedSet",
    "AsyncStream",
    "Bitmap",
    "Counter",
    "Geo",
    "Hash",
    "HyperLogLog",
    "List",
    "Nearby",
    "Position",
    "Record",
    "Set",
    "SortedSet",
    "Stream",
    "Structures",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use

    value: object = getattr(import_module(f"staleproof.cache.structures.{home}"), name)
    globals()[name] = value
    return value
