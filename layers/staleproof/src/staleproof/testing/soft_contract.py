"""`SoftContract`: the laws of soft invalidation, a part of `ProviderContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.entry import decode
from staleproof.policies.judgement import EXPIRED, TAG, Miss, judge
from staleproof.tags import MAX_PREDECESSORS, ROOT, current, ended_ms, is_version
from staleproof.testing.abilities import Able, needs
from staleproof.testing.examples import MINE, MINUTE, OTHERS, A, B, entry, invalidation

if TYPE_CHECKING:
    from staleproof.ports import Provider
    from staleproof.testing.examples import Elapse

LATER = 4_102_444_800_000
"""UTC milliseconds of the year 2100."""


class SoftContract(Able):
    """What was invalidated softly is stale: told apart from what is fresh, and from what is gone."""

    @needs("soft")
    def test_a_soft_invalidation_keeps_the_old_version_as_a_predecessor(self, provider: Provider) -> None:
        """The current version is a new one; the old one stands behind it with the moment at which it ended."""
        (before,) = provider.snapshot([A], MINUTE, guard=False).versions
        provider.invalidate([invalidation("a", soft=True, at_ms=77)])
        ((held,), (after,)) = (
            provider.read("key", [A])[1],
            provider.snapshot([A], MINUTE, guard=False).versions,
        )
        assert is_version(held)
        assert held is not None
        assert current(held) == after != before
        assert ended_ms(held, before) == 77
        assert ended_ms(held, after) is None

    @needs("soft")
    def test_a_load_after_a_soft_invalidation_is_fresh(self, provider: Provider) -> None:
        """What is stored under the new version is a hit, and what was stored under the old one is stale."""
        (old,) = provider.snapshot([ROOT], MINUTE, guard=False).versions
        provider.invalidate([invalidation(clear=True, soft=True, at_ms=5)])
        begun = provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
        (held,) = provider.read("key", [ROOT])[1]
        fresh = entry([ROOT], [*begun.snapshot.versions])
        assert judge(fresh, [held], ROOT, 1) == decode(fresh)
        stale = judge(entry([ROOT], [old]), [held], ROOT, 1)
        assert isinstance(stale, Miss)
        assert (stale.reason, stale.since_ms) == (TAG, 5)

    @needs("soft")
    def test_a_hard_invalidation_leaves_nothing_stale(self, provider: Provider) -> None:
        """Whatever the order of soft and hard ones, what was loaded before the hard one is gone (P4)."""
        for kinds in ((True, False), (False, True), (True, False, True), (False, True, False)):
            (old,) = provider.snapshot([A], MINUTE, guard=False).versions
            for soft in kinds:
                provider.invalidate([invalidation("a", soft=soft)])
            assert ended_ms(provider.read("key", [A])[1][0], old) is None

    def test_a_missing_version_stays_missing(self, provider: Provider) -> None:
        """A soft invalidation of a tag that nobody cached leaves no garbage."""
        provider.invalidate([invalidation("a", soft=True)])
        assert list(provider.read("key", [A])[1]) == [None]

    @needs("soft")
    def test_predecessors_are_few(self, provider: Provider) -> None:
        """However many soft invalidations come, a version key stays short, and the last ones are known."""
        versions: list[bytes] = []
        for moment in range(1, MAX_PREDECESSORS + 4):
            versions += provider.snapshot([A], MINUTE, guard=False).versions
            provider.invalidate([invalidation("a", soft=True, at_ms=moment)])
        (held,) = provider.read("key", [A])[1]
        assert is_version(held)
        known = [ended_ms(held, version) for version in versions]
        assert known == [None] * 3 + [4, 5, 6]

    @needs("soft")
    def test_a_soft_invalidation_does_not_prolong(self, provider: Provider, elapse: Elapse) -> None:
        """A version key that would have gone still goes."""
        provider.snapshot([A], self.brief_ms, guard=False)
        provider.invalidate([invalidation("a", soft=True)])
        elapse(self.over)
        assert list(provider.read("key", [A])[1]) == [None]
        provider.snapshot([B], 0, guard=False)
        provider.invalidate([invalidation("b", soft=True)])
        assert provider.read("key", [B])[1][0] is not None

    @needs("soft")
    def test_a_softly_evicted_key_is_stale_and_its_load_in_flight_is_fenced(self, provider: Provider) -> None:
        """The entry stays, its time is over, and a load that began before cannot store."""
        begun = provider.begin("key", [ROOT], MINE, MINUTE, MINUTE, guard=False)
        stored = entry([ROOT], [*begun.snapshot.versions], expires_ms=LATER)
        provider.store("key", stored, MINUTE, MINE)
        provider.begin("key", [ROOT], OTHERS, MINUTE, MINUTE, guard=False)
        provider.invalidate([invalidation(keys=("key", "none"), soft=True, at_ms=1_000)])
        assert not provider.store("key", b"late", MINUTE, OTHERS)
        verdict = judge(*provider.read("key", [ROOT]), ROOT, 1, 2_000)
        assert isinstance(verdict, Miss)
        assert (verdict.reason, verdict.since_ms) == (EXPIRED, 1_000)
        assert verdict.entry is not None
        assert bytes(verdict.entry.payload) == b"value"
        assert provider.read("none", [])[0] is None

    @needs("soft")
    def test_what_cannot_become_stale_goes(self, provider: Provider) -> None:
        """A softly evicted key whose entry has no end that could be moved is removed."""
        for stored in (b"", b"\xe2", b"x" * 100, b"\xe1" + bytes(60), b"\xe2\0\xff\x00" + bytes(60)):
            provider.put("key", stored, MINUTE)
            provider.invalidate([invalidation(keys=("key",), soft=True)])
            assert provider.read("key", [])[0] is None

    @needs("soft")
    def test_an_end_is_moved_only_where_it_was_seen(self, provider: Provider, elapse: Elapse) -> None:
        """An end moves only if it is still the one that the caller saw, so that no soft eviction is undone."""
        (version,) = provider.snapshot([A], MINUTE, guard=False).versions
        provider.put("key", entry([A], [version], expires_ms=LATER), self.brief_ms)
        assert not provider.expire("key", LATER - 1, LATER + 9, MINUTE)
        assert provider.expire("key", LATER, LATER + 9, MINUTE)
        elapse(self.over)
        assert provider.read("key", [])[0] == entry([A], [version], expires_ms=LATER + 9)
        provider.invalidate([invalidation(keys=("key",), soft=True, at_ms=1_000)])
        assert not provider.expire("key", LATER + 9, LATER + 99, MINUTE)
        assert not provider.expire("key", 1_000, LATER, MINUTE)
        assert not provider.expire("none", 0, LATER, MINUTE)

    def test_a_life_is_prolonged_or_cut(self, provider: Provider, elapse: Elapse) -> None:
        """With the same end, only the server's own time for the entry changes; 0 keeps it for ever."""
        (version,) = provider.snapshot([A], MINUTE, guard=False).versions
        for key, life in (("ever", 0), ("short", self.brief_ms)):
            provider.put(key, entry([A], [version]), self.brief_ms if key == "ever" else MINUTE)
            assert provider.expire(key, 0, 0, life)
        elapse(self.over)
        assert provider.read("ever", [])[0] is not None
        assert provider.read("short", [])[0] is None
