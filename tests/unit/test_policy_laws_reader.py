"""Laws of the reader endpoint: a replica answers as far as it shows that it has our place in the primary's journal."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Policy, ProviderUnavailableError, bounded
from staleproof.ports import JournalPage, Observed
from tests.unit.policy_stand import Stand, portal, stand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["portal", "stand"]

BOUND = 5.0
READING = Policy(ttl="1h", consistency=bounded(BOUND, reader=True))
ALL = 10_000


class Replica:
    """What the primary held at the moment of `sync`; it answers one question, the one that replicas are asked."""

    def __init__(self, it: Stand, *, awaits: bool) -> None:
        self._memory = it.memory
        self._awaits = awaits
        self._tags: Sequence[bytes] = it.cache.call("k", ["t"]).tags
        self.away = False
        self.asked = 0
        self.sync()

    def sync(self) -> None:
        """Take over everything."""
        self._records = list(self._memory.journal("", ALL).records)
        self._observed = self._memory.read("k", self._tags)

    def _answer(self, key: str, tags: Sequence[bytes], cursor: str) -> tuple[JournalPage, Observed]:
        self.asked += 1
        if self.away:
            raise ProviderUnavailableError("the replica is away")
        places = [place for place, _ in self._records]
        contiguous = cursor in places
        rest = self._records[places.index(cursor) + 1 :] if contiguous else []
        last = places[-1] if contiguous else ""
        found = self._observed if key == "k" else Observed(None, [None] * len(tags))
        return JournalPage(rest, last, contiguous, complete=True), found

    def read_following(self, key: str, tags: Sequence[bytes], cursor: str, limit: int) -> Any:
        """See `Provider.read_following`."""
        if not self._awaits:
            return self._answer(key, tags, cursor)

        async def answer() -> tuple[JournalPage, Observed]:
            return self._answer(key, tags, cursor)

        return answer()


class World:
    """A process with a near cache that reads from a replica, and another one that writes."""

    def __init__(self, it: Stand) -> None:
        self.it = it
        self.other = it.another(Policy(ttl="1h"))
        self.other.read()
        awaits = inspect.iscoroutinefunction(getattr(it.server.inner, "read", None))
        self.replica = it.server.reader = Replica(it, awaits=awaits)
        it.memory.journal_end()
        self.replica.sync()

    def read(self) -> Any:
        """Read past any near copy."""
        self.it.core.near.discard("k")
        return self.it.read()

    def change(self, value: int) -> None:
        """Give the source a new value, and have the change acknowledged by the primary."""
        self.it.source.value = self.other.source.value = value
        self.other.cache.invalidate("t")


@pytest.fixture
def world(stand: Callable[..., Stand]) -> World:
    return World(stand(ttl="1h", consistency=bounded(BOUND, reader=True)))


def test_a_replica_in_step_answers(world: World) -> None:
    """It has our place in the journal: what it says is as fresh as the bound demands."""
    assert world.read() == 1
    world.it.server.go(only={"read", "read_following", "begin"})
    assert [world.read() for _ in range(3)] == [1] * 3
    assert world.it.server.refused == 0
    assert world.it.source.calls == 0


def test_a_replica_that_is_behind_our_place_is_not_believed(world: World) -> None:
    """We know of a record that it does not have: the primary answers."""
    world.read()
    world.change(2)
    world.it.clock.advance(BOUND + 0.001)
    assert world.read() == 2
    assert world.it.source.calls == 1


def test_a_replica_lags_within_the_bound_only(world: World) -> None:
    """Until the bound is reached its old value may be served, and after it never."""
    world.read()
    world.change(2)
    assert world.read() == 1
    world.it.clock.advance(BOUND + 0.001)
    for _ in range(3):
        assert world.read() == 2


def test_a_replica_that_caught_up_is_believed_again(world: World) -> None:
    """It may be ahead of our own place: then it is fresher than it has to be."""
    world.read()
    world.change(2)
    world.other.read()
    world.replica.sync()
    assert world.read() == 2
    assert world.it.source.calls == 0


def test_a_copy_from_a_replica_is_dropped_by_what_the_replica_did_not_know(world: World) -> None:
    """A copy taken from it settles under our place in the primary's journal, which names the change later."""
    world.read()
    world.change(2)
    assert world.it.read() == 1
    world.it.clock.advance(BOUND + 0.001)
    assert world.it.read() == 2


def test_a_miss_of_a_replica_is_the_primary_s_to_answer(world: World) -> None:
    """Its eviction, or its lag, loads nothing that the primary has."""
    world.read()
    world.replica._observed = Observed(None, [None] * len(world.replica._tags))
    assert world.read() == 1
    assert world.it.source.calls == 0


def test_a_replica_that_is_away_costs_no_answer(world: World) -> None:
    """The primary answers; and after a few failures the replica is left alone, the primary is not."""
    world.replica.away = True
    world.it.core.reader_breaker.adopt(3, 10)
    for _ in range(10):
        assert world.read() == 1
    assert world.replica.asked == 3
    assert world.it.core.reader_breaker.is_open
    assert not world.it.core.breaker.is_open
    world.replica.away = False
    world.it.clock.advance(10)
    assert world.read() == 1
    assert world.replica.asked == 4


def test_no_load_is_built_on_a_replica(world: World) -> None:
    """What a loader reads must be no older than the versions that it is stored under."""
    world.read()
    world.change(2)
    assert world.it.read(world.it.read, key="outer") == 2


def test_other_policies_do_not_ask_it(world: World) -> None:
    """It is for those who gave a bound and named it."""
    asked = world.replica.asked
    world.it.read(policy=Policy(ttl="1h"))
    world.it.core.near.discard("k")
    world.it.read(policy=Policy(ttl="1h", staleness=BOUND))
    assert world.replica.asked == asked
