"""The safety net: ships from the journal whatever the push missed, and keeps the journal short.

Theory of operation. Each link has a position in each namespace's journal. A run reads what lies after it and was not
pushed, ships what began in this region (records of other origins came from a peer, so loops cannot form), and moves
the position past what was delivered, never further: a crash at any point ships again and never skips. Behind an
undelivered record, those that were delivered are noted as pushed, so that they do not travel at every run. A journal
knows links by name; those that are not among this run's are given up, or they would keep the journal for ever.

Where a record cannot be shipped as it is, the peers forget the whole namespace instead (P6):

* the position is no longer in the journal: it was lost in a failover, trimmed or deleted, and with it unknown records;
* a record cannot be read, for one because a newer release wrote it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from staleproof.clock import SYSTEM_CLOCK
from staleproof.events import Cause, Invalidation
from staleproof.events.invalidation import new_id
from staleproof.ports import journal_order
from staleproof_pipeline.observer import NullObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof.ports import JournalId, JournalPage
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.providers import Journaled, Providers
    from staleproof_pipeline.replication.links import Link

PAGE = 500
"""Journal records that one step reads."""

HORIZON_MS = 15 * 60 * 1_000
"""How long records stay that no link needs any more: near caches that slept so long clear themselves."""


class Owed(NamedTuple):
    """A record to ship, and the place that is behind it; "" if there is none (a clear for what was lost)."""

    place: JournalId
    record: Invalidation


class Followed(NamedTuple):
    """What a run did: records shipped, and whether every link owes nothing more."""

    shipped: int
    complete: bool


class JournalFollower:
    """Ships from the journals of some namespaces.

    Args:
        links: the ways to the peers.
        providers: whose journals are followed.
        namespaces: which of them.
        region: the origin that is shipped.
        observer: hears how it went.
        clock: the source of time.
        page: records that one step reads.
        horizon_ms: how long a record stays that no link needs any more.
    """

    def __init__(
        self,
        links: Sequence[Link],
        providers: Providers,
        namespaces: Sequence[str],
        region: str,
        *,
        observer: Observer | None = None,
        clock: Clock = SYSTEM_CLOCK,
        page: int = PAGE,
        horizon_ms: int = HORIZON_MS,
    ) -> None:
        self._links = links
        self._providers = providers
        self._namespaces = namespaces
        self._region = region
        self._observer: Observer = observer or NullObserver()
        self._clock = clock
        self._page = page
        self._horizon_ms = horizon_ms

    def run(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> Followed:
        """Ship what is owed, for at most about *seconds*, then give up links that are no more and trim the journals.

        Raises:
            ProviderError: the journal cannot be read or a position cannot be moved; nothing is skipped.
        """
        deadline = monotonic() + seconds
        shipped, complete = 0, True
        for namespace in self._namespaces:
            provider = self._providers.get(namespace)
            for link in self._links:
                done = self._follow(link, provider, lambda: monotonic() < deadline)
                shipped, complete = shipped + done.shipped, complete and done.complete
            self._forget_others(provider)
            provider.trim(self._horizon_ms)
        return Followed(shipped, complete)

    def _forget_others(self, provider: Journaled) -> None:
        """Give up links that are no more: a peer or a bus that went, or has another name, would hold up trimming."""
        links = {link.name for link in self._links}
        for name in provider.followers():
            if name not in links:
                provider.forget(name)

    def _follow(self, link: Link, provider: Journaled, in_time: Callable[[], bool]) -> Followed:
        shipped = 0
        while True:
            page = self._read(link, provider)
            done, moved = self._ship(link, provider, page)
            shipped += done
            if not moved or page.complete or not in_time():
                complete = moved and page.complete
                self._observer.followed(link.name, 0 if complete else self._lag(page))
                return Followed(shipped, complete)

    def _read(self, link: Link, provider: Journaled) -> JournalPage:
        page = provider.undelivered(link.name, self._page)
        if not page.contiguous and not page.last:
            # The journal is gone, which opens a new one; or a failover cut it short, and it ends before the position.
            # Either way there must be a place to move the position to, or the peers would clear at every run.
            end = provider.journal_end()
            page = provider.undelivered(link.name, self._page)
            page = page if page.last else page._replace(last=end)
        return page

    def _ship(self, link: Link, provider: Journaled, page: JournalPage) -> tuple[int, bool]:
        """Ship one page; return how much, and whether the position moved to its end."""
        owed = self._owed(page, provider.namespace)
        if not page.contiguous:
            self._observer.gap(link.name, provider.namespace)
            owed.insert(0, Owed("", self._clear(provider.namespace, "journal-gap")))
        delivered: Sequence[bool] = ()
        if owed:
            shipment = link.send([each.record for each in owed])
            delivered = shipment.delivered
            self._observer.shipped(link.name, sum(delivered), len(owed) - sum(delivered), shipment.error)
        if all(delivered):
            if page.last:
                provider.advance(link.name, page.last)
            return len(owed), True
        self._keep(link, provider, owed, delivered, page)
        return sum(delivered), False

    def _owed(self, page: JournalPage, namespace: str) -> list[Owed]:
        owed: list[Owed] = []
        for place, record in page.records:
            if record is None:
                owed.append(Owed(place, self._clear(namespace, "journal-unreadable")))
            elif record.origin == self._region:
                owed.append(Owed(place, record))
        return owed

    def _keep(
        self,
        link: Link,
        provider: Journaled,
        owed: Sequence[Owed],
        delivered: Sequence[bool],
        page: JournalPage,
    ) -> None:
        """Move up to the first undelivered record, and note what was delivered behind it."""
        first = owed[list(delivered).index(False)]
        noted = [each.place for each, done in zip(owed, delivered, strict=True) if done and each.place]
        if noted:
            provider.pushed(link.name, noted)
        if not first.place:
            return  # the peers were not told to clear: moving would make the gap look closed
        before = [place for place, _ in page.records if journal_order(place) < journal_order(first.place)]
        if before:
            provider.advance(link.name, before[-1])

    def _lag(self, page: JournalPage) -> int:
        now = int(self._clock.wall() * 1_000)
        oldest = next((place for place, _ in page.records), "")
        return max(0, now - journal_order(oldest)[0]) if oldest else 0

    def _clear(self, namespace: str, cause: str) -> Invalidation:
        return Invalidation(
            id=new_id(),
            origin=self._region,
            namespace=namespace,
            clear=True,
            at_ms=int(self._clock.wall() * 1_000),
            cause=Cause(source="replication", operation=cause),
        )
