"""What each kind of structure does: the operations, in the order of `staleproof.cache.structures`."""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.cache.missing import MISSING
from staleproof.errors import ConfigurationError, ProviderRejectedError
from staleproof.testing.structures_case import StructuresCase

if TYPE_CHECKING:
    from collections.abc import Callable

HIGHEST = 2**63 - 1
CITIES = {"paris": (2.3522, 48.8566), "london": (-0.1276, 51.5072), "sydney": (151.2093, -33.8688)}


class StructureKindsContract(StructuresCase):
    """See `StructuresContract`."""

    # --- sorted sets -------------------------------------------------------------------------------

    def test_a_leaderboard(self, here: Any) -> None:
        """Members are ranked by score, highest first, and read from the top, by page and by score."""
        board = self.made(here, "sorted_set")(1)
        assert board.add("ann", 12.5)
        assert board.add_many({"bob": 3, "cid": 20, "dee": 3}) == 3
        assert not board.add("ann", 13)
        assert board.top(2) == [("cid", 20.0), ("ann", 13.0)]
        assert [board.rank(each) for each in ("cid", "ann", "dee", "bob", "eve")] == [0, 1, 2, 3, None]
        assert board.rank("bob", ascending=True) == 0
        assert board.range(1, 3) == [("ann", 13.0), ("dee", 3.0)]
        assert board.range(-1) == [("bob", 3.0)]
        assert board.range(0, -3) == [("cid", 20.0)]
        assert board.range(0, 0) == board.range(9) == board.top(0) == []
        assert board.range(ascending=True, stop=1) == [("bob", 3.0)]
        assert board.by_score(3, 13) == [("ann", 13.0), ("dee", 3.0), ("bob", 3.0)]
        assert board.by_score(3, 13, ascending=True, offset=1, limit=1) == [("dee", 3.0)]
        assert board.count(3, 13) == 3
        assert board.count() == board.size() == 4
        assert board.scores(["ann", "eve"]) == {"ann": 13.0}
        assert board.keep_top(2) == 2
        assert board.remove("ann", "eve") == 1
        assert board.top() == [("cid", 20.0)]

    def test_scores_add_up(self, here: Any) -> None:
        """A score is counted up from 0, by fractions and infinities; what is no number is refused."""
        board = self.made(here, "sorted_set")(1)
        assert board.score("ann") is None
        assert board.incr("ann", 0.1) == 0.1
        assert board.incr("ann") == 1.1
        assert board.incr("ann", inf) == board.score("ann") == inf
        with pytest.raises(ProviderRejectedError):
            board.incr("ann", -inf)
        assert board.top() == [("ann", inf)]

    def test_scores_on_conditions(self, here: Any) -> None:
        """A score may be set only if the member is new, or known, or the score greater, or less."""
        board = self.made(here, "sorted_set")(1)
        assert not board.add("ann", 5, only="known")
        assert board.add("ann", 5, only="new")
        assert not board.add("ann", 6, only="new")
        assert not board.add("ann", 4, only="greater")
        assert board.add("ann", 7, only="greater")
        assert board.add("ann", 6, only="less")
        assert board.add("ann", 8, only="known")
        assert board.score("ann") == 8.0
        with pytest.raises(ConfigurationError, match="only="):
            board.add("ann", 1, only="odd")

    # --- lists -------------------------------------------------------------------------------------

    def test_a_queue(self, here: Any) -> None:
        """Values go in and come out at both ends, in order; nothing is `MISSING`, and None a value."""
        row = self.made(here, "list", value=dict[str, int | None])(1)
        first, second, third = ({"n": each} for each in (1, 2, None))
        assert row.push_right(first, second) == 2
        assert row.push_left(third) == 3
        assert row.range() == [third, first, second]
        assert row.at(0) == third
        assert row.at(-1) == second
        assert row.at(3) is MISSING
        assert row.pop_left() == third
        assert row.pop_right() == second
        assert row.push_right() == 1
        assert row.pop_left() == first
        assert row.pop_left() is MISSING
        assert row.size() == 0

    def test_slices_of_a_list(self, here: Any) -> None:
        """Ranges and trims are Python's slices."""
        values = list(range(6))
        row = self.made(here, "list", value=int)(1)
        row.push_right(*values)
        for part in ((0, None), (2, 4), (-2, None), (0, -2), (4, 2), (0, 0), (-9, 9), (9, None), (-3, -1)):
            assert row.range(*part) == values[slice(*part)]
        row.trim(1, -1)
        assert row.range() == [1, 2, 3, 4]
        row.trim(0, 0)
        assert row.size() == 0

    def test_a_pop_waits(self, here: Any, there: Any) -> None:
        """A pop that waits takes what another pushes meanwhile, also if the list was invalidated since it began."""
        row, theirs = self.made(here, "list")(1), self.made(there, "list")(1)
        assert row.pop_left(wait=0.01) is MISSING
        took: list[Any] = []
        waiting = threading.Thread(target=lambda: took.append(row.pop_left(wait="30s")))
        waiting.start()
        there.invalidate("all")
        theirs.push_right("job")
        waiting.join(20)
        assert took == ["job"]
        assert row.size() == 0

    def test_each_value_is_popped_once(self, here: Any, there: Any) -> None:
        """Whoever pops at once with others shares nothing with them."""
        made = self.made(here, "list", value=int), self.made(there, "list", value=int)
        made[0](1).push_right(*range(60))
        took: list[Any] = []

        def take(number: int) -> None:
            row = made[number % 2](1)
            while (value := row.pop_left()) is not MISSING:
                took.append(value)

        _together(take, 4)
        assert sorted(took) == list(range(60))

    # --- hashes ------------------------------------------------------------------------------------

    def test_a_hash(self, here: Any) -> None:
        """Fields are set, read, counted and removed one by one and many at once."""
        cart = self.made(here, "hash")(1)
        assert cart.set("a", 1)
        assert not cart.set("a", 2)
        assert cart.add("b", 5)
        assert not cart.add("b", 6)
        assert cart.get("a") == 2
        assert cart.get("z") is MISSING
        assert cart.set_many({"b": 7, "c": 8}) == 1
        assert cart.set_many({}) == 0
        assert cart.get_many(["a", "c", "z"]) == {"a": 2, "c": 8}
        assert cart.all() == {"a": 2, "b": 7, "c": 8}
        assert sorted(cart.fields()) == ["a", "b", "c"]
        assert cart.contains("a")
        assert cart.incr("d") == 1
        assert cart.incr("d", -3) == -2
        assert cart.size() == 4
        assert cart.delete("a", "z") == 1
        assert not cart.contains("a")

    def test_numbers_in_a_hash(self, here: Any) -> None:
        """Integers are exact up to 64 bits and never wrap; what is no number cannot be counted up."""
        cart = self.made(here, "hash")(1)
        assert cart.incr("n", HIGHEST) == HIGHEST
        with pytest.raises(ProviderRejectedError, match="overflow"):
            cart.incr("n")
        assert cart.get("n") == HIGHEST
        prices = self.made(here, "hash", "p:{n}", value=float)(1)
        assert prices.set("x", 0.25)
        assert prices.incr("x", 0.5) == prices.get("x") == 0.75
        with pytest.raises(ConfigurationError, match="value=int or value=float"):
            self.made(here, "hash", "q:{n}", value=str)(1).incr("x")

    # --- sets --------------------------------------------------------------------------------------

    def test_a_set(self, here: Any) -> None:
        """Members are there once; some, all or random ones are read, and one is popped."""
        tags = self.made(here, "set")(1)
        assert tags.add("a", "b", "a") == 2
        assert tags.add("b", "c") == 1
        assert tags.members() == set(tags.scan()) == {"a", "b", "c"}
        assert tags.contains("a")
        assert not tags.contains("z")
        assert tags.contains_many(["a", "z"]) == {"a"}
        assert sorted(tags.random(9)) == ["a", "b", "c"]
        assert len(set(tags.random(2))) == 2
        popped = tags.pop()
        assert tags.members() == {"a", "b", "c"} - {popped}
        assert tags.remove("a", "b", "c", "z") == 2
        assert tags.pop() is MISSING
        assert tags.random() == []
        assert tags.add() == tags.size() == 0

    def test_sets_together(self, here: Any, there: Any) -> None:
        """Unions, intersections and differences of sets wherever they lie; but not of two caches."""
        made = self.made(here, "set", member=int)
        made(1).add(1, 2, 3)
        made(2).add(2, 3, 4)
        made(3).add(3)
        assert made(1).union(made(2), made(3)) == {1, 2, 3, 4}
        assert made(1).intersection(made(2), made(3)) == {3}
        assert made(1).difference(made(2)) == {1}
        assert made(1).union() == {1, 2, 3}
        with pytest.raises(ConfigurationError, match="another cache"):
            made(1).union(self.made(there, "set", member=int)(2))

    # --- counters ----------------------------------------------------------------------------------

    def test_a_counter(self, here: Any) -> None:
        """It counts up and down from 0, exactly, and never wraps."""
        views = self.made(here, "counter")(1)
        assert views.get() == 0
        assert views.incr() == 1
        assert views.decr(3) == -2
        views.set(2**60 + 1)
        assert views.incr() == views.get() == 2**60 + 2
        with pytest.raises(ProviderRejectedError, match="overflow"):
            views.incr(HIGHEST)
        assert views.get() == 2**60 + 2
        with pytest.raises(ConfigurationError, match="by="):
            views.incr(1.5)

    def test_a_counter_of_floats(self, here: Any) -> None:
        """It adds fractions."""
        total = self.made(here, "counter", kind=float)(1)
        assert total.incr(0.5) == 0.5
        assert total.decr(2) == -1.5
        total.set(1e300)
        assert total.get() == 1e300
        with pytest.raises(ConfigurationError, match="by="):
            total.incr(inf)

    def test_counts_are_not_lost(self, here: Any, there: Any) -> None:
        """Whoever counts at once with others is counted."""
        made = self.made(here, "counter"), self.made(there, "counter")
        _together(lambda number: [made[number % 2](1).incr() for _ in range(20)], 4)
        assert made[0](1).get() == 80

    # --- sketches and bits -------------------------------------------------------------------------

    def test_distinct_members(self, here: Any) -> None:
        """Distinct members are counted within a few percent, those of several HyperLogLogs, too."""
        made = self.made(here, "hyperloglog", member=int)
        assert made(1).add(*range(3_000))
        assert not made(1).add(5)
        assert not made(1).add()
        assert made(1).count() == pytest.approx(3_000, rel=0.04)
        made(2).add(*range(2_000, 5_000))
        made(1).merge(made(2), made(3))
        assert made(1).count() == pytest.approx(5_000, rel=0.04)
        assert made(2).count() == pytest.approx(3_000, rel=0.04)
        made(3).merge(made(2))
        assert made(3).count() == made(2).count()

    def test_a_bitmap(self, here: Any) -> None:
        """Bits are set, cleared, counted and found."""
        seen = self.made(here, "bitmap", bits=100)(1)
        assert seen.first() is None
        assert seen.first(bit=False) == 0
        assert not seen.set(9)
        assert seen.set(9)
        assert not seen.set(70, bit=True)
        assert seen.get(9)
        assert not seen.get(8)
        assert seen.count() == 2
        for part, expected in {(9, 10): 1, (10, 70): 0, (0, 0): 0, (9,): 2, (71,): 0, (0, 71): 2}.items():
            assert seen.count(*part) == expected
        assert seen.first() == 9
        assert seen.set(9, bit=False)
        assert seen.first() == 70
        for each in range(100):
            seen.set(each)
        assert seen.first(bit=False) is None
        for outside in (-1, 100, True, "9"):
            with pytest.raises(ConfigurationError, match="raise bits="):
                seen.get(outside)

    # --- streams -----------------------------------------------------------------------------------

    def test_a_stream(self, here: Any) -> None:
        """Records are read in order, from any place on, and dropped from the oldest on."""
        events = self.made(here, "stream")(1)
        ids = [events.append(text) for text in "abcde"]
        assert [(record.id, record.value) for record in events.range()] == list(
            zip(ids, "abcde", strict=True)
        )
        assert _values(events.range(ids[1], ids[2])) == "bc"
        assert _values(events.range(limit=2)) == "ab"
        assert _values(events.newest(2)) == "ed"
        assert _values(events.after(ids[2])) == "de"
        assert _values(events.after(ids[2], limit=1)) == "d"
        assert _values(events.after()) == "abcde"
        assert events.after(ids[-1]) == []
        assert events.trim(maxlen=4) == 1
        assert events.trim(before=ids[3]) == 2
        assert _values(events.range()) == "de"
        assert events.size() == 2
        for wrong in ({}, {"maxlen": 1, "before": ids[0]}, {"before": "x"}):
            with pytest.raises(ConfigurationError):
                events.trim(**wrong)

    def test_a_stream_is_bounded(self, here: Any) -> None:
        """With *maxlen* the newest records are kept, and ids go on when all were dropped."""
        events = self.made(here, "stream", value=int, maxlen=3)(1)
        for number in range(5):
            events.append(number)
        assert [record.value for record in events.range()] == [2, 3, 4]
        last = events.newest()[0].id
        assert events.trim(maxlen=0) == 3
        events.append(9)
        assert [record.value for record in events.after(last)] == [9]

    def test_a_reader_waits(self, here: Any, there: Any) -> None:
        """A reader that waits gets what another appends meanwhile."""
        events, theirs = self.made(here, "stream")(1), self.made(there, "stream")(1)
        last = events.append("a")
        assert events.after(last, wait=0.01) == []
        got: list[Any] = []
        waiting = threading.Thread(target=lambda: got.extend(events.after(last, wait="30s")))
        waiting.start()
        theirs.append("b")
        waiting.join(20)
        assert _values(got) == "b"

    # --- places ------------------------------------------------------------------------------------

    def test_places(self, here: Any) -> None:
        """Places are kept within a metre, and found by radius and by box, nearest first."""
        cities = self.made(here, "geo")(1)
        assert cities.add_many(CITIES) == 3
        assert not cities.add("paris", *CITIES["paris"])
        assert cities.position("paris") == pytest.approx(CITIES["paris"], abs=1e-5)
        assert cities.position("rome") is None
        assert cities.distance("paris", "london", unit="km") == pytest.approx(343.9, abs=1)
        assert cities.distance("paris", "rome") is None
        found = cities.near(*CITIES["paris"], radius=400, unit="km")
        assert [each.member for each in found] == ["paris", "london"]
        assert found[0].distance == pytest.approx(0, abs=0.01)
        assert found[1].position == pytest.approx(CITIES["london"], abs=1e-5)
        found = cities.near_member("london", radius=1e7, unit="m", limit=2)
        assert [each.member for each in found] == ["london", "paris"]
        assert cities.near_member("rome", radius=1) == []
        inside = cities.inside(1, 50, width=500, height=500, unit="km")
        assert {each.member for each in inside} == {"paris", "london"}
        assert cities.inside(1, 50, width=1, height=500) == []
        assert cities.remove("paris", "rome") == 1
        assert cities.size() == 2
        for wrong in ((181, 0), (0, 86), (float("nan"), 0)):
            with pytest.raises(ConfigurationError):
                cities.add("nowhere", *wrong)


def _values(records: list[Any]) -> str:
    return "".join(record.value for record in records)


def _together(work: Callable[[int], object], threads: int) -> None:
    """Do *work* in so many threads, and wait for them."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failures.append(error)

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
