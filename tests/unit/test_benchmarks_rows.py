"""Every row runs against a real server, briefly: what it claims to measure is there, whatever its figures say here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import crowd
from benchmarks.rows import ROWS
from benchmarks.stand import BenchmarkError, Stand
from local.supervisor import Supervisor
from local.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Row

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server that nobody else asks anything: round trips are counted on it."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-bench-tests")
        server.start()
        made = Stand(server.url)
        yield made
        made.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_measures(row: Row, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives positive figures; two thousand entries stand for the million here."""
    monkeypatch.setattr(crowd, "MANY", 2_000)
    found = row.measure(stand, 0.02)

    assert min(found.ours, found.reference, found.ratio) > 0


def test_a_plain_command_is_one_round_trip(stand: Stand) -> None:
    """Round trips are counted by the server: one for a command or a pipeline, none for nothing."""
    assert stand.round_trips(lambda: None) == 0
    assert stand.round_trips(lambda: stand.send(("PING",))) == 1
    assert stand.round_trips(lambda: stand.send(("PING",), ("PING",))) == 1
    assert stand.round_trips(lambda: [stand.send(("PING",)) for _ in range(3)]) == 3


def test_a_tag_costs_at_most_sixteen_bytes(stand: Stand) -> None:
    """The one row whose figure no noise can move: an entry grows by less than 16 bytes with each tag."""
    (row,) = [row for row in ROWS if row.name == "bytes_per_tag_per_key"]

    assert row.measure(stand, 0).ratio <= row.goal


def test_a_crowd_that_does_not_carry_the_tag_is_found_out(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalidation that leaves the crowd alive, or a crowd that was never alive, is no measurement."""
    members = crowd.Crowd(stand, 300)
    with pytest.raises(BenchmarkError, match="0 were hits"):
        members.check()

    members.fill()
    monkeypatch.setattr(members, "invalidate", lambda: None)
    with pytest.raises(BenchmarkError, match=r"200 were hits, and 200 after"):
        members.check()
