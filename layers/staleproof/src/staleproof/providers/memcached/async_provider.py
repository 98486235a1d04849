"""The asyncio Memcached provider: the steps of `steps` and `rotation` over `AsyncConnections`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderError
from staleproof.ports import Begun, Claim, Deposit, JournalPage, Observed, Snapshot, Want
from staleproof.providers.memcached.address import (
    DEFAULT_MAX_CONNECTIONS,
    DEFAULT_TIMEOUT,
    limits,
    parse,
)
from staleproof.providers.memcached.async_connections import AsyncConnections
from staleproof.providers.memcached.lacking import NO_JOURNAL, no_journal, no_scan, places
from staleproof.providers.memcached.membership import Membership
from staleproof.providers.memcached.names import Names
from staleproof.providers.memcached.rotation import invalidate
from staleproof.providers.memcached.settlement import Talk
from staleproof.providers.memcached.steps import Steps, unstored
from staleproof.providers.memcached.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from staleproof.events import Invalidation
    from staleproof.policies.duration import Duration
    from staleproof.ports import JournalId, Keys
    from staleproof.providers.memcached.address import Address
    from staleproof.providers.memcached.rounds import Step
    from staleproof.providers.memcached.view import View
    from staleproof.tags import TagId

    R = TypeVar("R")


class AsyncMemcachedProvider:
    """One namespace on a Memcached cluster; implements `AsyncProvider`, without journal and scan.

    Args:
        address: the nodes, or who names them.
        namespace: the namespace it serves.
        timeout: seconds for connecting, and for each send and receive.
        max_connections: to each node.
        clock: the source of time.

    Attributes:
        journals: False: near caches cannot follow a journal here.
    """

    journals = False

    def __init__(
        self,
        address: Address,
        namespace: str,
        *,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.namespace = namespace
        self.names = Names(namespace)
        fixed = None if address.discovers else address.members
        endpoint = address.members[0] if address.discovers else None
        self.connections = AsyncConnections(
            limits(timeout, max_connections), tls=address.tls, endpoint=endpoint, clock=clock
        )
        self.membership = Membership(self.names, fixed, poll=address.poll, clock=clock)
        self._steps = Steps(clock)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
    ) -> AsyncMemcachedProvider:
        """Connect (at first use) to *url*; see `staleproof.providers.memcached.address`."""
        return cls(parse(url), namespace, timeout=timeout, max_connections=max_connections)

    async def run(self, step: Callable[[View], Step[R]]) -> R:
        """Run one step of the algorithm."""
        running = self.membership.run(step)
        answer: Any = None
        failure: ProviderError | None = None
        while True:
            try:
                asked = running.send(answer) if failure is None else running.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = failure = None
            try:
                answer = await self._answer(asked)
            except ProviderError as error:
                failure = error

    async def _answer(self, asked: Any) -> Any:
        if isinstance(asked, Talk):
            return await self.connections.talk(asked)
        listing = await self.connections.ask(self.membership.listed)
        self.connections.keep(listing.members)
        return listing

    async def read(self, key: str, tags: Sequence[TagId]) -> Observed:
        """See `Provider.read`."""
        return await self.run(lambda view: self._steps.read(view, key, tags))

    async def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> tuple[JournalPage, Observed]:
        """See `Provider.read_following`; there is no journal, and the page says that all may have been missed."""
        del cursor, limit
        return NO_JOURNAL, await self.read(key, tags)

    async def read_many(self, wants: Sequence[Want]) -> list[Observed]:
        """See `Provider.read_many`."""
        return await self.run(lambda view: self._steps.read_many(view, wants))

    async def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Begun:
        """See `Provider.begin`."""
        (begun,) = await self.begin_many([Claim(key, tags, lease)], lease_ms, tag_ttl_ms, guard=guard)
        return begun

    async def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> list[Begun]:
        """See `Provider.begin_many`."""
        return await self.run(
            lambda view: self._steps.begin_many(view, claims, lease_ms, tag_ttl_ms, guard=guard)
        )

    async def snapshot(self, tags: Sequence[TagId], tag_ttl_ms: int, *, guard: bool) -> Snapshot:
        """See `Provider.snapshot`."""
        return await self.run(lambda view: self._steps.snapshot(view, tags, tag_ttl_ms, guard=guard))

    async def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> bool:
        """See `Provider.store`.

        Raises:
            ProviderRejectedError: the entry is too large for the server, or the server is full.
        """
        deposits = [Deposit(key, entry, ttl_ms, lease)]
        (outcome,) = await self.run(lambda view: self._steps.store_many(view, deposits))
        if isinstance(outcome, Reply):
            raise unstored(key, entry, outcome)
        return outcome

    async def store_many(self, deposits: Sequence[Deposit]) -> list[bool]:
        """See `Provider.store_many`; what is too large is not stored, and the rest is."""
        return [each is True for each in await self.run(lambda view: self._steps.store_many(view, deposits))]

    async def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> bool:
        """See `Provider.expire`."""
        return await self.run(lambda view: self._steps.expire(view, key, seen_ms, expires_ms, ttl_ms))

    async def put(self, key: str, entry: bytes, ttl_ms: int) -> None:
        """See `Provider.put`; raises as `store` does."""
        await self.run(lambda view: self._steps.put(view, key, entry, ttl_ms))

    async def release(self, key: str, lease: bytes) -> None:
        """See `Provider.release`."""
        await self.run(lambda view: self._steps.release(view, key, lease))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> list[JournalId]:
        """See `Provider.invalidate`; the places that it returns are nowhere."""
        await self.run(lambda view: invalidate(view, invalidations))
        return places(invalidations)

    async def scan(self, cursor: str, limit: int) -> Keys:
        """Raise: Memcached does not list keys."""
        raise no_scan(cursor, limit)

    async def journal(self, cursor: JournalId, limit: int) -> JournalPage:
        """Raise: there is no journal."""
        raise no_journal(cursor, limit)

    async def journal_end(self) -> JournalId:
        """Raise: there is no journal."""
        raise no_journal()

    async def close(self) -> None:
        """Close idle connections; the next call reconnects."""
        await self.connections.close()
