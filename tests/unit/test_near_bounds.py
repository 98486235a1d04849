"""What is held near stays within its bounds, and everything that was taken in is accounted for."""

from __future__ import annotations

import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.errors import ConfigurationError
from staleproof.events.invalidation import Invalidation
from staleproof.near.budget import Budget
from staleproof.near.copies import Copy
from staleproof.near.named import Named
from staleproof.near.store import NearStore, Position
from staleproof.ports import JournalPage, journal_id
from staleproof.stores import EVICTIONS
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable

every_eviction = pytest.mark.parametrize("eviction", EVICTIONS)


def place(number: int) -> str:
    return journal_id(f"{number}-0", "e")


def followed(store: NearStore) -> Position:
    """Let *store* follow a journal, and return a ticket."""
    store.open(store.position(), place(1))
    return store.position()


def copy_of(value: Any, *tags: str, life: float | None = None) -> Copy:
    return Copy(value, [ROOT, *map(tag_id, tags)], ManualClock().now(), life)


def named(number: int, *tags: str, keys: tuple[str, ...] = (), clear: bool = False) -> JournalPage:
    record = Invalidation(id="e", origin="o", namespace="n", tags=tags, keys=keys, clear=clear)
    return JournalPage([(place(number), record)], place(number), contiguous=True, complete=True)


def balance(store: NearStore) -> None:
    """Check that what was inserted is held or counted as gone, and that the index holds no more than the copies."""
    seen = store.statistics
    gone = seen.evicted + seen.replaced + seen.invalidated + seen.discarded + seen.cleared + seen.unused
    assert seen.inserted == seen.copies + gone
    assert seen.copies == len(store.copies)
    assert seen.bytes == sum(copy.weight for copy in store.copies.values())
    indexed = {key for keys in store._held._by_tag.values() for key in keys}
    assert indexed == {key for key, copy in store.copies.items() if set(copy.ids) != {ROOT}}


STEPS = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 9), st.integers(0, 60), st.integers(0, 3)),
    st.tuples(st.just("insert"), st.integers(0, 9), st.integers(0, 60), st.integers(0, 3)),
    st.tuples(st.just("use"), st.integers(0, 9)),
    st.tuples(st.just("name"), st.integers(0, 3)),
    st.tuples(st.just("discard"), st.integers(0, 9)),
    st.tuples(st.just("clear")),
    st.tuples(st.just("reset")),
)


@every_eviction
@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=50))
def test_the_books_balance(eviction: str, steps: list[tuple[Any, ...]]) -> None:
    """Whatever comes, both bounds hold, and every copy is held or went for a reason that was counted."""
    store = NearStore(4, max_bytes=100, eviction=eviction, clock=ManualClock())
    followed(store)
    for at, (what, *arguments) in enumerate(steps, start=2):
        if what == "insert":
            key, weight, tag = arguments
            assert store.insert(str(key), copy_of(at, str(tag)), store.position(), weight)
            assert store.copies[str(key)].value == at
        elif what == "use" and str(arguments[0]) in store.copies:
            store.copies[str(arguments[0])].used = True
        elif what == "name":
            store.advance(store.position(), named(at, str(arguments[0])))
        elif what == "discard":
            store.discard(str(arguments[0]))
        elif what == "clear":
            store.advance(store.position(), named(at, clear=True))
        elif what == "reset":
            store.reset()
            followed(store)
        balance(store)
        assert len(store.copies) <= 4
        assert store.statistics.bytes <= 100


@every_eviction
def test_a_copy_above_the_whole_bound_is_refused(eviction: str) -> None:
    """It pushes nothing out; an older copy of its key goes all the same."""
    store = NearStore(10, max_bytes=100, eviction=eviction)
    ticket = followed(store)
    store.insert("a", copy_of(1), ticket, 60)
    store.insert("b", copy_of(2), ticket, 40)

    assert not store.insert("a", copy_of(3), ticket, 101)
    assert set(store.copies) == {"b"}
    assert store.statistics.refused == 1


def test_a_used_copy_gets_a_second_chance() -> None:
    """Of copies that came in a row, those served since room was last made stay (lru), or not (fifo)."""
    kept = {}
    for eviction in ("lru", "fifo"):
        store = NearStore(4, eviction=eviction)
        ticket = followed(store)
        for key in "abcd":
            store.insert(key, copy_of(key), ticket)
        for key in "ac":
            store.copies[key].used = True
        for key in "ef":
            store.insert(key, copy_of(key), ticket)
        kept[eviction] = "".join(sorted(store.copies))
    assert kept == {"lru": "acef", "fifo": "cdef"}


@every_eviction
def test_a_newcomer_is_held_though_all_others_were_used(eviction: str) -> None:
    """A near cache full of hot copies still takes what is new."""
    store = NearStore(3, eviction=eviction)
    ticket = followed(store)
    for number in range(10):
        store.insert(str(number), copy_of(number), ticket)
        for copy in store.copies.values():
            copy.used = True
        assert str(number) in store.copies


@pytest.mark.parametrize("eviction", ["lfu", "tinylfu"])
def test_what_is_used_round_after_round_outlives_a_scan(eviction: str) -> None:
    """Orders by frequency count the rounds in which a copy was used."""
    store = NearStore(20, eviction=eviction)
    ticket = followed(store)
    hot = {f"hot:{number}" for number in range(5)}
    for key in hot:
        store.insert(key, copy_of(key), ticket)
    for number in range(200):
        store.insert(f"cold:{number}", copy_of(number), ticket)
        for key in hot & set(store.copies):
            store.copies[key].used = number < 100  # then nobody reads them for a while
    assert hot <= set(store.copies)


def test_what_the_journal_names_is_fenced_even_when_it_is_forgotten() -> None:
    """A ticket from before a name that is no longer remembered is refused; later ones are not (P6)."""
    remembered = Named(limit=4)
    for number in range(10):
        remembered.note(f"k{number}", (number, 0))

    assert remembered.since(["never named"], (2, 0))
    assert not remembered.since(["never named"], (9, 0))
    assert remembered.since(["k9"], (8, 0))
    remembered.clear()
    assert not remembered.since(["k9"], (0, 0))


def test_wrong_bounds_are_named() -> None:
    """A near cache that could hold nothing, or without end, is not made."""
    makers: dict[str, Callable[[], object]] = {
        "max_entries=0": lambda: NearStore(0),
        "max_bytes=0": lambda: NearStore(max_bytes=0),
        "eviction='mru'": lambda: NearStore(eviction="mru"),
        "max_bytes=-5": lambda: Budget(-5),
    }
    for text, make in makers.items():
        with pytest.raises(ConfigurationError, match=text):
            make()


# --- budgets ------------------------------------------------------------------------------------


def filled(budget: Budget, copies: int, weight: int = 10) -> tuple[NearStore, Position]:
    """Return a near store with so many copies, if the budget lets it."""
    store = NearStore(budget=budget)
    ticket = followed(store)
    for number in range(copies):
        store.insert(str(number), copy_of(number), ticket, weight)
    return store, ticket


def test_namespaces_share_a_budget() -> None:
    """Together they never hold more; whoever holds most makes room, and from its coldest."""
    budget = Budget(100)
    large, _ = filled(budget, 10)
    small, _ = filled(budget, 3)

    assert (len(large.copies), len(small.copies), budget.held) == (7, 3, 100)
    assert set(large.copies) == {str(number) for number in range(3, 10)}
    assert large.statistics.evicted == 3
    balance(large)
    balance(small)


def test_a_budget_is_given_back_when_copies_go() -> None:
    """Invalidated, discarded, cleared, fenced and collected copies claim nothing any more."""
    budget = Budget(100)
    store, ticket = filled(budget, 6)
    store.advance(store.position(), named(2, keys=("0",)))
    assert budget.held == 50
    assert not store.insert("0", copy_of(0), ticket, 10)
    store.discard("1")
    assert budget.held == 40
    store.reset()
    assert budget.held == 0
    other, _ = filled(budget, 9)
    assert budget.held == 90
    del other
    gc.collect()
    assert budget.held == 0


def test_what_no_budget_holds_is_refused() -> None:
    """Nothing is shed for a copy that can never fit."""
    budget = Budget(100)
    store, ticket = filled(budget, 5)
    assert not store.insert("huge", copy_of(0), ticket, 101)
    assert (len(store.copies), store.statistics.refused) == (5, 1)
    assert store.insert("all", copy_of(0), ticket, 100)
    assert set(store.copies) == {"all"}


def test_a_budget_under_threads_is_never_exceeded() -> None:
    """Four namespaces filled by eight threads stay within it, and end up with books that balance."""
    budget = Budget(1_000)
    stores = [NearStore(50, budget=budget) for _ in range(4)]
    tickets = [followed(store) for store in stores]
    above: list[int] = []

    def storm(number: int) -> None:
        store, ticket = stores[number % 4], tickets[number % 4]
        for step in range(400):
            store.insert(str(step % 60), copy_of(step, str(step % 5)), ticket, 1 + step % 37)
            if not step % 9:
                store.discard(str(step % 60))
            if budget.held > 1_000:
                above.append(budget.held)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=storm, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert above == []
    for store in stores:
        balance(store)
    assert budget.held == sum(store.statistics.bytes for store in stores)
