"""Two regions on this machine, until Ctrl-C.

python -m local up [--table TABLE.json] [--rules RULES.yaml] [--namespace NAME] [--json]
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
from local.supervisor import SupervisorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

EXAMPLE_TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}
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
    up.add_argument("--table", type=Path, action="append", default=[], metavar="FILE",
                    help="CreateTable arguments as JSON; may be repeated (default: a table 'items')")  # fmt: skip
    up.add_argument(
        "--rules", type=Path, metavar="FILE", help="the rules file, YAML, that turns changes into tags"
    )
    up.add_argument("--namespace", default="local", help="of the caches (default: %(default)s)")
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
    for column in ("region", "cache", "bus", "dead letters", "tables"):
        table.add_column(column, overflow="fold")
    for name, region in stack.regions.items():
        tables = ", ".join(stack.stream_arns) if region is stack.home else ""
        table.add_row(name, region.valkey.url, region.bus, region.dead_letter_queue_url, tables)
    table.caption = f"logs in {stack.supervisor.directory}/logs · Ctrl-C ends it all"
    return table


def tables(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the tables to make.

    Raises:
        SystemExit: a file cannot be read as JSON with a `TableName`.
    """
    read = []
    for path in files:
        try:
            read.append(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise SystemExit(f"--table {path}: {error}") from error
        if not isinstance(read[-1], dict) or "TableName" not in read[-1]:
            raise SystemExit(f"--table {path}: must be an object with the arguments of CreateTable")
    return read or [EXAMPLE_TABLE]


def up(arguments: argparse.Namespace) -> None:
    """Start the regions, say where they are, and wait for Ctrl-C or SIGTERM."""
    stack = TwoRegions(
        tables=tables(arguments.table),
        namespace=arguments.namespace,
        rules=arguments.rules.resolve() if arguments.rules else None,
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
