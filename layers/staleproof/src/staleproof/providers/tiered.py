"""A provider over a provider: entries that were read stay in the process, as fresh as the journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderRejectedError
from staleproof.near.store import NearStore
from staleproof.policies.duration import seconds
from staleproof.providers.tiered_steps import TieredSteps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from staleproof.events import Invalidation
    from staleproof.policies.duration import Duration
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
    from staleproof.ports.operations import Operation
    from staleproof.providers.near_entries import Step
    from staleproof.providers.tiered_steps import TieredStatistics
    from staleproof.tags import TagId

    R = TypeVar("R")

DEFAULT_MAX_BYTES = 64 * 2**20
DEFAULT_LIFE = "1m"


def steps(local: NearStore | None, staleness: Duration, life: Duration, clock: Clock) -> TieredSteps:
    """Return the steps of a tiered provider; for the arguments see `TieredProvider`."""
    if local is None:
        local = NearStore(max_bytes=DEFAULT_MAX_BYTES, clock=clock)
    return TieredSteps(local, staleness=seconds(staleness, "staleness"), life=seconds(life, "life"))


class TieredProvider:
    """Entries in the process before *remote*; implements `Provider`.

    Unlike a near cache, which holds decoded values for calls whose policy allows a lag, it works below the cache: every
    call gains, and every hit is still judged and decoded. With a bound of 0 it saves the transfer of values, not the
    round trip: worth it where they are large or the network is paid for, not on the loopback (see decision 15).

    Args:
        remote: the provider behind it.
        local: where entries are kept; 10,000 of them and 64 MiB by default. Give it a `Budget` to share with others.
        staleness: how far, in seconds or `"1s"`, an answer may lag behind an acknowledged invalidation. 0 asks the
            journal at every read, in one round trip that moves no value.
        life: how long an entry is served without being read anew; where policies have an `idle` time, not longer.
        clock: the source of time, where *local* is not given.

    Attributes:
        local: where entries are kept.
    """

    def __init__(
        self,
        remote: Provider,
        *,
        local: NearStore | None = None,
        staleness: Duration = 0,
        life: Duration = DEFAULT_LIFE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.remote = remote
        self.namespace = remote.namespace
        self._steps = steps(local, staleness, life, clock)
        self.local = self._steps.local

    def _run(self, step: Step[R]) -> R:
        answer: Any = None
        failure: ProviderRejectedError | None = None
        while True:
            try:
                question = step.send(answer) if failure is None else step.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = failure = None
            try:
                answer = question(self.remote)
            except ProviderRejectedError as error:
                failure = error

    @property
    def reader(self) -> Any:
        """The remote provider's reader endpoint, if it has one: replicas answer without what is near."""
        return getattr(self.remote, "reader", None)

    @property
    def structures(self) -> Any:
        """The remote provider's data structures, if it has some; nothing of them is near."""
        return getattr(self.remote, "structures", None)

    @property
    def statistics(self) -> TieredStatistics:
        """What it answered so far."""
        return self._steps.statistics

    def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        return self._run(self._steps.read(key, tags))

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`."""
        return self._run(self._steps.read_following(key, tags, cursor, limit))

    def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        return self._run(self._steps.read_many(wants))

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        return self._run(self._steps.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard))

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        return self._run(self._steps.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard))

    def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        return self.remote.snapshot(tags, tag_ttl_ms, guard=guard)

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`."""
        return self._run(self._steps.store(key, entry, ttl_ms, lease))

    def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`."""
        return self._run(self._steps.store_many(deposits))

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        return self._run(self._steps.expire(key, seen_ms, expires_ms, ttl_ms))

    def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`."""
        self._run(self._steps.put(key, entry, ttl_ms))

    def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        self._run(self._steps.release(key, lease))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`."""
        return self._run(self._steps.invalidate(invalidations))

    def perform(self, operation: Operation) -> Any:
        """See `Operator.perform`; whether the remote has it."""
        operator: Any = self.remote
        return operator.perform(operation)

    def scan(self, cursor: str, limit: int) -> Keys:
        """See `Provider.scan`."""
        return self.remote.scan(cursor, limit)

    def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """See `Provider.journal`."""
        return self._run(self._steps.journal(cursor, limit))

    def journal_end(self) -> JournalId:
        """See `Provider.journal_end`."""
        return self._run(self._steps.journal_end())

    def close(self) -> None:
        """Close the remote provider's connections; what is near stays."""
        self.remote.close()
