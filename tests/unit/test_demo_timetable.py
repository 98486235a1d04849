"""The storm as a list of writes, and what of it can be read."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import pytest

from local.demo.popularity import Popularity
from local.demo.recording import MAX_VERSION
from local.demo.timetable import FLIGHTS, Timetable


@pytest.fixture(scope="module")
def timetable() -> Timetable:
    return Timetable(60)


def test_every_flight_is_told_from_its_schedule_to_its_end(timetable: Timetable) -> None:
    """A flight goes on the board and then departs and lands, or is cancelled; nothing else."""
    told: dict[int, list[str]] = defaultdict(list)
    for change in timetable.changes:
        if change.table == FLIGHTS:
            told[change.row].append(change.item["status"])
    ways = Counter(tuple(statuses) for statuses in told.values())

    assert ways == {
        ("scheduled", "departed", "landed"): 1_674,
        ("scheduled", "cancelled"): 869,
        ("scheduled", "departed"): 3,
    }


def test_a_row_version_counts_its_changes(timetable: Timetable) -> None:
    """Versions of a row go up by one in the order of time, and fit in a recorded byte."""
    versions: Counter[int] = Counter()
    for change in timetable.changes:
        versions[change.row] += 1
        assert change.version == versions[change.row] == change.item["version"]

    assert max(versions.values()) <= MAX_VERSION
    assert len(versions) == len(timetable.rows)


def test_changes_are_due_in_order_and_within_the_run(timetable: Timetable) -> None:
    """The run replays all changes in their own order, and never faster than the machine can follow."""
    moments = [change.at for change in timetable.changes]
    clocks = [change.clock for change in timetable.changes]

    assert moments == sorted(moments)
    assert clocks == sorted(clocks)
    assert 0 <= moments[0] < moments[-1] <= timetable.seconds
    assert max(Counter(map(int, moments)).values()) < 1.5 * len(moments) / timetable.seconds


def test_an_airline_tells_all_its_cancellations(timetable: Timetable) -> None:
    """The airlines' last tallies add up to the cancelled flights."""
    last = {
        change.row: change.item["cancelled"] for change in timetable.changes if "cancelled" in change.item
    }

    assert sum(last.values()) == 869


def test_keys_show_every_row(timetable: Timetable) -> None:
    """Each flight has a key of its own and one page; a page shows its flights and exactly their airlines."""
    on_pages = Counter(row for key in timetable.keys if key.kind == "board" for row in key.rows)
    for row, name in enumerate(timetable.rows):
        key = timetable.keys[timetable.watched_key(row)]

        assert (key.name, key.rows) == (name, (row,))
        assert timetable.is_airline(row) or on_pages[row] == 1
    assert len({(key.kind, key.name) for key in timetable.keys}) == len(timetable.keys)


def test_every_process_computes_the_same(timetable: Timetable) -> None:
    """Numbers mean the same in every process, since the list depends on the files alone."""
    other = Timetable(60)

    assert other.changes == timetable.changes
    assert other.keys == timetable.keys


def test_passengers_look_at_what_leaves_soon(timetable: Timetable) -> None:
    """Reads are skewed towards departures around the present, and differ between readers."""
    popularity = Popularity(timetable, Random(1))
    place = popularity.place(30)
    drawn = Counter(popularity.draw(place) for _ in range(5_000))
    hot = sum(count for _, count in drawn.most_common(60))

    assert hot > 2_500
    assert {timetable.keys[key].kind for key in drawn} == {"flight", "board", "airline"}
    now = f"{timetable.clock(30):%Y-%m-%d}"
    days = Counter(
        timetable.keys[key].name[4:14] for key in drawn.elements() if timetable.keys[key].kind == "flight"
    )
    assert days[now] > 0.6 * days.total()
