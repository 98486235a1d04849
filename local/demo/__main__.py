"""The main job, shown and judged: a row changes, and both regions read fresh.

A blizzard's flights are written to a table in one region; a departures board reads them through its cache in two. Every
read is recorded and judged against the recorded history.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from local.demo.live import Progressing
from local.demo.outcome import Outcome, shortcomings
from local.demo.page import render
from local.demo.stage import NAMESPACE, RULES, TABLES, DemoError, Plan, Stage
from local.demo.story import tell
from local.demo.timetable import Timetable
from local.regions import TwoRegions
from local.supervisor import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from local.demo.story import Story

REPORTS = ("demo.json", "demo.html")
EPILOG = """\
examples:
  python -m local.demo                     a minute of storm; writes build/demo.json and build/demo.html
  python -m local.demo --seconds 90        a calmer replay
  python -m local.demo --readers 2         two reading processes a region
  python -m local.demo --json              print the figures as JSON, nothing else

exit status: 0 everything fresh, nothing lost; 1 a read was stale or failed, a change was lost or never read, a key
diverged, or there was too little to judge; 2 the demo could not run; 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="python -m local.demo",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--seconds",
        type=_between(10, 3_600),
        default=60.0,
        help="how long the replay takes (default: %(default)g)",
    )
    made.add_argument(
        "--readers", type=_whole(1, 16), default=3, help="reading processes a region (default: %(default)s)"
    )
    made.add_argument(
        "--rate",
        type=_between(1, 10_000),
        default=350.0,
        help="reads a second that passengers make of each process (default: %(default)g)",
    )
    made.add_argument(
        "--output", type=Path, default=Path("build"), help="folder of the report (default: %(default)s)"
    )
    made.add_argument("--json", action="store_true", help="print the figures as JSON, and no progress")
    return made


def _between(low: float, high: float) -> Any:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def _whole(low: int, high: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return number


def demonstrate(plan: Plan, console: Console) -> tuple[Outcome, Story | None]:
    """Run the demo and judge it.

    Raises:
        DemoError, SupervisorError, TimeoutError: it could not run to its end.
    """
    began = time.monotonic()
    timetable = Timetable(plan.seconds)
    console.print("starting two regions …", style="dim")
    with TwoRegions(tables=TABLES, namespace=NAMESPACE, rules=RULES) as stack:
        stage = Stage(plan, stack, timetable)
        with Progressing(console) as progress:
            stage.perform(progress)
        wall_s = time.monotonic() - began
        console.print("judging every read …", style="dim")
        applied = stage.applied()
        history = stage.history(applied, wall_s)
        outcome = Outcome(history)
        return outcome, tell(timetable, history.writes, applied, outcome.judges)


def shown(report: Mapping[str, Any]) -> Table:
    """Return the final table."""
    table = Table(title="every read, judged", title_justify="left", header_style="dim")
    for column in ("", "p50", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    lags = {
        f"write → first fresh read, {region}": lag for region, lag in report["invalidation_lag_ms"].items()
    }
    lags["first region → second region"] = report["replication_lag_ms"]
    for name, lag in lags.items():
        table.add_row(name, *(f"{lag[share]:,.1f} ms" for share in ("p50", "p99", "max")))
    table.add_section()
    facts = {
        "changes": f"{report['changes']:,}",
        "reads": f"{report['reads']:,}",
        "hit ratio": f"{report['hit_ratio']:.1%}",
        "oldest copy in a process": f"{report['l1_max_staleness_ms']:g} of {report['l1_bound_ms']:g} ms",
        "stale reads after ack": _judged(report["stale_reads_after_ack"]),
        "lost changes": _judged(report["lost_changes"]),
        "diverged keys": _judged(report["diverged_keys"]),
        "changes never read": _judged(report["never_fresh"]),
        "failed reads": _judged(report["failed_reads"]),
    }
    for name, value in facts.items():
        table.add_row(name, "", "", value)
    return table


def _judged(value: int) -> str:
    return f"[bold red]{value:,}[/]" if value else "[bold green]0[/]"


def write(outcome: Outcome, story: Story | None, folder: Path) -> dict[str, Any]:
    """Write the report as JSON and as a page; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    report = outcome.report()
    figures, page = (folder / name for name in REPORTS)
    figures.write_text(json.dumps(report, indent=2) + "\n")
    page.write_text(render(outcome, story))
    return report


def unwritable(folder: Path) -> str:
    """Make *folder*; return why the report cannot be written there, "" if it can.

    A run takes more than a minute: what is wrong with its end had better be known at its beginning.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
        for name in REPORTS:
            if (folder / name).exists():
                (folder / name).open("a").close()
    except OSError as error:
        return f"--output {folder}: {error.strerror}; name a folder that can be written"
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = parser().parse_args(words)
    if reason := unwritable(arguments.output):
        print(reason, file=sys.stderr)
        return 2
    console = Console(stderr=arguments.json, quiet=arguments.json)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        outcome, story = demonstrate(Plan(arguments.seconds, arguments.readers, arguments.rate), console)
    except KeyboardInterrupt:
        return 130
    except (DemoError, SupervisorError, TimeoutError) as error:
        print(f"the demo could not run: {error}", file=sys.stderr)
        return 2
    report = write(outcome, story, arguments.output)
    if arguments.json:
        print(json.dumps(report))
    else:
        console.print(shown(report))
        console.print(
            f"charts in {arguments.output}/demo.html, figures in {arguments.output}/demo.json", soft_wrap=True
        )
    for fault in shortcomings(report):
        print(f"NOT PROVEN: {fault}", file=sys.stderr)
    return 1 if shortcomings(report) else 0


if __name__ == "__main__":
    sys.exit(main())
