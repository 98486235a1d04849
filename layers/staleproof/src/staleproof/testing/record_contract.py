"""`RecordContract`: what an invalidation record may say, and what is applied of it; a part of `ProviderContract`."""

from __future__ import annotations

import threading
from itertools import permutations
from typing import TYPE_CHECKING

from staleproof.entry import decode
from staleproof.events.invalidation import Cause
from staleproof.tags import ROOT, ended_ms, tag_id
from staleproof.testing.abilities import Able, needs
from staleproof.testing.examples import MINE, MINUTE, OTHERS, A, B, C, entry, invalidation

if TYPE_CHECKING:
    from staleproof.events import Invalidation
    from staleproof.ports import JournalId, Provider

LATER = 4_102_444_800_000
FOLLOWED = 40
"""Invalidations that a follower watches while they are applied."""


class RecordContract(Able):
    """Many records in one call, soft and hard ones mixed, are each applied as if alone."""

    @needs("journal")
    def test_a_superseding_record_leaves_the_keys_alone(self, provider: Provider) -> None:
        """What is stored under its keys is the new value already: it stays, with its lease, and followers are told."""
        cursor = provider.journal_end()
        provider.put("key", b"new", MINUTE)
        provider.begin("key", [A], MINE, MINUTE, MINUTE, guard=False)
        sent = invalidation(keys=("key",), superseded=True)
        (place,) = provider.invalidate([sent])
        assert provider.read("key", [A])[0] == b"new"
        assert not provider.begin("key", [A], OTHERS, MINUTE, MINUTE, guard=False).leased
        assert list(provider.journal(cursor, 10).records) == [(place, sent)]

    def test_a_superseding_record_still_rotates_its_tags(self, provider: Provider) -> None:
        """Only its keys are the new ones already."""
        (before,) = provider.snapshot([A], MINUTE, guard=False).versions
        provider.invalidate([invalidation("a", keys=("key",), superseded=True)])
        assert provider.snapshot([A], MINUTE, guard=False).versions[0] != before

    def test_a_hard_record_beside_a_superseding_one_removes(self, provider: Provider) -> None:
        """Of several records for one key in one call, the one that forgets most decides, whatever their order."""
        records = [invalidation(keys=("key",), superseded=True), invalidation(keys=("key",))]
        for order in permutations(records):
            provider.put("key", b"1", MINUTE)
            provider.invalidate(order)
            assert provider.read("key", [])[0] is None

    @needs("soft")
    def test_soft_and_hard_ones_mix_in_one_call(self, provider: Provider) -> None:
        """Each record is applied by its own word: what one softens is stale, what another removes is gone."""
        old_a, old_b, old_c = provider.snapshot([A, B, C], MINUTE, guard=False).versions
        for key in ("soft", "hard"):
            provider.put(key, entry([ROOT], [b"12345678"], expires_ms=LATER), MINUTE)
        soft = invalidation("a", keys=("soft",), soft=True, at_ms=7)
        provider.invalidate([soft, invalidation("b", keys=("hard",))])
        now_a, now_b, now_c = provider.read("soft", [A, B, C])[1]
        assert (ended_ms(now_a, old_a), now_b, now_c) == (7, None, old_c)
        assert old_b != now_b
        raw = provider.read("soft", [])[0]
        assert raw is not None
        stale = decode(raw)
        assert stale is not None
        assert stale.expires_ms == soft.at_ms
        assert provider.read("hard", [])[0] is None

    @needs("soft")
    def test_a_hard_one_in_the_same_call_leaves_nothing_stale(self, provider: Provider) -> None:
        """For one tag or key, soft and hard in any order within a call end as hard."""
        kinds = (True, False, True)
        for order in set(permutations(kinds)):
            (old,) = provider.snapshot([A], MINUTE, guard=False).versions
            provider.put("key", entry([ROOT], [b"12345678"], expires_ms=LATER), MINUTE)
            provider.invalidate([invalidation("a", keys=("key",), soft=soft, at_ms=7) for soft in order])
            assert ended_ms(provider.read("key", [A])[1][0], old) is None
            assert provider.read("key", [])[0] is None

    def test_a_redelivery_changes_nothing(self, provider: Provider) -> None:
        """The same record again, within a call and after it, ends in the same state (P4)."""
        again = invalidation("a", "a", keys=("key", "key"), row_version=5, lag_ms=MINUTE)
        provider.put("key", b"1", MINUTE)
        provider.invalidate([again, again])
        provider.invalidate([again])
        assert provider.read("key", [A]) == (None, [None])

    @needs("journal")
    def test_every_field_of_a_record_comes_back(self, provider: Provider) -> None:
        """The journal keeps what explains an invalidation, in any script."""
        cursor = provider.journal_end()
        cause = Cause(
            source="dynamodb:Flüge", rules=("规则", ""), position="0\x01", entity='a "row"', changed_ms=12
        )
        sent = invalidation(
            "tag:ü",
            keys=("ключ", ""),
            soft=True,
            superseded=True,
            row_version=2**63 - 1,
            lag_ms=1,
            at_ms=2,
            cause=cause,
        )
        provider.invalidate([sent])
        assert [record for _, record in provider.journal(cursor, 10).records] == [sent]

    @needs("journal")
    def test_what_the_journal_tells_has_been_applied(self, provider: Provider) -> None:
        """A follower that reads a record finds its tag rotated, its key gone and its lease broken, at any moment."""
        names = [str(number) for number in range(FOLLOWED)]
        ids = [tag_id(name) for name in names]
        before = provider.snapshot(ids, MINUTE, guard=False).versions
        for name in names:
            provider.put(name, b"old", MINUTE)
        cursor = provider.journal_end()
        writer = threading.Thread(
            target=lambda: [provider.invalidate([invalidation(name, keys=(name,))]) for name in names]
        )
        writer.start()
        try:
            late = _followed(provider, cursor, dict(zip(names, before, strict=True)))
        finally:
            writer.join()
        assert late == []


def _followed(provider: Provider, cursor: JournalId, versions: dict[str, bytes]) -> list[str]:
    """Follow the journal until all tags came; return those that were not yet rotated when their record was seen."""
    late, left = [], dict(versions)
    while left:
        page = provider.journal(cursor, 10)
        cursor = page.last
        for name in _names([record for _, record in page.records]):
            raw, (version,) = provider.read(name, [tag_id(name)])
            if raw is not None or version == left.pop(name):
                late.append(name)
    return late


def _names(records: list[Invalidation | None]) -> list[str]:
    return [tag for record in records if record is not None for tag in record.tags]
