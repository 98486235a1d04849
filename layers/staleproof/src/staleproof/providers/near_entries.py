"""What a tiered provider keeps near, without I/O: which entries, for how long, and when they may answer.

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
* **Whoever holds a key's lease** reads the remote provider's entry: he may be about to change it, and the last change
  of another is told to the journal only after it was stored.
* **Whoever follows the journal through this provider** counts on answers that are no older than what he was told: what
  a page names that was handed out goes at once (`told`), and where an end was handed out, the journal is read to there.
* **What ends without a word** ends near, too: at the entry's own end, or after *life*, which covers what an entry does
  not tell, its idle time, and entries that others loaded anew before their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.entry import Entry, decode
from staleproof.errors import ProviderRejectedError
from staleproof.near.copies import Copy
from staleproof.near.store import NEVER
from staleproof.policies.judgement import judge
from staleproof.ports import Observed
from staleproof.stores import Store
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TypeAlias, TypeVar

    from staleproof.near.store import NearStore, Position
    from staleproof.ports import Begun, JournalPage
    from staleproof.tags import TagId

    R = TypeVar("R")
    Question: TypeAlias = Callable[[Any], Any]
    Step: TypeAlias = Generator[Question, Any, R]
    """A generator that yields questions, each a function of the remote provider, and returns its result."""

PAGE = 256
"""Journal records that one answer holds at most."""

MAX_PAGES = 16
"""Answers that a read goes through before it clears what is near instead."""

MAX_LOADS = 10_000
"""Loads under way of which the ticket is remembered; the values of others are not kept near at once."""


class Load(NamedTuple):
    """A load under way: the name of its lease, and the place in the journal from before its versions were captured."""

    lease: bytes
    ticket: Position


class NearEntries:
    """Entries that follow the remote provider's journal; for the arguments see `TieredProvider`."""

    def __init__(self, local: NearStore, *, staleness: float, life: float) -> None:
        self.local = local
        self.checks = 0
        self._clock = local.clock
        self._staleness = staleness
        self._life = life
        self._loads: Store[str, Load] = Store(eviction="fifo", max_entries=MAX_LOADS, clock=self._clock)

    def in_step(self) -> Step[bool]:
        """Say whether what is near may answer a read that begins now, after asking the journal if need be."""
        now, shown = self._clock.now(), self.local.shown
        bound = 0.0 if shown is NEVER or self._is_loading() else self._staleness
        if not bound or now.elapsed(shown) > bound:
            self.checks += 1
            yield from self.catch_up()
        # Not if another thread found a gap meanwhile: our answer then counted for nothing.
        return now.elapsed(self.local.synced) <= bound

    def position(self) -> Step[Position]:
        """Return a place in the journal, after finding its end if it was not followed yet."""
        if not self.local.position().cursor:
            yield from self.catch_up()
        return self.local.position()

    def catch_up(self) -> Step[None]:
        """Read the journal from the cursor to its end; clear if it is too far."""
        for _ in range(MAX_PAGES):
            asked = self.local.position()
            if not asked.cursor:
                try:
                    self.local.open(asked, (yield lambda remote: remote.journal_end()))
                except ProviderRejectedError:
                    return  # no journal, and no room to begin one: nothing is kept near, and reads go on
                return
            cursor = asked.cursor
            page: JournalPage = yield lambda remote, cursor=cursor: remote.journal(cursor, PAGE)  # type: ignore[misc]
            self.local.advance(asked, page)
            if page.complete:
                return
        self.local.reset()

    def told(self, page: JournalPage) -> None:
        """Let go of what a page names that the caller gets."""
        if not page.contiguous or any(record is None for _, record in page.records):
            self.local.reset()
        for place, record in page.records:
            if record is not None:
                self.local.forget(record, place)

    def found(self, key: str, tags: Sequence[TagId]) -> Observed | None:
        """Return what is near for *key*, if it knows every one of *tags* and we do not hold the key's lease."""
        copy = None if key in self._loads else self.local.copies.get(key)
        if copy is None or copy.is_over(self._clock.now()):
            return None
        copy.used = True
        entry, versions = copy.value
        if tuple(tags) == copy.tags:
            return Observed(entry, list(versions))
        known = dict(zip(copy.tags, versions, strict=True))
        return Observed(entry, [known[tag] for tag in tags]) if known.keys() >= set(tags) else None

    def promote(self, key: str, tags: Sequence[TagId], observed: Observed, ticket: Position) -> None:
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

    def note_load(self, key: str, lease: bytes, ticket: Position, begun: Begun, lease_ms: int) -> None:
        """Remember the place in the journal from before a load's versions were captured."""
        if begun.leased:
            self._loads.set(key, Load(lease, ticket), ttl=lease_ms / 1_000)

    def settle(self, key: str, entry: bytes, lease: bytes, *, stored: bool) -> None:
        """End a load, and keep near what it stored."""
        load = self._loads.peek(key)
        self.end_load(key, lease)
        found = decode(entry) if stored else None
        if stored:
            self.local.discard(key)
        if found is not None and load is not None and load.lease == lease:
            self._keep(key, entry, found, load.ticket)

    def end_load(self, key: str, lease: bytes) -> None:
        """Forget a load, which stored nothing or is done."""
        load = self._loads.peek(key)
        if load is not None and load.lease == lease:
            self._loads.delete(key)

    def _is_loading(self) -> bool:
        if len(self._loads):
            self._loads.expire()
        return len(self._loads) > 0

    def _keep(self, key: str, raw: bytes, entry: Entry, ticket: Position) -> None:
        now = self._clock.now()
        life = self._life
        if entry.expires_ms:
            life = min(life, entry.expires_ms / 1_000 - now.wall)
        if life <= 0:
            return
        run = entry.versions
        versions = [run[at : at + VERSION_BYTES] for at in range(0, len(run), VERSION_BYTES)]
        ids = tuple(entry.tag_ids)
        self.local.insert(key, Copy((raw, versions), ids, now, life, tags=ids), ticket, len(raw))
