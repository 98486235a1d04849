"""A tiered provider answers from near what the journal vouches for, moves no value for it, and keeps nothing else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.entry import TIMED, Entry, encode
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.near.store import NearStore
from staleproof.policies.judgement import judge
from staleproof.ports import Claim, Deposit, Want
from staleproof.providers.async_memory import AsyncMemoryProvider
from staleproof.providers.async_tiered import AsyncTieredProvider
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.near_entries import NearEntries
from staleproof.providers.tiered import TieredProvider
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

A, B = tag_id("a"), tag_id("b")
TAGS = (ROOT, A)
LEASE = b"lease"
MINUTE = 60_000


class Counting:
    """A provider that counts what it is asked."""

    def __init__(self, provider: MemoryProvider) -> None:
        self._provider = provider
        self.namespace = provider.namespace
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self._provider, name)


class Stand:
    """Two processes, each with a tiered provider, before one remote provider."""

    def __init__(self, **arguments: Any) -> None:
        self.clock = ManualClock()
        self.memory = MemoryProvider("tiered", clock=self.clock)
        self.remote = Counting(self.memory)
        self.tier = self.process(**arguments)

    def process(self, **arguments: Any) -> TieredProvider:
        remote: Any = self.remote
        return TieredProvider(remote, clock=self.clock, **arguments)

    def load(
        self, value: bytes, tags: Sequence[bytes] = TAGS, *, key: str = "k", tier: Any = None, **entry: Any
    ) -> bytes:
        """Store *value* as a load would, and return the entry."""
        tier = tier or self.memory
        begun = tier.begin(key, tags, LEASE, MINUTE, MINUTE, guard=False)
        raw = encode(
            Entry(0, b"".join(tags), b"".join(begun.snapshot.versions), len(tags), 1, 0, 0, value)._replace(
                **entry
            )
        )
        assert tier.store(key, raw, MINUTE, LEASE)
        return raw

    def invalidate(self, *tags: str, tier: Any = None, **more: Any) -> None:
        record = Invalidation(id=new_id(), origin="o", namespace="tiered", tags=tags, **more)
        (tier or self.memory).invalidate([record])

    def rounds(self, tier: TieredProvider, key: str = "k", tags: Sequence[bytes] = TAGS) -> dict[str, int]:
        """Read, check that it is what the remote provider would say, and return what it was asked for that."""
        self.remote.asked.clear()
        observed = tier.read(key, tags)
        asked = dict(self.remote.asked)
        assert observed == self.memory.read(key, tags)
        return asked


READ = {"read_following": 1}
CHECK = {"journal": 1}


def test_a_bound_of_nothing_asks_the_journal_and_moves_no_value() -> None:
    """The first read brings the entry near; every later one is one question to the journal."""
    stand = Stand()
    stand.load(b"v")
    assert stand.rounds(stand.tier) == {"journal_end": 1, **READ}
    assert [stand.rounds(stand.tier) for _ in range(3)] == [CHECK] * 3
    assert stand.tier.statistics[:3] == (3, 3, 1)


def test_within_a_bound_nothing_is_asked_also_after_a_pause() -> None:
    """At most once in the bound the journal is asked; time that the process slept through counts."""
    stand = Stand(staleness="10s")
    stand.load(b"v")
    stand.rounds(stand.tier)
    assert stand.rounds(stand.tier) == {}
    stand.clock.freeze(9)
    assert stand.rounds(stand.tier) == {}
    stand.clock.freeze(2)
    assert [stand.rounds(stand.tier), stand.rounds(stand.tier)] == [CHECK, {}]


@pytest.mark.parametrize(
    "change",
    [{"tags": ("a",)}, {"keys": ("k",)}, {"clear": True}, {"tags": ("a",), "soft": True}],
    ids=["tag", "key", "clear", "soft"],
)
def test_what_another_process_invalidates_is_gone_at_the_next_read(change: dict[str, Any]) -> None:
    """With a bound of 0 at once; with another, when the bound is over; by whatever it was named."""
    strict, bounded = Stand(), Stand(staleness=5)
    for stand in (strict, bounded):
        stand.load(b"old")
        stand.tier.read("k", TAGS)
        more = dict(change)
        stand.invalidate(*more.pop("tags", ()), **more)
    assert strict.rounds(strict.tier) == {**CHECK, **READ}
    assert bounded.tier.read("k", TAGS).entry is not None
    bounded.clock.advance(5.1)
    assert bounded.rounds(bounded.tier) == {**CHECK, **READ}


def test_what_this_process_invalidates_is_gone_whatever_the_bound() -> None:
    """Its own acknowledgement is enough."""
    stand = Stand(staleness=60)
    stand.load(b"old")
    stand.tier.read("k", TAGS)
    stand.invalidate("a", tier=stand.tier)
    assert stand.rounds(stand.tier) == READ


def test_what_a_load_stored_is_near_at_once() -> None:
    """Write-through: the next read moves no value, in one at a time or many."""
    stand = Stand()
    stand.tier.read("k", TAGS)
    raw = stand.load(b"v", tier=stand.tier)
    assert stand.rounds(stand.tier) == CHECK
    (begun,) = stand.tier.begin_many([Claim("m", TAGS, LEASE)], MINUTE, MINUTE, guard=False)
    assert begun.leased
    assert stand.tier.store_many([Deposit("m", raw, MINUTE, LEASE)]) == [True]
    assert stand.rounds(stand.tier, "m") == CHECK


def test_a_store_whose_tags_were_invalidated_meanwhile_is_not_near() -> None:
    """Its lease was still good, its versions are not: the fence of fills begins before the snapshot."""
    stand = Stand(staleness=60)
    stand.tier.read("k", TAGS)
    begun = stand.tier.begin("k", TAGS, LEASE, MINUTE, MINUTE, guard=False)
    stand.invalidate("a", tier=stand.tier)
    raw = encode(Entry(0, b"".join(TAGS), b"".join(begun.snapshot.versions), 2, 1, 0, 0, b"old"))
    assert stand.tier.store("k", raw, MINUTE, LEASE)
    assert stand.rounds(stand.tier) == READ


def test_what_is_not_fresh_is_not_kept() -> None:
    """Absent, unreadable, stale, over, or with tags that were not asked for: the remote provider is asked again."""
    stand = Stand()
    stand.memory.put("junk", b"junk", MINUTE)
    stand.load(b"stale", key="stale")
    stand.invalidate("a", soft=True)
    stand.load(b"over", key="over", expires_ms=1_000, flags=TIMED)
    stand.load(b"partial", [ROOT, A, B], key="partial", named=2)
    for key in ("absent", "junk", "stale", "over", "partial"):
        stand.tier.read(key, TAGS)
        assert stand.rounds(stand.tier, key) == READ
    assert len(stand.tier.local.copies) == 0


def test_an_entry_is_near_for_every_question_about_its_own_tags() -> None:
    """In any order, or some of them only; others are asked of the remote provider."""
    stand = Stand()
    stand.load(b"v", [ROOT, A, B], named=2)
    stand.tier.read("k", [ROOT, A, B])
    for tags in ([ROOT, A, B], [A, ROOT], [], [B]):
        assert stand.rounds(stand.tier, tags=tags) == CHECK
    assert stand.rounds(stand.tier, tags=[ROOT, tag_id("other")]) == {**CHECK, **READ}


def test_what_is_near_ends_with_the_entry_and_after_its_life() -> None:
    """No entry outlives its own end; and none is served for longer than `life` without being read anew."""
    stand = Stand(staleness=3_600, life="30s")
    born = stand.clock.wall()
    stand.load(b"short", key="short", expires_ms=int((born + 10) * 1_000))
    stand.load(b"long", key="long")
    for key in ("short", "long"):
        stand.tier.read(key, TAGS)
    stand.clock.freeze(10)
    assert (stand.rounds(stand.tier, "short"), stand.rounds(stand.tier, "long")) == (READ, {})
    stand.clock.freeze(20)
    assert stand.rounds(stand.tier, "long") == READ


def test_a_put_and_a_moved_end_are_read_anew() -> None:
    """What this process changes under a key is not answered from before the change."""
    stand = Stand(staleness=60)
    stand.load(b"old")
    stand.tier.read("k", TAGS)
    stand.tier.put("k", stand.memory.read("k", []).entry or b"", MINUTE)
    assert stand.rounds(stand.tier) == READ
    stand.tier.expire("k", 0, 0, MINUTE)
    assert stand.rounds(stand.tier) == READ


def test_many_reads_ask_for_what_is_not_near_only() -> None:
    """All near: one question to the journal. Some: one more for the rest. None: one for all."""
    stand = Stand()
    wants = [Want(key, TAGS) for key in ("x", "y", "z")]
    for key in "xyz":
        stand.load(key.encode(), key=key)
    expected = stand.memory.read_many(wants)
    asked = []
    for some in (wants[:1], wants, wants):
        stand.remote.asked.clear()
        assert stand.tier.read_many(some) == expected[: len(some)]
        asked.append(dict(stand.remote.asked))
    assert asked == [{"journal_end": 1, "read_many": 1}, {"journal": 1, "read_many": 1}, CHECK]


def test_while_a_load_is_under_way_nothing_that_lags_is_served() -> None:
    """A loader that reads within the bound would build the lag into what it stores (decision 14)."""
    stand = Stand(staleness=60)
    stand.load(b"inner", key="inner")
    stand.tier.read("inner", TAGS)
    assert stand.rounds(stand.tier, "inner") == {}
    stand.tier.begin("outer", TAGS, LEASE, 5_000, MINUTE, guard=False)
    assert stand.rounds(stand.tier, "inner") == CHECK
    stand.tier.release("outer", LEASE)
    assert stand.rounds(stand.tier, "inner") == {}
    stand.tier.begin("outer", TAGS, LEASE, 5_000, MINUTE, guard=False)
    stand.clock.advance(6)  # the loader died without a word
    assert stand.rounds(stand.tier, "inner") == {}
    stand.tier.local.hide(hidden=True)  # a load over another provider of this process
    assert stand.rounds(stand.tier, "inner") == CHECK


def test_a_trimmed_journal_empties_what_is_near() -> None:
    """Whoever cannot show that nothing was missed has nothing (P6)."""
    stand = Stand(staleness=5)
    stand.load(b"v")
    stand.tier.read("k", TAGS)
    stand.memory.drop(stand.memory.keys.journal)
    stand.clock.advance(6)
    asked = stand.rounds(stand.tier)
    assert asked["read_following"] == 1
    assert stand.tier.statistics.near.cleared == 1


async def test_the_asyncio_face_does_the_same() -> None:
    """The same steps, awaited."""
    clock = ManualClock()
    inner = MemoryProvider("tiered", clock=clock)
    tier = AsyncTieredProvider(AsyncMemoryProvider(inner=inner), clock=clock)
    begun = await tier.begin("k", TAGS, LEASE, MINUTE, MINUTE, guard=False)
    raw = encode(Entry(0, b"".join(TAGS), b"".join(begun.snapshot.versions), 2, 1, 0, 0, b"v"))
    assert await tier.store("k", raw, MINUTE, LEASE)
    for _ in range(3):
        assert (await tier.read("k", TAGS)).entry == raw
    assert tier.statistics[:3] == (2, 2, 1)


# --- any order of steps ---------------------------------------------------------------------------


class StaleReadError(AssertionError):
    """P1 is broken."""


class Race:
    """Processes whose every question to the remote provider may be overtaken by others'."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryProvider("race", clock=self.clock)
        self.row = 0
        self.acknowledged = 0

    def process(self) -> Any:
        provider: Any = self.memory
        tier = TieredProvider(provider, local=NearStore(2, clock=self.clock), clock=self.clock)
        return tier._steps

    def perform(self, step: Any) -> Generator[None, None, Any]:
        """Run *step*, letting others go ahead before each question and before each answer is seen."""
        answer: Any = None
        while True:
            try:
                question = step.send(answer)
            except StopIteration as end:
                return end.value
            yield
            answer = question(self.memory)
            yield

    def read(self, steps: Any, lease: bytes) -> Generator[None, None, None]:
        """Read; on a miss, load and store."""
        due = self.acknowledged
        observed = yield from self.perform(steps.read("k", TAGS))
        verdict = judge(observed.entry, observed.versions, b"".join(TAGS), 2, 0)
        if isinstance(verdict, Entry):
            if int(bytes(verdict.payload)) < due:
                raise StaleReadError(f"read {bytes(verdict.payload)!r}, but {due} was acknowledged before")
            return
        begun = yield from self.perform(steps.begin("k", TAGS, lease, MINUTE, MINUTE, guard=False))
        if not begun.leased:
            return
        row = self.row
        yield
        raw = encode(Entry(0, b"".join(TAGS), b"".join(begun.snapshot.versions), 2, 1, 0, 0, b"%d" % row))
        yield from self.perform(steps.store("k", raw, MINUTE, lease))

    def write(self, steps: Any, name: str) -> Generator[None, None, None]:
        """Change the source, invalidate, and only then count as acknowledged."""
        self.row += 1
        row = self.row
        yield
        change: dict[str, Any] = (
            {"keys": ("k",)} if name == "key" else {"tags": ("a",), "soft": name == "soft"}
        )
        record = Invalidation(id=new_id(), origin="o", namespace="race", **change)
        yield from self.perform(steps.invalidate([record]))
        self.acknowledged = max(self.acknowledged, row)

    def evict(self, name: bytes) -> Generator[None, None, None]:
        """Remove something of the remote provider behind everybody's back."""
        self.memory.drop(name)
        yield


ACTS = st.lists(
    st.tuples(st.sampled_from(["read", "read", "read", "tag", "key", "soft", "evict"]), st.integers(0, 1)),
    min_size=3,
    max_size=14,
)


OVERTAKEN = (
    [("read", 1), ("read", 0), ("tag", 1), ("read", 0), ("read", 0)],
    [0] * 10 + [0] * 4 + [1] * 4 + [1] * 3 + [0] + [1] * 10,
)
"""Process 1 fills; process 0 reads and waits for its turn; the tag is invalidated; process 0 learns of it in another
thread; then the first settles what it read, and a third reads."""


@settings(max_examples=400)
@given(acts=ACTS, order=st.lists(st.integers(0, 3), max_size=150))
@example(*OVERTAKEN)
def test_no_order_of_steps_makes_a_read_stale(acts: list[tuple[str, int]], order: list[int]) -> None:
    """P1 with a bound of 0: after an invalidation was acknowledged, no read that begins returns what was before it."""
    race = Race()
    processes = [race.process(), race.process()]
    keys = race.memory.keys
    evicted = [keys.version(A), keys.entry("k"), keys.journal, keys.version(ROOT)]
    waiting = [
        race.evict(evicted[at % 4])
        if what == "evict"
        else race.read(processes[whose], b"lease%d" % at)
        if what == "read"
        else race.write(processes[whose], what)
        for at, (what, whose) in enumerate(acts)
    ]
    running: list[Any] = []
    choices = iter(order)
    while running or waiting:
        choice = next(choices, 0)
        if waiting and len(running) < 3:
            running.append(waiting.pop(0))
        actor = running[choice % len(running)]
        try:
            next(actor)
        except StopIteration:
            running.remove(actor)


@pytest.mark.parametrize("broken", ["fence", "names", "step"])
def test_the_search_finds_what_is_broken(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same search sees a stale read once a step is left out, so it looks where it should."""
    if broken == "fence":
        monkeypatch.setattr(NearStore, "_named_since", lambda *_: False)
    elif broken == "names":
        monkeypatch.setattr(NearStore, "_apply", lambda *_: None)
    else:

        def unasked(_self: Any) -> Any:
            return True
            yield

        monkeypatch.setattr(NearEntries, "in_step", unasked)
    with pytest.raises((StaleReadError, BaseExceptionGroup)):
        test_no_order_of_steps_makes_a_read_stale()
