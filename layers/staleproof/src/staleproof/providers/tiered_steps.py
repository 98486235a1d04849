"""The steps of a tiered provider, without I/O: what is answered near, and what the remote provider is asked.

What is kept near, and why it may answer, stands in `staleproof.providers.near_entries`. A step is a generator that
yields questions, each a function of the remote provider, receives their answers, and returns the result;
`TieredProvider` and `AsyncTieredProvider` run the same steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from staleproof.providers.near_entries import PAGE, NearEntries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.events import Invalidation
    from staleproof.near.statistics import NearStatistics
    from staleproof.near.store import NearStore
    from staleproof.ports import Begun, Claim, Deposit, JournalId, JournalPage, Observed, Want
    from staleproof.providers.near_entries import Step
    from staleproof.tags import TagId


class TieredStatistics(NamedTuple):
    """What a tiered provider answered.

    Attributes:
        hits: reads answered from near.
        checks: questions to the journal that were asked for that, each a round trip that moved no value.
        misses: reads that the remote provider answered.
        near: what became of the entries that were kept.
    """

    hits: int
    checks: int
    misses: int
    near: NearStatistics


class TieredSteps:
    """The steps over one near store.

    Args:
        local: holds entries near, by key.
        staleness: the most seconds that an answer may lag behind an acknowledged invalidation; 0 asks at every read.
        life: the most seconds that an entry is served without being read anew.
    """

    def __init__(self, local: NearStore, *, staleness: float, life: float) -> None:
        self.local = local
        self._near = NearEntries(local, staleness=staleness, life=life)
        self._hits = self._misses = 0

    @property
    def statistics(self) -> TieredStatistics:
        """What was answered so far; under threads about exact."""
        return TieredStatistics(self._hits, self._near.checks, self._misses, self.local.statistics)

    # --- reading ---------------------------------------------------------------------------------

    def read(self, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`: from near if the journal allows it, else by one round trip for journal and entry."""
        if key in self.local.copies and (yield from self._near.in_step()):
            found = self._near.found(key, tags)
            if found is not None:
                self._hits += 1
                return found
        self._misses += 1
        asked = yield from self._near.position()
        page: JournalPage
        observed: Observed
        page, observed = yield lambda remote: remote.read_following(key, tags, asked.cursor, PAGE)
        self.local.advance(asked, page)
        # The ticket is the place that this answer reached; another thread may have moved the cursor further.
        self._near.promote(
            key, tags, observed, asked._replace(cursor=page.last) if page.contiguous else asked
        )
        return observed

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> Step[tuple[JournalPage, Observed]]:
        """See `Provider.read_following`: the caller follows the journal by itself, so the remote provider answers."""
        ticket = self.local.position()
        page: JournalPage
        observed: Observed
        page, observed = yield lambda remote: remote.read_following(key, tags, cursor, limit)
        self._near.told(page)
        if page.contiguous and ticket.cursor:
            ticket = ticket._replace(cursor=page.last)
        self._near.promote(key, tags, observed, ticket)
        return page, observed

    def journal(self, cursor: JournalId, limit: int) -> Step[JournalPage]:
        """See `Provider.journal`; what is near is no older than what the caller has been told."""
        page: JournalPage = yield lambda remote: remote.journal(cursor, limit)
        self._near.told(page)
        return page

    def journal_end(self) -> Step[JournalId]:
        """See `Provider.journal_end`; what is near is no older than that place."""
        end: JournalId = yield lambda remote: remote.journal_end()
        yield from self._near.catch_up()
        return end

    def read_many(self, wants: Sequence[Want]) -> Step[list[Observed]]:
        """See `Provider.read_many`: what is not near is read in one more round trip."""
        near = any(want.key in self.local.copies for want in wants) and (yield from self._near.in_step())
        found = [self._near.found(*want) if near else None for want in wants]
        missing = [want for want, observed in zip(wants, found, strict=True) if observed is None]
        self._hits += len(wants) - len(missing)
        self._misses += len(missing)
        if not missing:
            return [observed for observed in found if observed is not None]
        ticket = yield from self._near.position()
        read: list[Observed] = yield lambda remote: remote.read_many(missing)
        for want, observed in zip(missing, read, strict=True):
            self._near.promote(want.key, want.tags, observed, ticket)
        rest = iter(read)
        return [next(rest) if observed is None else observed for observed in found]

    # --- loading and writing ---------------------------------------------------------------------

    def begin_many(
        self, claims: Sequence[Claim], lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[list[Begun]]:
        """See `Provider.begin_many`; the ticket of what will be loaded is from before."""
        ticket = self.local.position()
        begun: list[Begun] = yield lambda remote: remote.begin_many(claims, lease_ms, tag_ttl_ms, guard=guard)
        for claim, each in zip(claims, begun, strict=True):
            self._near.note_load(claim.key, claim.lease, ticket, each, lease_ms)
        return begun

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[Begun]:
        """See `Provider.begin`."""
        ticket = self.local.position()
        begun: Begun = yield lambda remote: remote.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard)
        self._near.note_load(key, lease, ticket, begun, lease_ms)
        return begun

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> Step[bool]:
        """See `Provider.store`; what was stored is near as well."""
        stored: bool = yield lambda remote: remote.store(key, entry, ttl_ms, lease)
        self._near.settle(key, entry, lease, stored=stored)
        return stored

    def store_many(self, deposits: Sequence[Deposit]) -> Step[list[bool]]:
        """See `Provider.store_many`."""
        stored: list[bool] = yield lambda remote: remote.store_many(deposits)
        for deposit, each in zip(deposits, stored, strict=True):
            self._near.settle(deposit.key, deposit.entry, deposit.lease, stored=each)
        return stored

    def release(self, key: str, lease: bytes) -> Step[None]:
        """See `Provider.release`."""
        self._near.end_load(key, lease)
        yield lambda remote: remote.release(key, lease)

    def put(self, key: str, entry: bytes, ttl_ms: int) -> Step[None]:
        """See `Provider.put`; whether its versions are current is not known, so the next read brings it near."""
        yield lambda remote: remote.put(key, entry, ttl_ms)
        self.local.discard(key)

    def expire(self, key: str, seen_ms: int, expires_ms: int, ttl_ms: int) -> Step[bool]:
        """See `Provider.expire`; the next read brings the entry near as it then is."""
        moved: bool = yield lambda remote: remote.expire(key, seen_ms, expires_ms, ttl_ms)
        self.local.discard(key)
        return moved

    def invalidate(self, invalidations: Sequence[Invalidation]) -> Step[list[JournalId]]:
        """See `Provider.invalidate`; what this process invalidates goes near at once."""
        places: list[JournalId] = yield lambda remote: remote.invalidate(invalidations)
        for each in invalidations:
            self.local.forget(each, places[-1])
        return places
