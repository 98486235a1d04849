"""Where keys lie: entries and leases of one affinity share a slot of the cluster, and nothing shares a place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from staleproof import Cache, ConfigurationError, key
from staleproof.keys import MAX_KEY_BYTES, Keyspace, Template
from staleproof.keys.keyspace import MAX_SLOT_BYTES
from staleproof.providers.memory import MemoryProvider

KEYSPACE = Keyspace("shop")
PIECES = st.sampled_from(["{", "}", "{7}", ":l", ":", "k", "h", "a7", "~", "{a7}k", "x", "ü", "", "x" * 600])
NAMES = st.one_of(st.lists(PIECES, max_size=5).map("".join), st.text(max_size=12))
VALUES = st.one_of(st.integers(), st.text(min_size=1, max_size=100))


@given(tenant=VALUES, ids=st.lists(VALUES, min_size=2, max_size=4))
def test_keys_of_one_slot_field_share_a_slot(tenant: int | str, ids: list[int | str]) -> None:
    """Whatever else is in their keys, however long they are, and so do their leases."""
    texts = [key("order:{tenant:slot}:{id}", tenant=tenant, id=each) for each in ids]
    texts += [key("t:{tenant:slot}:{id}", tenant=tenant, id="x" * 1_000 + str(each)) for each in ids]
    places = [place for text in texts for place in (KEYSPACE.entry(text), KEYSPACE.lease(text))]

    assert len({key_slot(place) for place in places}) == 1


def test_slots_spread() -> None:
    """Affinities are spread over the cluster, and keys without one are too."""
    affine = {key_slot(KEYSPACE.entry(key("o:{t:slot}", t=tenant))) for tenant in range(1_000)}
    plain = {key_slot(KEYSPACE.entry(key("o:{t}", t=tenant))) for tenant in range(1_000)}

    assert len(affine) > 900
    assert len(plain) > 900


@given(names=st.lists(NAMES, unique=True, min_size=2, max_size=6))
def test_nothing_shares_a_place(names: list[str]) -> None:
    """Entries and leases of different texts differ, whatever braces or look-alikes somebody put into them."""
    places = [place for name in names for place in (KEYSPACE.entry(name), KEYSPACE.lease(name))]

    assert len(set(places)) == len(places)


@given(name=NAMES)
def test_an_entry_and_its_lease_share_a_slot_always(name: str) -> None:
    """One script touches both, whatever the text."""
    assert key_slot(KEYSPACE.entry(name)) == key_slot(KEYSPACE.lease(name))


@given(name=NAMES)
def test_a_key_is_found_by_its_entry(name: str) -> None:
    """A scan gives back the text of every entry that holds it whole, and of nothing else."""
    whole = len(name.encode()) <= MAX_KEY_BYTES
    assert KEYSPACE.key_of(KEYSPACE.entry(name)) == (name if whole else None)
    assert KEYSPACE.key_of(KEYSPACE.lease(name)) is None


@pytest.mark.parametrize("name", ["guard", "journal", "followers"])
def test_other_things_are_no_keys(name: str) -> None:
    """What is not an entry has no key's text."""
    assert KEYSPACE.key_of(getattr(KEYSPACE, name)) is None
    assert KEYSPACE.key_of(KEYSPACE.version(b"123456")) is None


@pytest.mark.parametrize("slot", ["x" * MAX_SLOT_BYTES, "x" * (MAX_SLOT_BYTES + 1), "x" * 400, "x" * 1_000])
def test_places_are_bounded(slot: str) -> None:
    """A long affinity is digested, as a long key is."""
    for text in (key("{t:slot}", t=slot), key("{t:slot}:{x}", t=slot, x="y" * 3_000)):
        assert len(KEYSPACE.entry(text)) <= MAX_KEY_BYTES + MAX_SLOT_BYTES + 32


@pytest.mark.parametrize("name", ["a{}b", "a{b}{c}", "{a{b}}", "a}b{", "{", "}"])
def test_other_braces_say_nothing_about_a_slot(name: str) -> None:
    """Only one pair that holds something is an affinity; any other key is placed by its whole text."""
    assert KEYSPACE.entry(name) == b"sp:shop:{k" + name.encode() + b"}"


def test_a_template_knows_its_slot_field() -> None:
    """One field may decide the slot, and a decorated function works as any other."""
    assert Template("{a:slot}:{b}").slotted
    assert not Template("{a}:{b}").slotted
    cache = Cache(MemoryProvider("shop"))

    @cache.cacheable("order:{tenant:slot}:{number}", tags=["tenant:{tenant}"])
    def order(tenant: int, number: int) -> list[int]:
        return [tenant, number]

    assert order.key(7, 1) == "order:{7}:1"
    assert [order(7, 1), order(7, 1), order(7, 2)] == [[7, 1], [7, 1], [7, 2]]
    assert cache.statistics.loads == 2
    order.invalidate(7, 1)
    assert not order.peek(7, 1)
    assert order.peek(7, 2) == [7, 2]


def test_a_tag_has_no_slot() -> None:
    """A tag is known by a digest, whose place nobody chooses."""
    cache = Cache(MemoryProvider("shop"))

    def order(tenant: int) -> int:
        return tenant

    with pytest.raises(ConfigurationError, match="a tag has no slot"):
        cache.cacheable("order:{tenant}", tags=["tenant:{tenant:slot}"])(order)
