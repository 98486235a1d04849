"""`StructuresContract`: the laws of data structures over one provider, as a suite that any provider can inherit.

Fixtures to supply: `provider`, `clock` and `elapse`, as for `CacheContract`, and `evict`, as for `ProviderContract`.
The operations of each kind are in `structure_kinds_contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.missing import MISSING
from staleproof.errors import CodecError, ConfigurationError, ProviderRejectedError
from staleproof.keys import Keyspace
from staleproof.policies.policy import Policy
from staleproof.tags import ROOT, tag_id
from staleproof.testing.abilities import needs
from staleproof.testing.structure_kinds_contract import StructureKindsContract
from staleproof.testing.structures_case import KINDS, every_kind, structures

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.testing.examples import Elapse, Evict

WAYS: dict[str, Callable[[Any, Any], object]] = {
    "tag": lambda cache, _: cache.invalidate("t:1"),
    "soft": lambda cache, _: cache.invalidate("t:1", soft=True),
    "other tag": lambda cache, _: cache.invalidate("all"),
    "clear": lambda cache, _: cache.clear(),
    "evict": lambda cache, _: cache.evict("k:1"),
    "soft evict": lambda cache, _: cache.evict("k:1", soft=True),
    "handle": lambda _, handle: handle.invalidate(),
}


class StructuresContract(StructureKindsContract):
    """Inherit, supply the fixtures, and every `test_` of it and its base runs over your provider."""

    # --- freshness ---------------------------------------------------------------------------------

    @every_kind
    def test_invalidating_empties(self, kind: str, here: Any, there: Any) -> None:
        """After a tag, the key or everything was invalidated, in any way and by anybody, a structure is empty."""
        mine, theirs = self.made(here, kind)(1), self.made(there, kind)(n=1)
        for way in WAYS.values():
            KINDS[kind].fill(mine)
            assert KINDS[kind].look(theirs) == KINDS[kind].look(mine) != KINDS[kind].empty
            way(there, theirs)
            assert KINDS[kind].look(mine) == KINDS[kind].empty
            assert mine.ttl() is None
            KINDS[kind].fill(theirs)
            assert KINDS[kind].look(mine) != KINDS[kind].empty

    @every_kind
    def test_others_stay(self, kind: str, here: Any) -> None:
        """What is invalidated empties no structure that is not under it."""
        one, other = self.made(here, kind)(1), self.made(here, kind)(2)
        KINDS[kind].fill(one)
        KINDS[kind].fill(other)
        here.invalidate("t:1", "t:3", keys=["k:3"])
        assert KINDS[kind].look(one) == KINDS[kind].empty
        assert KINDS[kind].look(other) != KINDS[kind].empty

    @every_kind
    def test_what_was_overtaken_is_lost(self, kind: str, here: Any, there: Any) -> None:
        """Whoever found a structure before an invalidation writes where nobody looks any more."""
        for way in WAYS.values():
            handle = self.made(here, kind)(1)
            early = handle.pinned()
            way(there, self.made(there, kind)(1))
            KINDS[kind].fill(early)
            assert KINDS[kind].look(handle) == KINDS[kind].empty
            assert KINDS[kind].look(early) != KINDS[kind].empty

    @every_kind
    @needs("evict")
    def test_what_a_server_evicts_is_empty(self, kind: str, here: Any, provider: Any, evict: Evict) -> None:
        """A lost version, root or stamp empties a structure, and what was in it never comes back."""
        keys, handle = Keyspace(provider.namespace), self.made(here, kind)(1)
        for lost in (keys.version(tag_id("t:1")), keys.version(ROOT), keys.entry("k:1")):
            KINDS[kind].fill(handle)
            evict(lost)
            assert KINDS[kind].look(handle) == KINDS[kind].empty

    @every_kind
    def test_a_structure_ends(self, kind: str, here: Any, elapse: Elapse) -> None:
        """It lives for its time to live after the last writing; looking does not prolong it."""
        handle = self.made(here, kind, policy=Policy(ttl=self.brief))(1)
        KINDS[kind].fill(handle)
        left = handle.ttl()
        assert left is None or 0 <= left <= self.brief
        KINDS[kind].look(handle)
        elapse(self.over)
        assert KINDS[kind].look(handle) == KINDS[kind].empty

    @every_kind
    def test_writing_prolongs(self, kind: str, here: Any) -> None:
        """Each writing sets the life anew, to what the policy says then."""
        KINDS[kind].fill(self.made(here, kind, policy=Policy(ttl="1m"))(1))
        handle = self.made(here, kind, policy=Policy(ttl="1d"))(1)
        left = handle.ttl()
        assert left is not None
        assert 50 < left <= 60
        KINDS[kind].fill(handle)
        left = handle.ttl()
        assert left is not None
        assert 86_000 < left <= 86_400

    def test_versions_outlive_what_is_under_them(self, here: Any, elapse: Elapse) -> None:
        """A structure that is written again and again is not lost with its first version."""
        handle = self.made(here, "counter", policy=Policy(ttl=10 * self.over))(1)
        for expected in range(1, 6):
            assert handle.incr() == expected
            elapse(self.over)

    # --- identity ----------------------------------------------------------------------------------

    def test_other_tags_are_another_structure(self, here: Any) -> None:
        """Who names other tags for a key finds nothing of what was put in under these; their order is no matter."""
        structures(here, "counter", "k:{n}", tags=["a", "b"])(1).incr()
        assert structures(here, "counter", "k:{n}", tags=["b", "a"])(1).get() == 1
        assert structures(here, "counter", "k:{n}", tags=["a"])(1).get() == 0

    def test_keys_are_told_apart(self, here: Any) -> None:
        """Values of fields are escaped, long ones too, so that no two structures meet."""
        made = structures(here, "counter", "k:{a}:{b}")
        handles = [
            made("x", "y"),
            made("x:y", ""),
            made(a="", b="x:y"),
            made("x" * 600, 1),
            made("x" * 600, 2),
        ]
        for number, handle in enumerate(handles, 1):
            handle.incr(number)
        assert [handle.get() for handle in handles] == [1, 2, 3, 4, 5]

    def test_another_kind_is_refused(self, here: Any) -> None:
        """A structure of another kind under the same key and tags is an error, and stays as it is."""
        KINDS["list"].fill(self.made(here, "list")(1))
        for kind in ("sorted_set", "hash", "set", "counter", "bitmap", "hyperloglog", "stream", "geo"):
            with pytest.raises(ProviderRejectedError, match="WRONGTYPE"):
                KINDS[kind].fill(self.made(here, kind)(1))
        assert self.made(here, "list")(1).range() == ["ann"]

    def test_a_key_is_a_value_or_a_structure(self, here: Any) -> None:
        """A key that holds a cached value is no structure, until it is evicted; and a structure is no value."""
        here.put("k:1", "value")
        handle = self.made(here, "set")(1)
        for ask in (handle.members, lambda: handle.add("x")):
            with pytest.raises(ProviderRejectedError, match="evict it, or use another key"):
                ask()
        assert here.get("k:1") == "value"
        here.evict("k:1")
        handle.add("x")
        assert here.get("k:1") is MISSING
        assert handle.members() == {"x"}

    # --- many and large ----------------------------------------------------------------------------

    def test_many_elements_at_once(self, here: Any) -> None:
        """Thousands of elements go in and are asked for in one call, in order."""
        members = list(range(9_000))
        ranks = self.made(here, "sorted_set", member=int)(1)
        assert ranks.add_many({each: each / 2 for each in members}) == len(members)
        assert len(ranks.scores([*members, -1])) == len(members)
        row = self.made(here, "list", "l:{n}", value=int)(1)
        assert row.push_right(*members) == len(members)
        assert row.range() == members
        some = self.made(here, "set", "s:{n}", member=int)(1)
        assert some.add(*members) == len(members)
        assert some.contains_many([5, -5]) == {5}
        assert set(some.scan(100)) == set(members)
        assert some.remove(*members[1:]) == len(members) - 1
        fields = self.made(here, "hash", "h:{n}", field=int)(1)
        assert fields.set_many(dict(zip(members, members, strict=True))) == len(members)
        assert fields.get_many([1, 2, -1]) == {1: 1, 2: 2}
        assert fields.all() == dict(zip(members, members, strict=True))
        assert (
            self.made(here, "geo", "g:{n}", member=int)(1).add_many({n: (n / 100, 1) for n in members[:999]})
            == 999
        )

    def test_bytes_are_bytes(self, here: Any) -> None:
        """An element may hold anything, also what the protocol is made of."""
        values = [b"", b"\x00\r\n$5\r\n", b"x" * 100_000, bytes(range(256))]
        row = self.made(here, "list", value=bytes)(1)
        row.push_right(*values)
        assert row.range() == values
        some = self.made(here, "set", "s:{n}", member=bytes)(1)
        some.add(*values)
        assert some.members() == set(values)

    def test_what_does_not_fit_is_refused(self, here: Any) -> None:
        """An element of another type is an error, and nothing is written."""
        ranks, row = self.made(here, "sorted_set")(1), self.made(here, "list", "l:{n}", value=int)(1)
        for operation, *element in ((ranks.add, 1, 1), (row.push_right, "x"), (row.push_left, True)):
            with pytest.raises(CodecError):
                operation(*element)
        for operation, *wrong in ((ranks.add, "a", float("nan")), (ranks.add, "a", "1"), (ranks.top, -1)):
            with pytest.raises(ConfigurationError):
                operation(*wrong)
        assert ranks.size() == row.size() == 0
