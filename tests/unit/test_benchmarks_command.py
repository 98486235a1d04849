"""The command: what it writes, and when it fails. The rows here are stand-ins, and no server runs."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import __main__ as command
from benchmarks import peer_figures, report
from benchmarks.figures import Figures, Result, Row
from benchmarks.processor import least_used
from benchmarks.rows import ROWS
from benchmarks.stand import BenchmarkError
from local.supervisor import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.stand import Stand

NOWHERE = "redis://127.0.0.1:1/0"

GOALS = {
    "invalidate_tag_1m_vs_set": 1.5,
    "invalidate_tag_1m_vs_1k": 1.5,
    "tagged_read_3_vs_get": 1.25,
    "tagged_read_vs_redispy_get": 0.6,
    "tagged_write_3_vs_set": 1.5,
    "bytes_per_tag_per_key": 16,
    "decorated_l1_hit_vs_lru_cache": 6,
    "cold_import_core": 2.5,
}


def row(name: str, ratio: float, goal: float, **more: Any) -> Row:
    def measure(_stand: Stand, _seconds: float) -> Figures:
        return Figures(ratio * 10, 10.0, ratio, "a note")

    return Row(name, "ours", "theirs", "µs", goal, measure, **more)


def run(rows: list[Row], tmp_path: Path, *arguments: str) -> int:
    return command.main(
        ["--no-peers", "--out", str(tmp_path), *arguments], rows, lambda _: nullcontext(NOWHERE)
    )


def test_the_goals_stand() -> None:
    """A goal that is promised is measured, and is not loosened in passing."""
    assert {each.name: each.goal for each in ROWS if each.name in GOALS} == GOALS
    assert len({each.name for each in ROWS}) == len(ROWS)


def test_the_file_has_its_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`bench.json` is `{name: {ours, reference, ratio, goal, better}}` and nothing else; `--json` prints the same."""
    assert run([row("a", 1.2, 1.5), row("b", 2.0, 1.5, better="higher")], tmp_path, "--json") == 0

    written = json.loads((tmp_path / "bench.json").read_text())
    assert written == {
        "a": {"ours": 12.0, "reference": 10.0, "ratio": 1.2, "goal": 1.5, "better": "lower"},
        "b": {"ours": 20.0, "reference": 10.0, "ratio": 2.0, "goal": 1.5, "better": "higher"},
    }
    assert json.loads(capsys.readouterr().out) == written


@pytest.mark.parametrize(
    ("each", "arguments", "status"),
    [
        (row("a", 1.5, 1.5), [], 0),
        (row("a", 1.51, 1.5), [], 1),
        (row("a", 1.51, 1.5), ["--no-fail"], 0),
        (row("a", 1.5, 1.5, better="higher"), [], 0),
        (row("a", 1.49, 1.5, better="higher"), [], 1),
    ],
)
def test_a_missed_goal_fails_the_command(
    each: Row, arguments: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 1 exactly if a goal is missed and nobody forgave it; the row is named."""
    assert run([each], tmp_path, *arguments) == status
    assert ("missed: a is" in capsys.readouterr().out) == (not Result(each, each.measure(None, 0)).met)  # type: ignore[arg-type]


def test_a_row_that_measured_something_else_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken row ends the command with status 2 and its reason, and writes no file."""

    def measure(_stand: Stand, _seconds: float) -> Figures:
        raise BenchmarkError("the reads were misses")

    assert run([row("a", 1.0, 1.0)._replace(measure=measure)], tmp_path) == 2
    assert "the reads were misses" in capsys.readouterr().out
    assert not (tmp_path / "bench.json").exists()


def test_one_row_can_be_chosen(tmp_path: Path) -> None:
    """`--only` measures the named rows and no others."""
    chosen = [row(each.name, 1.0, 2.0) for each in ROWS[:3]]

    assert run(chosen, tmp_path, "--only", ROWS[1].name) == 0
    assert list(json.loads((tmp_path / "bench.json").read_text())) == [ROWS[1].name]


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--pace", "0"], ["--pace", "fast"]])
def test_a_wrong_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped option is an error that says what is possible."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)

    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_the_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` has examples and the exit statuses."""
    with pytest.raises(SystemExit):
        command.main(["--help"])

    printed = capsys.readouterr().out
    assert "python -m benchmarks --only" in printed
    assert "exit status" in printed


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    """The file appears whole, in a folder that need not exist."""
    report.write(tmp_path / "new" / "bench.json", {"a": 1})

    assert json.loads((tmp_path / "new" / "bench.json").read_text()) == {"a": 1}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bench.json"]


def test_missing_peers_are_told_with_the_remedy(tmp_path: Path) -> None:
    """Without the peers' environment the message says how to make it, or do without."""
    with pytest.raises(peer_figures.PeersUnavailableError, match=r"make env-peers.*--no-peers"):
        peer_figures.measured(NOWHERE, 0.1, python=tmp_path / "python")


def test_our_rows_stand_beside_the_peers() -> None:
    """A row appears under the figure that was measured in the same unit, and only if it was measured."""
    results = [
        Result(row("tagged_read_3_vs_get", 1.2, 1.25), Figures(12, 10, 1.2)),
        Result(row("invalidate_tag_1m_vs_set", 1.4, 1.5), Figures(14, 10, 1.4)),
        Result(row("invalidate_tag_1m_vs_1k", 1.0, 1.5), Figures(14, 14, 1.0)),
    ]

    assert peer_figures.ours(results) == {
        "tagged_hit": {"ours": 12, "reference": 10, "ratio": 1.2},
        "invalidate_1000000": {"ours": 14, "reference": 10, "ratio": 1.4},
        "invalidate_1000": {"ours": 14, "reference": 10, "ratio": 1.4},
    }
    assert peer_figures.ours([]) == {}


def test_the_least_used_core_is_taken() -> None:
    """The core that was idle between two looks wins, whatever it did before; disks are waited for idly."""
    looks = iter(
        [
            "cpu  9 9 9 9\ncpu0 10 0 0 100 0 0 0 0\ncpu1 900 0 0 5 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0\nintr 5",
            "cpu  9 9 9 9\ncpu0 60 0 0 100 0 0 0 0\ncpu1 901 0 0 9 60 0 0 0\ncpu2 0 0 0 0 0 0 0 0\nintr 9",
        ]
    )

    assert least_used([0, 1], lambda: next(looks), lambda _: None) == 1


def test_the_peers_live_apart() -> None:
    """The peers' interpreter is that of the environment which `make env-peers` makes."""
    assert peer_figures.PYTHON.relative_to(ROOT).as_posix() == ".venvs/peers/bin/python"
