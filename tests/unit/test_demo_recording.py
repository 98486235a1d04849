"""Recorded reads, and what processes share while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from local.demo.blackboard import COMPARING, COUNTERS, RUNNING, WAITING, Blackboard
from local.demo.recording import Read, Recorder, read_records

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TIMES = st.integers(0, 2**62)
READS = st.builds(
    Read,
    TIMES,
    TIMES,
    st.integers(0, 2**16 - 1),
    st.integers(0, 2),
    st.integers(0, 2),
    st.binary(max_size=48),
)


@given(reads=st.lists(READS, max_size=20), cut=st.integers(0, 60))
def test_what_is_recorded_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, reads: list[Read], cut: int
) -> None:
    """A file holds every read in order; a record that a killed process cut off is left out, alone."""
    path = tmp_path_factory.mktemp("reads") / "reads"
    recorder = Recorder(path)
    for read in reads:
        recorder.add(*read)
    recorder.close()

    assert list(read_records(path)) == reads

    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    survived = list(read_records(path))

    assert survived == reads[: len(survived)]


def test_two_processes_see_one_blackboard(tmp_path: Path) -> None:
    """What one mapping of the file writes, another reads: phase, changes and counters, each in its place."""
    ours = Blackboard.create(tmp_path / "blackboard", changes=3, readers=2)
    theirs = Blackboard(tmp_path / "blackboard", changes=3, readers=2)

    assert theirs.phase == WAITING

    ours.begin(42)
    theirs.started[2], theirs.done[0] = 7, 8
    theirs.counters(1)[COUNTERS.index("traffic")] = 5
    theirs.counters(0)[COUNTERS.index("traffic")] = 6

    assert (theirs.phase, theirs.began) == (RUNNING, 42)
    assert (list(ours.started), list(ours.done)) == ([0, 0, 7], [8, 0, 0])
    assert (ours.count("traffic", 1), ours.total("traffic"), ours.total("errors")) == (5, 11, 0)

    ours.compare()

    assert theirs.phase == COMPARING
