"""Explaining is looking: it changes nothing, and what it says of the journal is what the journal says."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof import Cache, NearCache, Policy, ProviderUnavailableError
from staleproof.cache import explaining, searching
from staleproof.cache.commands import FindEnd, Follow, Read
from staleproof.cache.searching import MAX_PAGES, SKEW_MS, Wanted, search
from staleproof.events.invalidation import Invalidation
from staleproof.ports import JournalPage, journal_id, journal_order
from staleproof.providers.memory import MemoryProvider
from staleproof.tags import tag_id
from staleproof.testing import ManualClock

PAGE = 4
KEY = "k"
TAGS = ("a", "b")


# --- nothing changes --------------------------------------------------------------------------------


def picture(cache: Cache, server: MemoryProvider) -> Any:
    """Return everything that a read, a load or an outage leaves behind; what the server counts of reads apart."""
    core, near = cache.core, cache.core.near
    assert near is not None
    server._cells.entries.expire()  # what is over is removed by whoever comes first
    figures = cache.statistics.as_dict()
    figures["provider"] = {
        name: each for name, each in figures["provider"].items() if name not in {"hits", "misses"}
    }
    copies = {key: (each.used, each.value, each.wall_deadline) for key, each in near.copies.items()}
    remembered = [dict(each) for each in (core.predictions, core.resting, core.touched, core.uses)]
    stores = (server._cells.entries, server._cells.versions, server._cells.leases, server._cells.fences)
    cells = [{name: store.peek(name) for name in store} for store in stores]
    return copy.deepcopy(
        [
            figures,
            copies,
            near.synced,
            near._cursor,
            near._generation,
            remembered,
            len(core.deferred or ()),
            core.breaker.in_a_row,
            core.breaker._next_probe,
            cells,
            server._cells.guard,
            server.journal("", 10_000),
            len(cache.driver.flights),
        ]
    )


STEPS = {
    "read": lambda it, elsewhere: it.get_or_load(KEY, lambda: 1, tags=TAGS),
    "reveal": lambda it, elsewhere: it.get_or_load("r", lambda: 1, tags_from=lambda _: ["b"]),
    "put": lambda it, elsewhere: it.put(KEY, 2, tags=TAGS),
    "elsewhere": lambda it, elsewhere: elsewhere.get_or_load(KEY, lambda: 3, tags=TAGS),
    "hard": lambda it, elsewhere: elsewhere.invalidate("a"),
    "soft": lambda it, elsewhere: elsewhere.invalidate("b", soft=True),
    "evict": lambda it, elsewhere: elsewhere.evict(KEY),
    "defer": lambda it, elsewhere: it.core.unacknowledged(it.invalidation(["a"])),
    "fail": lambda it, elsewhere: it.core.breaker.failed(),
    "tick": lambda it, elsewhere: it.core.clock.advance(4),
    "sleep": lambda it, elsewhere: it.core.clock.advance(50),
}


@settings(max_examples=60)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
def test_explaining_changes_nothing(steps: list[str]) -> None:
    """Whatever came before: no count, no copy, no cursor, no breaker, no lease, no record, no deferred one changes."""
    clock = ManualClock()
    server = MemoryProvider("shop", clock=clock)
    policy = Policy(ttl="1m", staleness=5, stale_while_revalidate="30s", fallback="stale", patience=0)
    near = NearCache(clock=clock)
    it = Cache(server, policy=policy, clock=clock, near=near, unreachable="defer", background=False)
    elsewhere = Cache(server, policy=policy, clock=clock, background=False)
    for step in steps:
        STEPS[step](it, elsewhere)
        before = picture(it, server)
        first, second = it.explain(KEY, tags=TAGS), it.explain(KEY, tags=TAGS)
        it.explain("r")
        it.explain("never")
        assert picture(it, server) == before
        assert first == second


def test_explaining_asks_reads_only() -> None:
    """The plan's commands are looks at an entry and at the journal."""
    clock = ManualClock()
    server = MemoryProvider("shop", clock=clock)
    cache = Cache(server, policy=Policy(staleness=0), clock=clock)
    cache.get_or_load(KEY, lambda: 1, tags=TAGS)
    Cache(server, clock=clock).invalidate("a")
    plan = explaining.explain(cache.core, cache.call(KEY, TAGS))
    kinds, reply = set(), None
    try:
        while True:
            command = plan.send(reply)
            kinds.add(type(command))
            reply = command.on(server)  # type: ignore[union-attr]
    except StopIteration as end:
        told = end.value
    assert told.reason == "tag"
    assert kinds == {Read, Follow, FindEnd}


@settings(max_examples=60)
@given(
    steps=st.lists(st.sampled_from(["read", "put", "elsewhere", "hard", "soft", "evict", "tick", "sleep"]))
)
def test_what_is_foretold_happens(steps: list[str]) -> None:
    """A read right after an explanation comes to what was told: a hit here or there, a stale value, or a load."""
    clock = ManualClock()
    server = MemoryProvider("shop", clock=clock)
    policy = Policy(ttl="1m", staleness=5, stale_while_revalidate="30s", patience=0)
    it = Cache(server, policy=policy, clock=clock, near=NearCache(clock=clock))
    elsewhere = Cache(server, policy=policy, clock=clock, background=False)
    for step in steps:
        STEPS[step](it, elsewhere)
    told = it.explain(KEY, tags=TAGS)
    before = it.statistics.snapshot()
    it.get_or_load(KEY, lambda: 9, tags=TAGS)
    added = it.statistics.since(before)
    came = {
        "near hit": added.near_hits,
        "hit": added.hits,
        "stale": added.stale,
        "load": sum(added.misses.values()) - added.stale,
    }
    assert came == {**dict.fromkeys(came, 0), told.outcome: 1}
    if told.reason is not None and not added.near_hits:
        assert added.misses[told.reason] == 1
    it.close()


# --- the search -------------------------------------------------------------------------------------


class Named(NamedTuple):
    """A record for the tests: how long after the one before it, and what it names."""

    after_ms: int
    tags: tuple[str, ...]
    keys: tuple[str, ...]


def journal(records: list[Named]) -> tuple[MemoryProvider, ManualClock]:
    clock = ManualClock(wall=1_000.0)
    server = MemoryProvider("shop", clock=clock)
    for number, (after_ms, tags, keys) in enumerate(records):
        clock.advance(after_ms / 1_000)
        server.invalidate(
            [Invalidation(id=f"e{number}", origin="here", namespace="shop", tags=tags, keys=keys)]
        )
    return server, clock


def run(plan: Any, server: Any) -> tuple[Any, int]:
    """Run a plan of reads; return its result and how many questions it asked."""
    reply, asked = None, 0
    try:
        while True:
            command = plan.send(reply)
            reply, asked = command.on(server), asked + 1
    except StopIteration as end:
        return end.value, asked


GAPS = st.sampled_from([0, 0, 0, 1, 7, 300, 5_000, 100_000])
RECORDS = st.lists(
    st.builds(
        Named,
        GAPS,
        st.lists(st.sampled_from("abxyz"), max_size=2).map(tuple),
        st.lists(st.sampled_from(["k", "other"]), max_size=1).map(tuple),
    ),
    max_size=60,
)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages be small, so that a few records are many pages."""
    monkeypatch.setattr(searching, "PAGE", PAGE)


@settings(max_examples=150)
@given(records=RECORDS, born=st.integers(0, 60), key=st.booleans(), tags=st.sets(st.sampled_from("ab")))
def test_the_search_finds_what_the_journal_has(
    records: list[Named], born: int, key: bool, tags: set[str]
) -> None:
    """Down to where it says it came, every record that names what is wanted was found, newest first."""
    server, _ = journal(records)
    pages = server.journal("", 10_000).records
    since = journal_order(pages[born][0])[0] if born < len(pages) else None
    wanted = Wanted("k" if key else None, map(tag_id, tags), [tag_id("x")])
    found, asked = run(search(wanted, since), server)
    assert asked <= MAX_PAGES + 1
    naming = [
        (place, record)
        for place, record in pages
        if record is not None and (set(record.tags) & tags or (key and "k" in record.keys))
    ]
    within = [record.id for place, record in naming if journal_order(place)[0] >= found.back_to_ms]
    assert list(wanted.causes) == within[::-1]
    if found.whole:
        late = [r.id for place, r in naming if since is None or journal_order(place)[0] >= since - SKEW_MS]
        assert set(late) <= set(wanted.causes)
    else:
        assert wanted.complete or asked >= MAX_PAGES
    for name in (*tags, *(["k"] if key else [])):
        newest = [record.id for _, record in naming if name in record.tags or (name == "k" and record.keys)]
        assert not newest or newest[-1] in wanted.causes or not found.whole or since is not None


def test_a_search_in_a_crowded_journal_finds_what_is_new() -> None:
    """Where far more records lie than may be read, what was named last is found within the bound all the same."""
    many = [Named(0 if number % 40 else 1, ("x",), ()) for number in range(4_000)]
    server, _ = journal([Named(1, ("b",), ()), *many, Named(0, ("a",), ()), *many[:10]])
    wanted = Wanted(None, [tag_id("a"), tag_id("b")])
    found, asked = run(search(wanted, 1), server)
    assert list(wanted.causes) == ["e4001"]
    assert asked <= MAX_PAGES + 1
    assert not found.whole
    assert found.back_to_ms > 1_000_000


def test_a_search_in_a_thin_journal_is_short() -> None:
    """Windows grow where there is little to read: hours of nothing cost a few questions."""
    server, _ = journal([Named(1, ("a",), ()), Named(6 * 3_600_000, ("x",), ()), Named(1, ("x",), ())])
    wanted = Wanted(None, [tag_id("a")])
    found, asked = run(search(wanted, None), server)
    assert (list(wanted.causes), found.whole) == (["e0"], True)
    assert asked <= 10


def test_an_unreadable_record_is_counted() -> None:
    """What this release cannot read may be the cause: it is told how many there were."""

    class Server:
        def journal(self, cursor: str, limit: int) -> JournalPage:
            place = journal_id("1000-0", "")
            return JournalPage([(place, None)], place, not cursor, complete=True)

        def journal_end(self) -> str:
            return journal_id("1000-0", "")

    found, _ = run(search(Wanted(KEY, ()), None), Server())
    assert (found.records, found.unreadable, found.whole) == (1, 1, True)


def test_no_journal_is_not_begun() -> None:
    """Where there is no journal nothing is searched, and none is made."""
    server, _ = journal([])
    found, asked = run(search(Wanted(KEY, ()), 5), server)
    assert (asked, found.records, found.whole, found.trimmed) == (1, 0, True, True)
    assert server.journal("", 1).records == []


def test_a_superseded_key_is_a_cause_for_copies_only() -> None:
    """Where an update left its new entry in place, the entry was not removed by it; old copies are."""
    record = Invalidation(id="e", origin="here", namespace="shop", keys=(KEY,), superseded=True)
    entry, copies = Wanted(KEY, ()), Wanted(KEY, (), superseded=True)
    for wanted in (entry, copies):
        wanted.look_at("1-0#e", record)
    assert (entry.causes, [each.key for each in copies.causes.values()]) == ({}, [True])


def test_a_server_that_dies_is_explained_in_the_middle_of_it() -> None:
    """At whichever question the server goes away, there is an explanation, and it is never a wrong one."""
    clock = ManualClock()
    server = MemoryProvider("shop", clock=clock)
    cache = Cache(server, policy=Policy(staleness=0), clock=clock)
    cache.get_or_load(KEY, lambda: 1, tags=TAGS)
    Cache(server, clock=clock).invalidate("a")
    for good in range(6):
        told = cut_off(explaining.explain(cache.core, cache.call(KEY, TAGS), TAGS), server, good)
        assert told.reason in {"tag", "unreachable"}
        assert (told.reason == "unreachable") == (told.stored is None)


def cut_off(plan: Any, server: Any, good: int) -> Any:
    """Run *plan* with so many *good* answers before the server goes away; return its result."""
    reply = None
    try:
        for _ in range(good):
            reply = plan.send(reply).on(server)
        plan.send(reply)
        plan.throw(ProviderUnavailableError("gone"))
    except StopIteration as end:
        return end.value
    raise AssertionError("the plan goes on without a server")
