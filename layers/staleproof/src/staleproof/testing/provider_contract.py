"""`ProviderContract`: the laws of `staleproof.ports.Provider`, as a suite that any provider can inherit.

Fixtures to supply:

* `provider`: a fresh provider whose namespace is empty;
* `evict`: a function that removes one server key, given as bytes from `staleproof.keys.Keyspace`, behind the
  provider's back, as an eviction would;
* `elapse`: a function that lets some seconds pass for the provider's server.

What your server cannot do is said in `lacks` and `finest`: see `staleproof.testing.abilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.entry import Entry, carries, encode
from staleproof.events.invalidation import PART
from staleproof.keys import Keyspace
from staleproof.policies import guard
from staleproof.tags import ROOT, VERSION_BYTES, tag_id
from staleproof.testing.abilities import needs
from staleproof.testing.examples import MINE, MINUTE, OTHERS, A, B, different_stripe, invalidation
from staleproof.testing.limit_contract import LimitContract
from staleproof.testing.many_contract import ManyContract
from staleproof.testing.record_contract import RecordContract
from staleproof.testing.soft_contract import SoftContract

if TYPE_CHECKING:
    from staleproof.ports import Provider
    from staleproof.testing.examples import Elapse, Evict


class ProviderContract(SoftContract, ManyContract, RecordContract, LimitContract):
    """Inherit, supply the fixtures, and every `test_` below runs against your provider."""

    # --- reading and storing -----------------------------------------------------------------------

    def test_nothing_is_absent(self, provider: Provider) -> None:
        """A key that was never stored has no entry, and a tag that nobody used has no version."""
        entry, versions = provider.read("key", [ROOT, A])
        assert entry is None
        assert list(versions) == [None, None]

    def test_what_is_stored_is_read(self, provider: Provider) -> None:
        """An entry stored under our lease is read back byte for byte, with the versions of its snapshot."""
        begun = provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=False)
        assert begun.leased
        for value in (b"", b"\x00\r\n$5", b"x" * 1_000_000):
            provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=False)
            assert provider.store("key", value, MINUTE, MINE)
            entry, versions = provider.read("key", [ROOT, A])
            assert entry == value
            assert list(versions) == list(begun.snapshot.versions)

    def test_keys_are_told_apart(self, provider: Provider) -> None:
        """No two key texts share an entry, whatever characters or lengths they have."""
        keys = [
            "k",
            "k}",
            "}k",
            "{k",
            "k}:l",
            "{7}",
            "k{7}",
            "k{7}:l",
            "k{7}}:l",
            "{a7}kk{7}",
            "k{7}" + "a" * 600,
            "",
            " ",
            "ü",
            "a" * 600,
            "a" * 601,
            "a" * 600 + "b",
            "%7B",
            "\x00",
        ]
        for key in keys:
            provider.put(key, key.encode(), MINUTE)
        assert [provider.read(key, [])[0] for key in keys] == [key.encode() for key in keys]

    def test_an_entry_expires(self, provider: Provider, elapse: Elapse) -> None:
        """An entry is gone after its time to live; one with none stays."""
        provider.put("short", b"1", self.brief_ms)
        provider.put("ever", b"2", 0)
        elapse(self.over)
        assert provider.read("short", [])[0] is None
        assert provider.read("ever", [])[0] == b"2"

    def test_a_snapshot_prolongs_versions_and_never_shortens_them(
        self, provider: Provider, elapse: Elapse
    ) -> None:
        """A version outlives the longest-lived entry that may be stored under it, for ever if need be."""
        ids = [A, B]
        before = provider.snapshot(ids, self.brief_ms, guard=False).versions
        provider.snapshot([A], MINUTE, guard=False)
        provider.snapshot([B], 0, guard=False)
        provider.snapshot(ids, self.brief_ms, guard=False)
        elapse(self.over)
        assert list(provider.read("key", ids)[1]) == list(before)

    def test_a_version_expires_if_nothing_is_stored(self, provider: Provider, elapse: Elapse) -> None:
        """A snapshot whose load never stored leaves nothing behind for ever."""
        provider.snapshot([A], self.brief_ms, guard=False)
        elapse(self.over)
        assert list(provider.read("key", [A])[1]) == [None]

    # --- versions and leases ------------------------------------------------------------------------

    def test_a_version_is_made_once(self, provider: Provider) -> None:
        """Every snapshot sees the same version until the tag is invalidated; two tags have different ones."""
        first = provider.snapshot([A, B], MINUTE, guard=False).versions
        again = provider.begin("key", [B, A], MINE, MINUTE, MINUTE, guard=False).snapshot.versions
        assert list(first) == [again[1], again[0]]
        assert len({*first}) == len(first)
        assert {len(version) for version in first} == {VERSION_BYTES}

    def test_one_holder_at_a_time(self, provider: Provider) -> None:
        """A held lease is refused to others, recognised by its holder, and free after the store."""
        assert provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False).leased
        assert not provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased
        assert provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False).leased
        assert provider.store("key", b"1", MINUTE, MINE)
        assert provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased

    def test_a_new_holder_sees_what_the_last_one_stored(self, provider: Provider) -> None:
        """The head that comes with a lease is the beginning of the entry, and empty if there is none."""
        begun = provider.begin("key", [ROOT, A], MINE, MINUTE, MINUTE, guard=False)
        assert begun.head == b""
        ids, versions = ROOT + A, b"".join(begun.snapshot.versions)
        stored = encode(Entry(0, ids, versions, 2, 1, 2, 3, b"value" * 1_000))
        provider.store("key", stored, MINUTE, MINE)
        begun = provider.begin("key", [ROOT, A], OTHERS, MINUTE, MINUTE, guard=True)
        assert stored.startswith(begun.head)
        assert carries(begun.head, [ROOT, A], begun.snapshot.versions)
        assert len(begun.head) < len(stored)

    def test_without_the_lease_nothing_is_stored(self, provider: Provider) -> None:
        """A store by anybody but the holder changes neither the entry nor the lease."""
        provider.put("key", b"old", MINUTE)
        provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False)
        assert not provider.store("key", b"new", MINUTE, MINE)
        assert provider.read("key", [])[0] == b"old"
        assert provider.store("key", b"newer", MINUTE, OTHERS)

    def test_a_lease_runs_out(self, provider: Provider, elapse: Elapse) -> None:
        """A dead holder's lease is free after its time, and the late holder can no longer store."""
        provider.begin("key", [A], MINE, self.brief_ms, MINUTE, guard=False)
        elapse(self.over)
        assert not provider.store("key", b"late", MINUTE, MINE)
        assert provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased

    def test_only_the_holder_releases(self, provider: Provider) -> None:
        """A release by somebody else does nothing."""
        provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
        provider.release("key", OTHERS)
        assert not provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased
        provider.release("key", MINE)
        assert provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased

    def test_a_put_breaks_the_lease(self, provider: Provider) -> None:
        """A load in flight cannot overwrite a value put meanwhile."""
        provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
        provider.put("key", b"put", MINUTE)
        assert not provider.store("key", b"loaded", MINUTE, MINE)
        assert provider.read("key", [])[0] == b"put"

    # --- invalidating -------------------------------------------------------------------------------

    def test_an_invalidated_tag_has_a_new_version(self, provider: Provider) -> None:
        """Its version is gone, the next one differs, and other tags keep theirs."""
        before = provider.snapshot([A, B], MINUTE, guard=False).versions
        provider.invalidate([invalidation("a")])
        assert list(provider.read("key", [A, B])[1]) == [None, before[1]]
        assert provider.snapshot([A], MINUTE, guard=False).versions[0] != before[0]

    def test_an_evicted_key_cannot_be_stored_by_a_load_in_flight(self, provider: Provider) -> None:
        """Invalidating a key removes its entry and its lease together."""
        provider.put("key", b"old", MINUTE)
        provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
        provider.invalidate([invalidation(keys=("key",))])
        assert not provider.store("key", b"old again", MINUTE, MINE)
        assert provider.read("key", [])[0] is None

    def test_clearing_rotates_the_root(self, provider: Provider) -> None:
        """A cleared namespace has another root version, and nothing else changed."""
        before = provider.snapshot([ROOT, A], MINUTE, guard=False).versions
        provider.invalidate([invalidation(clear=True)])
        assert list(provider.read("key", [ROOT, A])[1]) == [None, before[1]]

    def test_invalidating_what_is_not_there_is_harmless(self, provider: Provider) -> None:
        """It is acknowledged, and journalled, like any other."""
        assert len(provider.invalidate([invalidation("never", keys=("never",))])) == 1
        assert provider.invalidate([]) == []

    @needs("large", "journal")
    def test_a_purge_of_ten_thousand_tags(self, provider: Provider) -> None:
        """All of them rotate in one call, and the journal carries them in small parts under one id."""
        tags = tuple(f"t{number}" for number in range(10_000))
        ids = [tag_id(tag) for tag in tags]
        before = provider.snapshot(ids[:3], MINUTE, guard=False).versions
        cursor = provider.journal_end()
        purge = invalidation(*tags)
        places = provider.invalidate([purge])
        assert list(provider.read("key", ids[:3])[1]) == [None] * len(before)
        page = provider.journal(cursor, 1_000)
        assert [place for place, _ in page.records] == places
        assert {record.id for _, record in page.records if record} == {purge.id}
        assert max(len(record.tags) for _, record in page.records if record) <= PART
        assert tuple(tag for _, record in page.records if record for tag in record.tags) == tags

    # --- row versions -------------------------------------------------------------------------------

    @needs("row fences")
    def test_row_fences_are_order_free(self, provider: Provider) -> None:
        """Whatever the order and number of invalidations, the greatest row version stands, and plain ones keep it."""
        huge = 2**63 + 1
        for rows in ((3, 20, None), (20, None, 3), (None, 3, 20, 20), (huge, 20, None), (huge - 1, huge)):
            tag = f"tag of {rows}"
            for row in rows:
                provider.invalidate([invalidation(tag, row_version=row, lag_ms=MINUTE if row else 0)])
            expected = max(row for row in rows if row)
            assert list(provider.snapshot([tag_id(tag)], MINUTE, guard=False).min_versions) == [expected]

    @needs("row fences")
    def test_a_row_fence_falls_after_the_lag(self, provider: Provider, elapse: Elapse) -> None:
        """The fence is short-lived, however often entries are stored under its tag."""
        provider.invalidate([invalidation("a", row_version=5, lag_ms=self.brief_ms)])
        provider.put("key", b"1", MINUTE)
        elapse(self.over)
        assert list(provider.snapshot([A], MINUTE, guard=False).min_versions) == [None]

    def test_a_row_version_without_a_lag_leaves_no_fence(self, provider: Provider) -> None:
        """A source that cannot lag needs none."""
        provider.invalidate([invalidation("a", row_version=5)])
        assert list(provider.snapshot([A], MINUTE, guard=False).min_versions) == [None]

    # --- the guard ----------------------------------------------------------------------------------

    def test_the_guard_moves_with_its_tags_only(self, provider: Provider) -> None:
        """An invalidation moves the stripe of its tag, and no stripe that does not watch it."""
        before = provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=True).snapshot.guard
        assert not guard.moved(before, provider.snapshot([B], MINUTE, guard=True).guard, [A, B])
        provider.invalidate([invalidation("a")])
        after = provider.snapshot([B], MINUTE, guard=True).guard
        assert guard.moved(before, after, [A])
        assert not guard.moved(before, after, [tag_id(different_stripe(A))])

    @needs("evict")
    def test_a_lost_guard_counts_as_moved(self, provider: Provider, evict: Evict) -> None:
        """Evicted, evicted and bumped, or evicted and made anew: no load that began before may trust it."""
        keys = Keyspace(provider.namespace)
        provider.invalidate([invalidation("a")])
        before = provider.snapshot([], MINUTE, guard=True).guard
        evict(keys.guard)
        provider.invalidate([invalidation("a")])
        assert guard.moved(before, provider.snapshot([A], MINUTE, guard=True).guard, [A])
        before = provider.snapshot([], MINUTE, guard=True).guard
        evict(keys.guard)
        assert guard.moved(before, provider.snapshot([A], MINUTE, guard=True).guard, [B])

    # --- the journal --------------------------------------------------------------------------------

    @needs("journal")
    def test_the_journal_tells_what_was_applied(self, provider: Provider) -> None:
        """Records come back whole, in order, after the cursor, and each is at the place that was returned."""
        cursor = provider.journal_end()
        sent = [invalidation("a", keys=("k",)), invalidation("b", row_version=7, trace="t")]
        places = provider.invalidate(sent)
        page = provider.journal(cursor, 10)
        assert list(page.records) == list(zip(places, sent, strict=True))
        assert (page.last, page.contiguous, page.complete) == (places[-1], True, True)
        assert provider.journal_end() == places[-1]

    @needs("journal")
    def test_nothing_new_is_nothing_missed(self, provider: Provider) -> None:
        """A cursor at the end gets an empty, contiguous, complete page that leaves it where it is."""
        cursor = provider.journal_end()
        assert provider.journal(cursor, 10) == ([], cursor, True, True)

    @needs("journal")
    def test_a_long_journal_comes_in_pages(self, provider: Provider) -> None:
        """Following page by page sees every record once."""
        cursor = provider.journal_end()
        places = [provider.invalidate([invalidation(str(number))])[0] for number in range(7)]
        seen = []
        complete = False
        while not complete:
            page = provider.journal(cursor, 3)
            assert page.contiguous
            seen += [place for place, _ in page.records]
            cursor, complete = page.last, page.complete
        assert seen == places

    @needs("journal", "evict")
    def test_a_cursor_that_is_gone_is_a_gap(self, provider: Provider, evict: Evict) -> None:
        """After the journal was deleted, empty or re-created, a follower is told that it missed something."""
        keys = Keyspace(provider.namespace)
        cursor = provider.journal_end()
        evict(keys.journal)
        assert provider.journal(cursor, 10) == ([], "", False, True)
        provider.invalidate([invalidation("a")])
        page = provider.journal(cursor, 10)
        assert not page.contiguous
        assert len(page.records) <= 1

    @needs("journal")
    def test_a_read_that_follows_sees_both(self, provider: Provider) -> None:
        """It returns what `journal` and `read` return, in one."""
        cursor = provider.journal_end()
        provider.put("key", b"1", MINUTE)
        provider.invalidate([invalidation("b")])
        page, observed = provider.read_following("key", [A], cursor, 10)
        assert page == provider.journal(cursor, 10)
        assert observed == provider.read("key", [A])

    # --- eviction -----------------------------------------------------------------------------------

    @needs("evict")
    def test_an_evicted_version_never_comes_back(self, provider: Provider, evict: Evict) -> None:
        """A version made after an eviction differs, so entries of the old one stay misses (P6)."""
        (before,) = provider.snapshot([A], MINUTE, guard=False).versions
        evict(Keyspace(provider.namespace).version(A))
        (after,) = provider.snapshot([A], MINUTE, guard=False).versions
        assert before != after

    def test_a_closed_provider_opens_again(self, provider: Provider) -> None:
        """Closing loses connections, nothing else."""
        provider.put("key", b"1", MINUTE)
        provider.close()
        assert provider.read("key", [])[0] == b"1"
