"""Two regions on this machine, until Ctrl-C.

`python -m local up` has the departures' tables and rules; `--help` says how to bring others.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError
from rich.console import Console
from rich.table import Table

from local.regions import REGIONS, Handlers, TwoRegions
from local.resources import DEAD_LETTER_QUEUE, UNDELIVERED_QUEUE
from local.supervisor import ROOT, SupervisorError
from staleproof import ConfigurationError
from staleproof.keys import Keyspace
from staleproof_pipeline.rules.loader import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

EXAMPLE = ROOT / "examples" / "departures"
EPILOG = """\
Each region has a Valkey server, an event bus and the deployed functions; the first region has the tables. One
emulator serves the AWS APIs of all of them. Point a client at it with the printed endpoint:

    aws --endpoint-url http://127.0.0.1:PORT --region eu-west-1 dynamodb list-tables

Everything listens on 127.0.0.1 only, and is gone after Ctrl-C.

exit status: 130 ended by Ctrl-C; 2 an argument cannot be used; 1 a server did not start.
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


class UsageError(ValueError):
    """An argument cannot be used; the text names it, its value and what would do."""


def tables(path: Path) -> list[dict[str, Any]]:
    """Return the tables that a file describes.

    Raises:
        UsageError: it cannot be read as JSON with a `TableName` in each object.
    """
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"--table {path}: {error}") from error
    found = read if isinstance(read, list) else [read]
    if not all(isinstance(each, dict) and "TableName" in each for each in found):
        raise UsageError(
            f"--table {path}: must be an object with the arguments of CreateTable, or a list of such"
        )
    return found


def rules(path: Path) -> Path:
    """Return *path*, absolute.

    Raises:
        UsageError: there is no such file, or no rules in it.
    """
    if not path.is_file():
        raise UsageError(f"--rules {path}: there is no such file")
    try:
        load(path)
    except ConfigurationError as error:
        raise UsageError(f"--rules {error}") from error
    return path.resolve()


def namespace(name: str) -> str:
    """Return *name*.

    Raises:
        UsageError: it is none that a cache can have.
    """
    try:
        return Keyspace(name).namespace
    except ConfigurationError as error:
        raise UsageError(f"--namespace: {error}") from error


def regions(names: str) -> list[str]:
    """Return the regions' names, given with commas between them.

    Raises:
        UsageError: one is no region's name, or is given twice.
    """
    found = names.split(",")
    for name in found:
        if not re.fullmatch(r"[a-z0-9-]+", name):
            raise UsageError(f"--regions {names}: {name!r} must be of a-z, 0-9 and '-', such as eu-west-1")
        if found.count(name) > 1:
            raise UsageError(f"--regions {names}: {name!r} is there twice; regions have different names")
    return found


def chosen(arguments: argparse.Namespace) -> TwoRegions:
    """Return the stack that the arguments describe; nothing runs yet.

    Raises:
        UsageError: it cannot be had.
    """
    return TwoRegions(
        tables=[table for path in arguments.table or [EXAMPLE / "tables.json"] for table in tables(path)],
        namespace=namespace(arguments.namespace),
        rules=rules(arguments.rules),
        regions=regions(arguments.regions),
        handlers=Handlers("", "", "") if arguments.no_functions else Handlers(),
    )


def up(arguments: argparse.Namespace) -> None:
    """Start the regions, say where they are, and wait for Ctrl-C or SIGTERM."""
    with chosen(arguments) as stack:
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
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (ClientError, ParamValidationError) as error:  # a table that cannot be made
        print(f"could not start: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (SupervisorError, TimeoutError) as error:
        print(f"could not start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
