"""`ManyContract`: the laws of steps over many keys, and of scans; a part of `ProviderContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.policies import guard
from staleproof.ports import Claim, Deposit, Want
from staleproof.tags import ROOT
from staleproof.testing.abilities import Able, needs
from staleproof.testing.examples import MINE, MINUTE, OTHERS, A, B, invalidation

if TYPE_CHECKING:
    from staleproof.ports import Provider


class ManyContract(Able):
    """Many at once is the same as one at a time, in one round trip."""

    def test_many_reads_are_reads(self, provider: Provider) -> None:
        """Each gets what `read` would return, in order, whatever it asks for."""
        provider.snapshot([A], MINUTE, guard=False)
        provider.put("one", b"1", MINUTE)
        provider.put("two", b"", MINUTE)
        wants = [Want("one", [A]), Want("none", [B, A]), Want("two", []), Want("one", [A])]
        assert provider.read_many(wants) == [provider.read(*want) for want in wants]
        assert provider.read_many([]) == []

    def test_many_loads_begin_as_one_would(self, provider: Provider) -> None:
        """Tags that claims share have one version; a lease that another holds is refused, the rest are given."""
        provider.begin("held", [A], OTHERS, MINUTE, MINUTE, guard=False)
        provider.put("there", b"head", MINUTE)
        claims = [Claim("free", [ROOT, A], MINE), Claim("held", [A, ROOT], MINE), Claim("there", [B], MINE)]
        free, held, there = provider.begin_many(claims, MINUTE, MINUTE, guard=True)
        assert [free.leased, held.leased, there.leased] == [True, False, True]
        assert [free.head, held.head, there.head] == [b"", b"", b"head"]
        assert list(free.snapshot.versions) == list(held.snapshot.versions)[::-1]
        assert list(there.snapshot.versions) == list(provider.snapshot([B], MINUTE, guard=False).versions)
        assert {len(begun.snapshot.min_versions) for begun in (free, held)} == {2}
        assert not guard.moved(free.snapshot.guard, there.snapshot.guard, [A, B])
        assert provider.begin_many([], MINUTE, MINUTE, guard=True) == []

    def test_many_stores_are_fenced_each_by_its_own_lease(self, provider: Provider) -> None:
        """Those whose lease was lost are not stored, and do not hinder the others."""
        claims = [Claim(key, [A], MINE) for key in ("kept", "evicted", "ever")]
        provider.begin_many(claims, MINUTE, MINUTE, guard=False)
        provider.invalidate([invalidation(keys=("evicted",))])
        deposits = [Deposit(claim.key, claim.key.encode(), MINUTE, MINE) for claim in claims]
        assert provider.store_many(deposits) == [True, False, True]
        assert [provider.read(key, [])[0] for key in ("kept", "evicted", "ever")] == [b"kept", None, b"ever"]
        assert provider.store_many([]) == []

    @needs("scan")
    def test_a_scan_finds_every_key_of_its_namespace(self, provider: Provider) -> None:
        """All keys that stay stored come at least once, as their texts; leases, versions and digests do not."""
        keys = {f"key:{number}" for number in range(57)} | {"", "ü}:l", "{x}"}
        for key in keys:
            provider.put(key, b"1", MINUTE)
        provider.put("long" * 500, b"1", MINUTE)
        provider.begin("leased", [A], MINE, MINUTE, MINUTE, guard=True)
        found: list[str] = []
        cursor = ""
        while True:
            page = provider.scan(cursor, 10)
            found += page.keys
            cursor = page.cursor
            if not cursor:
                break
        assert set(found) == keys
