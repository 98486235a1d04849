"""Measure the hot paths, each as a ratio to a reference measured in the same moments, and beside other caches."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks import peer_figures, report
from benchmarks.figures import Result
from benchmarks.processor import one_core
from benchmarks.rows import ROWS
from benchmarks.stand import BenchmarkError, Stand
from local.supervisor import ROOT, Supervisor, SupervisorError
from local.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from benchmarks.figures import Row

    Server: TypeAlias = Callable[[str], AbstractContextManager[str]]

EPILOG = """\
examples:
  python -m benchmarks                                 every row, and the peers: about a minute and a half
  python -m benchmarks --only tagged_read_3_vs_get     one row; may be repeated; no peers
  python -m benchmarks --pace 3 --no-peers             three times as long a row, for a quieter figure
  python -m benchmarks --json --no-fail                print bench.json, and succeed whatever it says

exit status: 0 every goal is met (or --no-fail); 1 one is missed; 2 something could not be measured; 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [row.name for row in ROWS]
    made.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"measure one row: {', '.join(names)}"
    )
    made.add_argument("--no-peers", action="store_true", help="leave the other caches out")
    made.add_argument("--no-fail", action="store_true", help="succeed even if a goal is missed")
    made.add_argument("--json", action="store_true", help="print bench.json, nothing else")
    made.add_argument(
        "--pace",
        type=_pace,
        default=1.0,
        help="times the usual measuring time, 0.05 to 50 (default: %(default)g)",
    )
    made.add_argument(
        "--out", type=Path, default=ROOT / "build", help="where the files go (default: build)", metavar="DIR"
    )
    return made


def _pace(text: str) -> float:
    pace = float(text)
    if not 0.05 <= pace <= 50:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.05 and 50")
    return pace


@contextmanager
def server(name: str) -> Iterator[str]:
    """Run a server for the block, and give its address."""
    with Supervisor() as owner:
        valkey = Valkey(owner, name)
        valkey.start()
        yield valkey.url


def main(arguments: Sequence[str] | None = None, rows: Sequence[Row] = ROWS, serve: Server = server) -> int:
    """Run the command and return its exit status.

    Args:
        arguments: the command line, `sys.argv` by default.
        rows: what is measured.
        serve: runs a server of that name for a block, and gives its address.
    """
    options = parser().parse_args(arguments)
    chosen = [row for row in rows if not options.only or row.name in options.only]
    console = Console(stderr=options.json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with one_core():
            results = measured(chosen, options.pace, console, serve)
            report.write(options.out / "bench.json", report.as_json(results))
            console.print(report.table(results))
            if not (options.no_peers or options.only):
                beside_peers(results, options, console, serve)
    except (BenchmarkError, SupervisorError, peer_figures.PeersUnavailableError) as error:
        console.print(f"[red]{error}[/]")
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(results), indent=2) + "\n")
    return verdict(results, console, forgiving=options.no_fail)


def measured(rows: Sequence[Row], pace: float, console: Console, serve: Server) -> list[Result]:
    """Measure *rows* one after the other on a new server."""
    results = []
    with serve("valkey-bench") as url, console.status("") as status:
        stand = Stand(url)
        for row in rows:
            status.update(f"{row.name}: {row.ours} ÷ {row.reference}")
            results.append(Result(row, row.measure(stand, row.seconds * pace)))
        stand.close()
    return results


def beside_peers(
    results: Sequence[Result], options: argparse.Namespace, console: Console, serve: Server
) -> None:
    """Measure the peers, write `bench-peers.json` and print the table."""
    with serve("valkey-peers") as url, console.status("other caches") as status:
        peers = peer_figures.measured(
            url, options.pace * 1.5, told=lambda name: status.update(f"other caches: {name} is done")
        )
    own = peer_figures.ours(results)
    content: dict[str, Any] = {"staleproof": own, **peers}
    report.write(options.out / "bench-peers.json", content)
    console.print(report.peer_table(own, peers))


def verdict(results: Sequence[Result], console: Console, *, forgiving: bool) -> int:
    """Say which goals were missed, and return the exit status."""
    missed = [result for result in results if not result.met]
    for result in missed:
        console.print(
            f"[red]missed:[/] {result.row.name} is {result.figures.ratio:.2f}, goal {result.row.goal:g}"
        )
    return 0 if forgiving or not missed else 1


if __name__ == "__main__":
    sys.exit(main())
