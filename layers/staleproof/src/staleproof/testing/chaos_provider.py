"""`ChaosProvider`: a provider whose calls meet the faults of a `Chaos`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.errors import ConfigurationError
from staleproof.keys import Keyspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof.ports import (
        Begun,
        Claim,
        Deposit,
        JournalId,
        JournalPage,
        Keys,
        Observed,
        Provider,
        Snapshot,
        Want,
    )
    from staleproof.tags import TagId
    from staleproof.testing.chaos import Chaos, Verdict

R = TypeVar("R")


class Targets:
    """What a call concerns, by its names on a server, and how to remove one.

    Args:
        namespace: the provider's.
        evict: removes one thing by its name; None if that is not asked for.

    Raises:
        ConfigurationError: the chaos evicts, and nothing is there to do it.
    """

    def __init__(self, namespace: str, chaos: Chaos, evict: Callable[[bytes], Any] | None) -> None:
        if chaos.evicts and evict is None:
            raise ConfigurationError(
                "chaos: evictions need evict=, a function that removes one thing from the server by its name"
            )
        self._keys = Keyspace(namespace)
        self.evict = evict

    def of(self, keys: Iterable[str] = (), tags: Iterable[TagId] = ()) -> Iterator[bytes]:
        """Yield the names of what belongs to *keys* and *tags*, and of what belongs to all of them."""
        for key in keys:
            yield self._keys.entry(key)
            yield self._keys.lease(key)
        yield from map(self._keys.version, tags)
        yield self._keys.guard
        yield self._keys.journal


class ChaosProvider:
    """*provider*, with faults; implements `Provider`.

    Args:
        provider: does the work.
        chaos: says what goes wrong.
        evict: removes one thing from the server by its name; a memory provider's own by default.
        sleep: waits for a delay; `clock.advance` where a test moves time.
        between: called with the method's name before each call and after its reply: what happens there happens between
            two steps of whoever calls.
    """

    def __init__(
        self,
        provider: Provider,
        chaos: Chaos,
        *,
        evict: Callable[[bytes], object] | None = None,
        sleep: Callable[[float], object] = time.sleep,
        between: Callable[[str], object] | None = None,
    ) -> None:
        self.provider = provider
        self.chaos = chaos
        self.namespace = provider.namespace
        self._targets = Targets(provider.namespace, chaos, evict or getattr(provider, "drop", None))
        self._sleep = sleep
        self._between = between

    def __getattr__(self, name: str) -> Any:
        """Return what only *provider* has: a follower's methods, statistics."""
        if name == "provider":  # a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self.provider, name)

    def _do(self, method: str, names: Iterable[bytes], work: Callable[[], R]) -> R:
        return self._done(method, self._decided(method, names), work)

    def _decided(self, method: str, names: Iterable[bytes]) -> Verdict:
        if self._between is not None:
            self._between(method)
        verdict = self.chaos.decide(method, names)
        if verdict.delay:
            self._sleep(verdict.delay)
        if verdict.evict is not None and self._targets.evict is not None:
            self._targets.evict(verdict.evict)
        return verdict

    def _done(self, method: str, verdict: Verdict, work: Callable[[], R]) -> R:
        if verdict.refused is not None:
            raise verdict.refused
        reply = work()
        if self._between is not None:
            self._between(method)
        return verdict.checked(reply)  # type: ignore[no-any-return]

    # --- steps -------------------------------------------------------------------------------------

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        return self._do("read", self._targets.of([key], tags), lambda: self.provider.read(key, tags))

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        work = lambda: self.provider.read_following(key, tags, cursor, limit)  # noqa: E731
        return self._do("read_following", self._targets.of([key], tags), work)

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        return self._do("read_many", (), lambda: self.provider.read_many(wants))

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        work = lambda: self.provider.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard)  # noqa: E731
        return self._do("begin", self._targets.of([key], tags), work)

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        work = lambda: self.provider.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard)  # noqa: E731
        return self._do("begin_many", self._targets.of([claim.key for claim in claims]), work)

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        work = lambda: self.provider.snapshot(tags, tag_ttl_ms, guard=guard)  # noqa: E731
        return self._do("snapshot", self._targets.of(tags=tags), work)

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        verdict = self._decided("store", self._targets.of([key]))
        if verdict.fault == "lost":
            self.provider.release(key, lease)
            return True
        return self._done("store", verdict, lambda: self.provider.store(key, entry, ttl_ms, lease))

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        verdict = self._decided("store_many", self._targets.of([deposit.key for deposit in deposits]))
        if verdict.fault == "lost":
            for deposit in deposits:
                self.provider.release(deposit.key, deposit.lease)
            return [True] * len(deposits)
        return self._done("store_many", verdict, lambda: self.provider.store_many(deposits))

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        work = lambda: self.provider.expire(key, seen_ms, expires_ms, ttl_ms)  # noqa: E731
        return self._do("expire", self._targets.of([key]), work)

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        verdict = self._decided("put", self._targets.of([key]))
        if verdict.fault != "lost":
            self._done("put", verdict, lambda: self.provider.put(key, entry, ttl_ms))

    def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        self._do("release", (), lambda: self.provider.release(key, lease))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        return self._do("invalidate", (), lambda: self.provider.invalidate(invalidations))

    def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`."""
        return self._do("scan", (), lambda: self.provider.scan(cursor, limit))

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        return self._do("journal", self._targets.of(), lambda: self.provider.journal(cursor, limit))

    def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        return self._do("journal_end", (), self.provider.journal_end)

    def close(self) -> None:
        """See `Provider.close`."""
        self.provider.close()
