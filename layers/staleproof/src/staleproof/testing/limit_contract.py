"""`LimitContract`: many things in one call, and texts as long and as odd as may be; a part of `ProviderContract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.keys import MAX_KEY_BYTES
from staleproof.ports import Claim, Deposit, Want
from staleproof.tags import MAX_TAG_BYTES, ROOT, tag_id
from staleproof.testing.abilities import Able, needs
from staleproof.testing.examples import MINE, MINUTE, OTHERS, A, invalidation

if TYPE_CHECKING:
    from staleproof.ports import Provider

CROWD = 1_500
"""Keys or tags of one call: above what one command or one packet of a server takes at ease."""

LONGEST = 4_096
"""Characters of a key's text at most, as a cache checks it."""


class LimitContract(Able):
    """Nothing is cut, split or forgotten because there is much of it."""

    @needs("large")
    def test_a_crowd_of_keys_is_read_begun_and_stored(self, provider: Provider) -> None:
        """Each of many keys in one call is read, leased and stored as one alone."""
        keys = [f"key:{number}" for number in range(CROWD)]
        provider.begin(keys[-1], [A], OTHERS, MINUTE, MINUTE, guard=False)
        claims = [Claim(key, [ROOT, A], MINE) for key in keys]
        begun = provider.begin_many(claims, MINUTE, MINUTE, guard=True)
        assert [each.leased for each in begun] == [True] * (CROWD - 1) + [False]
        assert len({tuple(each.snapshot.versions) for each in begun}) == 1
        stored = provider.store_many([Deposit(key, key.encode(), MINUTE, MINE) for key in keys])
        assert stored == [True] * (CROWD - 1) + [False]
        found = provider.read_many([Want(key, [A]) for key in keys])
        assert [each.entry for each in found] == [key.encode() for key in keys[:-1]] + [None]

    @needs("large")
    def test_a_crowd_of_keys_is_evicted_with_its_leases(self, provider: Provider) -> None:
        """One record may name more keys than one command takes; no load in flight of any of them is stored."""
        keys = tuple(f"key:{number}" for number in range(CROWD))
        claims = [Claim(key, [A], MINE) for key in keys]
        provider.begin_many(claims, MINUTE, MINUTE, guard=False)
        provider.invalidate([invalidation(keys=keys)])
        assert not any(provider.store_many([Deposit(key, b"old", MINUTE, MINE) for key in keys]))

    @needs("large")
    def test_a_crowd_of_records_is_applied_in_one_call(self, provider: Provider) -> None:
        """Each gets a place of its own, in order, and all tags are rotated."""
        ids = [tag_id(str(number)) for number in range(CROWD)]
        provider.snapshot(ids, MINUTE, guard=False)
        places = provider.invalidate([invalidation(str(number)) for number in range(CROWD)])
        assert len(set(places)) == CROWD
        assert list(provider.read("key", ids)[1]) == [None] * CROWD

    @needs("large")
    def test_an_entry_may_have_a_crowd_of_tags(self, provider: Provider) -> None:
        """All of their versions come with one read, in the order in which they were asked for."""
        ids = [tag_id(str(number)) for number in range(CROWD)]
        begun = provider.begin("key", ids, MINE, MINUTE, MINUTE, guard=False)
        asked = ids[::-1]
        assert list(provider.read("key", asked)[1]) == list(begun.snapshot.versions)[::-1]

    def test_nothing_to_do_is_done(self, provider: Provider) -> None:
        """No tags, no keys, an empty value and an empty key are as good as others."""
        assert provider.read("", []) == (None, [])
        assert list(provider.snapshot([], MINUTE, guard=False).versions) == []
        begun = provider.begin("", [], MINE, MINUTE, MINUTE, guard=False)
        assert (begun.leased, begun.head) == (True, b"")
        assert provider.store("", b"", MINUTE, MINE)
        assert provider.read("", []) == (b"", [])
        assert len(provider.invalidate([invalidation()])) == 1

    def test_keys_around_the_limits_are_told_apart(self, provider: Provider) -> None:
        """Lengths at, below and above what is kept as it is, in bytes that are no letters, and in braces."""
        edges = [MAX_KEY_BYTES + step for step in (-2, -1, 0, 1)]
        plain = [filler * edge for edge in edges for filler in ("a", "{", "}", "\n")]
        wide = [
            "𝄞" * LONGEST,
            "𝄞" * (LONGEST - 1),
            "é" * (MAX_KEY_BYTES // 2),
            "é" * (MAX_KEY_BYTES // 2 + 1),
        ]
        slots = ["{%s}tail" % ("s" * edge) for edge in (1, 63, 64, 65, 600)]
        keys = [*plain, *wide, *slots, "sp:x:{kkey}", "\r\n$3\r\n", "\x00", "*", "key:l", "%s"]
        for key in keys:
            provider.put(key, key.encode(), MINUTE)
        assert [provider.read(key, [])[0] for key in keys] == [key.encode() for key in keys]
        provider.invalidate([invalidation(keys=tuple(keys[::2]))])
        assert [key for key in keys if provider.read(key, [])[0] is not None] == keys[1::2]

    def test_tags_around_the_limits_are_told_apart(self, provider: Provider) -> None:
        """The longest tags, and those that differ in their last character, rotate alone."""
        tags = [
            "t" * MAX_TAG_BYTES,
            "t" * (MAX_TAG_BYTES - 1) + "u",
            "𝄞" * (MAX_TAG_BYTES // 4),
            "\x00",
            "*",
            "{a}",
            " ",
        ]
        ids = [tag_id(tag) for tag in tags]
        before = provider.snapshot(ids, MINUTE, guard=False).versions
        provider.invalidate([invalidation(*tags[::2])])
        expected = [None if at % 2 == 0 else version for at, version in enumerate(before)]
        assert list(provider.read("key", ids)[1]) == expected
