"""Counters: what a cache counts, by name, and what follows from that."""

from __future__ import annotations

from typing import Any, Final

COUNTS: Final = (
    "near_hits",
    "hits",
    "stale",
    "waits",
    "timeouts",
    "loads",
    "load_failures",
    "loaded",
    "puts",
    "stored",
    "invalidations",
    "refreshes",
    "refresh_failures",
    "refreshes_dropped",
    "load_us",
    "saved_us",
    "bytes_read",
    "bytes_written",
)
BY_REASON: Final = ("misses", "unstored", "stale_served", "fallbacks", "operations")

UNSTORED: Final = {
    "lease": "another had the key's lease, or an invalidation of the key broke ours",
    "newer": "a put met what was loaded since",
    "guard": "a tag that only the value named was invalidated meanwhile",
    "tag": "a tag was invalidated while its version's life was prolonged",
    "lagging": "the source is known to lag, and the row is older than what it announced",
    "patience": "another's load took too long",
    "recursion": "the load asked for itself",
    "provider": "the server was away or took no writes",
    "nested": "it was built on cached values with too many tags, or with some that cannot be told",
    "skipped": "the loader said so",
    "transaction": "its context has changed what it has not committed",
    "unless": "the decorator's rule said so",
    "admission": "the policy's rule said so",
    "size": "it is larger than the policy lets in",
    "inexact": "it would come back equal and of another class; the log says where",
    "error": "something raised between the load and the store; the caller got that",
}
OCCASIONS: Final = ("revalidating", "error", "slow", "resting")
MODES: Final = ("load", "stale", "error", "deferred", "local", "allowed", "denied")


class Counters:
    """The counters of one cache, of reads: calls that load what is missing, `get` and `get_many`.

    A mere look (`peek`, `exists`, `ttl`, `explain`) is not counted, nor is anything while the cache is switched off.

    Attributes:
        namespace: the cache's.
        near_hits: reads served from a copy in the process.
        hits: reads served from the cache server.
        misses: reads that the cache could not answer at once, by reason: `absent`, `expired`, `tag`, `unreadable`,
            `retagged`, `codec`, `unreachable`, `breaker`.
        stale: those of the misses that were served a stale value; `stale_served` has them by occasion: `revalidating`,
            `error`, `slow`, `resting`.
        waits: those of the misses that took what another loaded, in this process or under another's lease.
        timeouts: those of the misses that ended in `LoadTimeoutError`.
        loads: loader calls; `load_failures` raised. The others brought *loaded* values, one each but for many keys.
        puts: values given to `put`, `put_many`, `load_all` and the operations that change a stored value.
        stored, unstored: what became of loaded and put values. Unstored ones were served all the same, by reason; see
            `UNSTORED`.
        invalidations: those of this cache that the server acknowledged.
        fallbacks: what was done because the server could not be reached, by mode: reads that went on with `load`, with
            a `stale` copy or ended in an `error`; `deferred` invalidations; and questions to rate limits that were
            answered by a `local` limit, `allowed`, `denied`, or ended in an `error`.
        operations: questions to data structures that the server answered, by kind of structure: `sorted_set`, `list`,
            `hash`, `set`, `counter`, `hyperloglog`, `bitmap`, `stream`, `geo`. None of them is a read.
        refreshes: those of the loads that came ahead of need, in the background or by one reader; `refresh_failures`
            raised. `refreshes_dropped` found no worker free.
        load_us, saved_us: microseconds spent in loaders, and what hits on the server saved of them.
        bytes_read, bytes_written: of the entries that hits and waits brought from the server, and that went there.
    """

    namespace: str
    near_hits: int
    hits: int
    stale: int
    waits: int
    timeouts: int
    loads: int
    load_failures: int
    loaded: int
    puts: int
    stored: int
    invalidations: int
    refreshes: int
    refresh_failures: int
    refreshes_dropped: int
    load_us: int
    saved_us: int
    bytes_read: int
    bytes_written: int
    misses: dict[str, int]
    unstored: dict[str, int]
    stale_served: dict[str, int]
    fallbacks: dict[str, int]
    operations: dict[str, int]

    __slots__ = ("namespace", *COUNTS, *BY_REASON)

    @property
    def reads(self) -> int:
        """All reads."""
        return self.near_hits + self.hits + sum(dict(self.misses).values())

    @property
    def hit_ratio(self) -> float:
        """The share of reads that were answered from what was stored, fresh or stale; 0 before the first."""
        reads = self.reads
        stale = self.stale + self.fallbacks.get("stale", 0)
        return (self.near_hits + self.hits + stale) / reads if reads else 0.0

    @property
    def load_seconds(self) -> float:
        """Time spent in loaders, in seconds."""
        return self.load_us / 1_000_000

    @property
    def saved_seconds(self) -> float:
        """Load time that hits on the server saved, in seconds."""
        return self.saved_us / 1_000_000

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What others count for this cache: `near`, `provider`, `breaker`, `reader_breaker`, as far as they are."""
        return {}

    def as_dict(self) -> dict[str, Any]:
        """Return every counter by name, what follows from them, and the parts; fit for JSON."""
        return {
            "namespace": self.namespace,
            "reads": self.reads,
            "hit_ratio": self.hit_ratio,
            **{name: getattr(self, name) for name in COUNTS},
            **{name: dict(getattr(self, name)) for name in BY_REASON},
            **self.parts,
        }

    def __str__(self) -> str:
        from staleproof.cache.tables import table  # noqa: PLC0415 - most programs never need it

        return table(self.as_dict())
