"""From recorded files to figures, the verdict and the page, over a made-up run of the real timetable."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from local.demo.__main__ import main, write
from local.demo.journals import GRACE_NS, Applied, acknowledged, wall_ahead
from local.demo.judge import RowVersion, Write
from local.demo.outcome import History, Outcome, distribution, shortcomings
from local.demo.page import render
from local.demo.recording import FINAL, LOADED, NEAR, SERVER, TRAFFIC, Recorder
from local.demo.story import tell
from local.demo.timetable import Timetable
from staleproof.events import Cause, Invalidation

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
BEGAN = 5_000 * MS
REGIONS = {"eu-west-1": 20 * MS, "us-east-1": 45 * MS}
"""How long each takes to acknowledge a change."""
FIELDS = {
    "dataset", "changes", "reads", "hit_ratio", "stale_reads_after_ack", "invalidation_lag_ms", "replication_lag_ms",
    "lost_changes", "diverged_keys", "l1_max_staleness_ms", "wall_s",
}  # fmt: skip


class Run:
    """A run in which everything went well, until a test spoils it."""

    def __init__(self, folder: Path) -> None:
        self.timetable = Timetable(10)
        self.writes = [
            Write(change.row, change.version, at, at + MS)
            for change in self.timetable.changes
            for at in [BEGAN + round(change.at * 1e9)]
        ]
        self.applied = {
            region: {(each.row, each.version): self._applied(each, delay) for each in self.writes}
            for region, delay in REGIONS.items()
        }
        self.truth = {write.row: write.version for write in self.writes}
        self.end = self.writes[-1].start + 1_000 * MS
        self.paths = {region: [folder / f"reader-{n}.reads"] for n, region in enumerate(REGIONS)}
        for region in REGIONS:
            self.compare(region)

    def _applied(self, write: Write, delay: int) -> Applied:
        cause = Cause(source="dynamodb:Flights", rules=("flight-changed",), operation="modify")
        name = self.timetable.rows[write.row]
        record = Invalidation(
            id="1", origin="eu-west-1", namespace="departures", tags=(f"flight:{name}",), cause=cause
        )
        return Applied(write.start + delay, record)

    def compare(self, region: str) -> None:
        """Let the region's reader look at everything once."""
        recorder = Recorder(self.paths[region][0])
        for number, key in enumerate(self.timetable.keys):
            versions = bytes(self.truth[row] for row in key.rows)
            recorder.add(self.end, self.end + MS, number, SERVER, FINAL, versions)
        recorder.close()

    def read(self, region: str, start: int, versions: bytes, key: int = 0, source: int = SERVER) -> None:
        """Let a passenger read; the record must be in the order of time, so it is put first."""
        path = self.paths[region][0]
        rest = path.read_bytes()
        path.write_bytes(b"")
        recorder = Recorder(path)
        recorder.add(start, start + MS, key, source, TRAFFIC, versions)
        recorder.close()
        path.write_bytes(path.read_bytes() + rest)

    def outcome(self) -> Outcome:
        """Judge it."""
        times: dict[str, dict[RowVersion, int]] = {
            region: {change: each.acknowledged for change, each in records.items()}
            for region, records in self.applied.items()
        }
        return Outcome(
            History(
                self.timetable, BEGAN, self.writes, times, self.paths, self.truth, bound_ms=100.0, wall_s=12.3
            )
        )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def departure(run: Run) -> Write:
    """Return the write of the first flight's second version."""
    return next(write for write in run.writes if (write.row, write.version) == (0, 2))


def test_a_good_run_proves_itself(run: Run) -> None:
    """With nothing stale, lost or diverged, the only possible complaints are about too few reads."""
    report = run.outcome().report()

    assert set(report).issuperset(FIELDS)
    assert report["changes"] == len(run.timetable.changes)
    assert (report["stale_reads_after_ack"], report["lost_changes"], report["diverged_keys"]) == (0, 0, 0)
    assert report["replication_lag_ms"] == {"p50": 25.0, "p99": 25.0, "max": 25.0}
    assert (report["never_fresh"], report["failed_reads"], report["traffic"]) == (0, 0, 0)
    assert shortcomings(report) == [
        "no passenger read anything",
        f"{report['reads']} reads are too few to say anything: at least 50000",
    ]
    assert shortcomings({**report, "reads": 50_000, "traffic": 1}) == []


def test_a_stale_read_fails_the_run(run: Run) -> None:
    """One old answer after the acknowledgement is enough, in either region."""
    late = departure(run).start + REGIONS["us-east-1"] + 1
    run.read("us-east-1", late, bytes([1]))
    report = run.outcome().report()

    assert report["stale_reads_after_ack"] == 1
    assert shortcomings({**report, "reads": 50_000}) == ["1 reads were stale after the acknowledgement"]


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("stale_reads_after_ack", "3 reads were stale"),
        ("lost_changes", "3 changes were never acknowledged"),
        ("never_fresh", "3 changes were never read"),
        ("diverged_keys", "3 keys differ"),
        ("failed_reads", "3 reads failed"),
    ],
)
def test_every_fault_fails_the_run(run: Run, figure: str, words: str) -> None:
    """Each figure that must be zero is a shortcoming by itself."""
    good = {**run.outcome().report(), "reads": 50_000, "traffic": 1}
    (found,) = shortcomings({**good, figure: 3})

    assert found.startswith(words)


def test_failed_reads_are_reported(run: Run) -> None:
    """What readers counted as failed is in the report."""
    outcome = run.outcome()
    outcome.history = outcome.history._replace(errors=2)

    assert outcome.report()["failed_reads"] == 2


def test_a_change_that_nobody_read_fails_the_run(run: Run) -> None:
    """A change which no read showed has no lag, and its freshness is not proven."""
    run.paths["us-east-1"][0].write_bytes(b"")
    report = run.outcome().report()

    assert report["never_fresh"] == report["changes"]
    assert f"{report['changes']} changes were never read in some region" in shortcomings(report)


def test_an_old_near_copy_is_measured(run: Run) -> None:
    """Within its bound it is no fault, and its age is reported."""
    late = departure(run).start + REGIONS["eu-west-1"] + 70 * MS
    run.read("eu-west-1", late, bytes([1]), source=NEAR)
    report = run.outcome().report()

    assert (report["stale_reads_after_ack"], report["l1_max_staleness_ms"]) == (0, 70.0)
    assert report["hit_ratio"] == 1.0


def test_a_lost_change_fails_the_run(run: Run) -> None:
    """A change that one region never acknowledged is lost, once."""
    del run.applied["us-east-1"][0, 2]
    report = run.outcome().report()

    assert report["lost_changes"] == 1
    assert "1 changes were never acknowledged in some region" in shortcomings(report)


def test_a_diverged_key_fails_the_run(run: Run) -> None:
    """A key that differs from the tables at the end is counted once for each key, not for each reader."""
    run.truth[0] += 1
    report = run.outcome().report()

    assert report["diverged_keys"] == 2  # the flight, and the page that shows it
    assert "2 keys differ from the tables at the end" in shortcomings(report)


def test_an_unread_key_fails_the_run(run: Run) -> None:
    """A reader that died before it had compared everything proves nothing about the rest."""
    run.paths["us-east-1"][0].write_bytes(b"")

    assert run.outcome().report()["diverged_keys"] == len(run.timetable.keys)


def test_loads_count_against_the_hit_ratio(run: Run) -> None:
    """The ratio is that of passengers' reads alone, not of watching or comparing."""
    for source in (NEAR, SERVER, LOADED, LOADED):
        run.read("eu-west-1", BEGAN, bytes([0]), source=source)

    assert run.outcome().report()["hit_ratio"] == 0.5


def test_the_page_needs_nothing_else(run: Run, tmp_path: Path) -> None:
    """The page is one file: every slot filled, no reference to anything outside, both regions and the flight shown."""
    outcome = run.outcome()
    story = tell(run.timetable, run.writes, run.applied, outcome.judges)
    report = write(outcome, story, tmp_path / "build")
    page = (tmp_path / "build" / "demo.html").read_text()

    assert json.loads((tmp_path / "build" / "demo.json").read_text()) == report
    assert not re.search(r"\{\{|https?://|url\(|<script|<link|@import", page)
    assert page.count("<svg") == 2 + 3
    assert story is not None
    assert all(words in page for words in (*REGIONS, story.flight_id, "flight-changed", "late"))


def test_the_page_says_what_failed(run: Run) -> None:
    """A failed run does not look like a good one."""
    run.truth[0] += 1

    assert 'class="verdict bad"' in render(run.outcome(), None)


def test_quantiles_are_values_that_occurred() -> None:
    """p50 and p99 are nearest ranks; nothing measured is all zeros."""
    assert distribution([]) == {"p50": 0.0, "p99": 0.0, "max": 0.0}
    assert distribution([n * MS for n in range(1, 101)]) == {"p50": 50.0, "p99": 99.0, "max": 100.0}


def test_acknowledged_is_when_it_was_seen_unless_we_were_late() -> None:
    """A slow follower must not excuse a reader: then the server's own stamp counts, with its grace."""
    ahead = 1_699_999_998_000 * MS + 900

    assert acknowledged(b"1700000000000-3", seen=2_000 * MS, ahead=ahead) == 2_000 * MS
    assert acknowledged(b"1699999999000-0", seen=2_000 * MS, ahead=ahead) == 1_000 * MS - 900 + GRACE_NS


def test_the_clocks_are_compared_closely() -> None:
    """The wall clock's lead, added to the monotonic clock, is the wall clock."""
    ahead = wall_ahead()

    assert abs(time.time_ns() - time.monotonic_ns() - ahead) < 1_000 * MS


@pytest.mark.parametrize("blocked", ["folder", "folder/build", "build"])
def test_a_report_that_cannot_be_written_is_known_at_once(
    tmp_path: Path, blocked: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unusable folder ends the command before anything runs, in one line that names it."""
    monkeypatch.setattr("local.demo.__main__.demonstrate", lambda *_: pytest.fail("it ran"))
    (tmp_path / "folder").write_text("a file")
    (tmp_path / "build" / "demo.html").mkdir(parents=True)

    assert main(["--output", str(tmp_path / blocked)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--output {tmp_path / blocked}: ")


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` has examples and exit statuses; a value out of range names itself and the range."""
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert "examples:" in told
    assert "exit status" in told

    with pytest.raises(SystemExit):
        main(["--seconds", "1"])
    assert "1 is not between 10 and 3600" in capsys.readouterr().err
