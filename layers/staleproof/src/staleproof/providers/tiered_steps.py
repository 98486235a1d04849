"""The steps of a tiered provider, without I/O: what is answered near, what the remote provider is asked, what is kept.

Theory of operation
-------------------
An entry is kept near only if it is *fresh* when it is read: whole, not over, and all its tags were asked for and stand
at just the versions that it carries. From then on the journal says whether it still is: an invalidation is journalled
before it is acknowledged, so an entry of which the journal has named neither the key nor a tag has current versions.
That is why the entry alone is kept: the versions to answer with are its own. Absence is never kept, nor anything stale:
whoever fills it tells no journal.

* **Fence of fills**: an entry read or stored settles near only if nothing named it since the *ticket*, the place in the
  journal from before the read, or from before the versions were captured that it was loaded under (`NearStore.insert`).
* **Nothing that lags goes into a load**: while a load of this process is under way, every read asks the journal,
  whatever the bound (decision 14).
* **What ends without a word** ends near, too: at the entry's own end, or after *life*, which covers what an entry does
  not tell, its idle time, and entries that others loaded anew before their end.

A step is a generator that yields questions, each a function of the remote provider, receives their answers, and returns
the result; `TieredProvider` and `AsyncTieredProvider` run the same steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.entry import Entry, decode
from staleproof.near.copies import Copy
from staleproof.near.store import NEVER
from staleproof.policies.judgement import judge
from staleproof.ports import Observed
from staleproof.stores import Store
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TypeAlias, TypeVar

    from staleproof.events import Invalidation
    from staleproof.near.statistics import NearStatistics
    from staleproof.near.store import NearStore, Position
    from staleproof.ports import Begun, Claim, Deposit, JournalId, JournalPage, Want
    from staleproof.tags import TagId

    R = TypeVar("R")
    Question: TypeAlias = Callable[[Any], Any]
    Step: TypeAlias = Generator[Question, Any, R]

PAGE = 256
"""Journal records that one answer holds at most."""

MAX_PAGES = 16
"""Answers that a read goes through before it clears what is near instead."""

MAX_LOADS = 10_000
"""Loads under way of which the ticket is remembered; the values of others are not kept near at once."""


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
        self._hits = self._checks = self._misses = 0
        self._clock = local.clock
        self._staleness = staleness
        self._life = life
        self._loads: Store[bytes, Position] = Store(eviction="fifo", max_entries=MAX_LOADS, clock=self._clock)

    @property
    def statistics(self) -> TieredStatistics:
        """What was answered so far; under threads about exact."""
        return TieredStatistics(self._hits, self._checks, self._misses, self.local.statistics)

    # --- reading ---------------------------------------------------------------------------------

    def read(self, key: str, tags: Sequence[TagId]) -> Step[Observed]:
        """See `Provider.read`: from near if the journal allows it, else by one round trip for journal and entry."""
        if key in self.local.copies and (yield from self._in_step()):
            found = self._found(key, tags)
            if found is not None:
                self._hits += 1
                return found
        self._misses += 1
        asked = yield from self._position()
        page: JournalPage
        observed: Observed
        page, observed = yield lambda remote: remote.read_following(key, tags, asked.cursor, PAGE)
        self.local.advance(asked, page)
        # The ticket is the place that this answer reached; another thread may have moved the cursor further.
        self._promote(key, tags, observed, asked._replace(cursor=page.last) if page.contiguous else asked)
        return observed

    def read_following(
        self, key: str, tags: Sequence[TagId], cursor: JournalId, limit: int
    ) -> Step[tuple[JournalPage, Observed]]:
        """See `Provider.read_following`: the caller follows the journal by itself, so the remote provider answers."""
        ticket = self.local.position()
        page, observed = yield lambda remote: remote.read_following(key, tags, cursor, limit)
        self._promote(key, tags, observed, ticket)
        return page, observed

    def read_many(self, wants: Sequence[Want]) -> Step[list[Observed]]:
        """See `Provider.read_many`: what is not near is read in one more round trip."""
        near = any(want.key in self.local.copies for want in wants) and (yield from self._in_step())
        found = [self._found(*want) if near else None for want in wants]
        missing = [want for want, observed in zip(wants, found, strict=True) if observed is None]
        self._hits += len(wants) - len(missing)
        self._misses += len(missing)
        if not missing:
            return [observed for observed in found if observed is not None]
        ticket = yield from self._position()
        read: list[Observed] = yield lambda remote: remote.read_many(missing)
        for want, observed in zip(missing, read, strict=True):
            self._promote(want.key, want.tags, observed, ticket)
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
            self._note_load(claim.lease, ticket, each, lease_ms)
        return begun

    def begin(
        self, key: str, tags: Sequence[TagId], lease: bytes, lease_ms: int, tag_ttl_ms: int, *, guard: bool
    ) -> Step[Begun]:
        """See `Provider.begin`."""
        ticket = self.local.position()
        begun: Begun = yield lambda remote: remote.begin(key, tags, lease, lease_ms, tag_ttl_ms, guard=guard)
        self._note_load(lease, ticket, begun, lease_ms)
        return begun

    def store(self, key: str, entry: bytes, ttl_ms: int, lease: bytes) -> Step[bool]:
        """See `Provider.store`; what was stored is near as well."""
        stored: bool = yield lambda remote: remote.store(key, entry, ttl_ms, lease)
        self._settle(key, entry, lease, stored=stored)
        return stored

    def store_many(self, deposits: Sequence[Deposit]) -> Step[list[bool]]:
        """See `Provider.store_many`."""
        stored: list[bool] = yield lambda remote: remote.store_many(deposits)
        for deposit, each in zip(deposits, stored, strict=True):
            self._settle(deposit.key, deposit.entry, deposit.lease, stored=each)
        return stored

    def release(self, key: str, lease: bytes) -> Step[None]:
        """See `Provider.release`."""
        self._loads.delete(lease)
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

    # --- near ------------------------------------------------------------------------------------

    def _in_step(self) -> Step[bool]:
        """Say whether what is near may answer a read that begins now, after asking the journal if need be."""
        now, shown = self._clock.now(), self.local.shown
        bound = 0.0 if shown is NEVER or self._is_loading() else self._staleness
        if not bound or now.elapsed(shown) > bound:
            self._checks += 1
            yield from self._catch_up()
        # Not if another thread found a gap meanwhile: our answer then counted for nothing.
        return now.elapsed(self.local.synced) <= bound

    def _position(self) -> Step[Position]:
        """Return a place in the journal, after finding its end if it was not followed yet."""
        if not self.local.position().cursor:
            yield from self._catch_up()
        return self.local.position()

    def _catch_up(self) -> Step[None]:
        """Read the journal from the cursor to its end; clear if it is too far."""
        for _ in range(MAX_PAGES):
            asked = self.local.position()
            if not asked.cursor:
                self.local.open(asked, (yield lambda remote: remote.journal_end()))
                return
            cursor = asked.cursor
            page: JournalPage = yield lambda remote, cursor=cursor: remote.journal(cursor, PAGE)  # type: ignore[misc]
            self.local.advance(asked, page)
            if page.complete:
                return
        self.local.reset()

    def _found(self, key: str, tags: Sequence[TagId]) -> Observed | None:
        """Return what is near for *key*, if it knows every one of *tags*."""
        copy = self.local.copies.get(key)
        if copy is None or copy.is_over(self._clock.now()):
            return None
        copy.used = True
        entry, versions = copy.value
        if tuple(tags) == copy.tags:
            return Observed(entry, list(versions))
        known = dict(zip(copy.tags, versions, strict=True))
        return Observed(entry, [known[tag] for tag in tags]) if known.keys() >= set(tags) else None

    def _promote(self, key: str, tags: Sequence[TagId], observed: Observed, ticket: Position) -> None:
        """Keep *observed* near, if it is fresh."""
        now_ms = int(self._clock.wall() * 1_000)
        found = observed.entry and decode(observed.entry)
        if not found:
            return
        versions = dict(zip(tags, observed.versions, strict=True))
        if not versions.keys() >= set(found.tag_ids):
            return
        own = [versions[tag] for tag in found.tag_ids]
        if isinstance(judge(observed.entry, own, found.ids, found.named, now_ms), Entry):
            self._keep(key, observed.entry or b"", found, ticket)

    def _note_load(self, lease: bytes, ticket: Position, begun: Begun, lease_ms: int) -> None:
        if begun.leased:
            self._loads.set(lease, ticket, ttl=lease_ms / 1_000)

    def _is_loading(self) -> bool:
        if len(self._loads):
            self._loads.expire()
        return len(self._loads) > 0

    def _settle(self, key: str, entry: bytes, lease: bytes, *, stored: bool) -> None:
        ticket = self._loads.peek(lease)
        self._loads.delete(lease)
        found = decode(entry) if stored else None
        if stored:
            self.local.discard(key)
        if found is not None and ticket is not None:
            self._keep(key, entry, found, ticket)

    def _keep(self, key: str, raw: bytes, entry: Entry, ticket: Position) -> None:
        now = self._clock.now()
        life = self._life
        if entry.expires_ms:
            life = min(life, entry.expires_ms / 1_000 - now.wall)
        run = entry.versions
        versions = [run[at : at + VERSION_BYTES] for at in range(0, len(run), VERSION_BYTES)]
        ids = tuple(entry.tag_ids)
        self.local.insert(key, Copy((raw, versions), ids, now, life, tags=ids), ticket, len(raw))
