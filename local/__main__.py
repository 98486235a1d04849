"""Two regions on this machine, until Ctrl-C.

`python -m local up` has the departures' tables and rules; `--help` says how to bring others.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from local.regions import REGIONS, Handlers, TwoRegions
from local.resources import DEAD_LETTER_QUEUE, UNDELIVERED_QUEUE
from local.supervisor import ROOT, SupervisorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

EXAMPLE = ROOT / "examples" / "departures"
EPILOG = """\
Each region has a Valkey server, an event bus and the deployed functions; the first region has the tables. One
emulator serves the AWS APIs of all of them. Point a client at it with the printed endpoint:

    aws --endpoint-url http://127.0.0.1:PORT --region eu-west-1 dynamodb list-tables

Everything listens on 127.0.0.1 only, and is gone after Ctrl-C.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    commands = argparse.ArgumentParser(
        prog="python -m local", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    up = commands.add_subparsers(dest="command", required=True).add_parser(
        "up",
        help="start two regions and keep them until Ctrl-C",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    up.add_argument(
        "--table", type=Path, action="append", metavar="FILE",
        help="CreateTable arguments as JSON, one object or a list; may be repeated (default: the departures' tables)",
    )  # fmt: skip
    up.add_argument(
        "--rules", type=Path, metavar="FILE", default=EXAMPLE / "rules.yaml",
        help="the rules that turn changes into tags, YAML (default: the departures' rules)",
    )  # fmt: skip
    up.add_argument("--namespace", default="departures", help="of the caches (default: %(default)s)")
    up.add_argument(
        "--regions", default=",".join(REGIONS), metavar="A,B", help="names (default: %(default)s)"
    )
    up.add_argument(
        "--no-functions", action="store_true", help="servers only: no function reacts to anything"
    )
    up.add_argument("--json", action="store_true", help="print the endpoints as one line of JSON")
    return commands


def described(stack: TwoRegions) -> dict[str, Any]:
    """Return where everything is."""
    return {
        "endpoint": stack.emulator.endpoint,
        "directory": str(stack.supervisor.directory),
        "streams": stack.stream_arns,
        "regions": {
            name: {
                "cache_url": region.valkey.url,
                "bus": region.bus,
                "dead_letter_queue_url": region.dead_letter_queue_url,
                "undelivered_queue_url": region.undelivered_queue_url,
            }
            for name, region in stack.regions.items()
        },
    }


def shown(stack: TwoRegions) -> Table:
    """Return where everything is, for people."""
    table = Table(title=f"AWS APIs of every region at {stack.emulator.endpoint}", title_justify="left")
    for column in ("region", "cache", "bus", "tables"):
        table.add_column(column, no_wrap=column != "tables")
    for name, region in stack.regions.items():
        tables = ", ".join(stack.stream_arns) if region is stack.home else ""
        table.add_row(name, region.valkey.url, region.bus, tables)
    table.caption = (
        f"what is given up lies in the queues {DEAD_LETTER_QUEUE} and {UNDELIVERED_QUEUE} of its region\n"
        f"logs: {stack.supervisor.directory}/logs\nCtrl-C ends it all"
    )
    table.caption_justify = "left"
    return table


def tables(path: Path) -> list[dict[str, Any]]:
    """Return the tables that a file describes.

    Raises:
        SystemExit: it cannot be read as JSON with a `TableName` in each object.
    """
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SystemExit(f"--table {path}: {error}") from error
    found = read if isinstance(read, list) else [read]
    if not all(isinstance(each, dict) and "TableName" in each for each in found):
        raise SystemExit(
            f"--table {path}: must be an object with the arguments of CreateTable, or a list of such"
        )
    return found


def checked(path: Path) -> Path:
    """Return *path*, absolute.

    Raises:
        SystemExit: there is no such file.
    """
    if not path.is_file():
        raise SystemExit(f"--rules {path}: there is no such file")
    return path.resolve()


def up(arguments: argparse.Namespace) -> None:
    """Start the regions, say where they are, and wait for Ctrl-C or SIGTERM."""
    stack = TwoRegions(
        tables=[table for path in arguments.table or [EXAMPLE / "tables.json"] for table in tables(path)],
        namespace=arguments.namespace,
        rules=checked(arguments.rules),
        regions=arguments.regions.split(","),
        handlers=Handlers("", "", "") if arguments.no_functions else Handlers(),
    )
    with stack:
        if arguments.json:
            print(json.dumps(described(stack)), flush=True)
        else:
            Console().print(shown(stack))
        while True:
            signal.pause()


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = parser().parse_args(words)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        up(arguments)
    except KeyboardInterrupt:
        return 130
    except (SupervisorError, TimeoutError) as error:
        print(f"could not start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
