"""`staleproof publish`: says what changed, over any transport, one change from options or many from a file."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, nullcontext
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from staleproof import publishers
from staleproof.cli.publish_course import MOST_TOLD, Course
from staleproof.cli.publish_messages import Line, keys, lines, message_of, row
from staleproof.config.secret import masked_url
from staleproof.errors import EventError
from staleproof.events.change import OPERATIONS, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE, PASSING, LASTING = 0, 1, 2
"""Exit codes."""

MOST_TOGETHER = 10_000

EXAMPLES = """\b
Examples:
  staleproof publish --to eventbridge://shop --entity product --operation modify --key id=42
  staleproof publish --to kafka://127.0.0.1:9092/changes --entity product --key id=42 --new @row.json
  staleproof publish --to redis://127.0.0.1:6379/0?stream=changes --file changes.ndjson --rate 500
  staleproof publish --to null:// --file changes.ndjson --dry-run
\b
A file has a message a line: {"entity": "product", "operation": "modify", "keys": {"id": 42}} for a change,
{"tags": ["catalog"]} for an invalidation. schema, id and changed_ms are filled in where they are missing.
\b
Exit code 0: everything was taken; 1: not everything, and a later run may do; 2: something must be mended first.
Publishing twice is harmless.
"""


@click.command("publish", epilog=EXAMPLES)
@click.option(
    "--to", "url", required=True, help="Where to; eventbridge:, redis:, rediss:, kafka:, dynamodb:, null:."
)
@click.option("--entity", help="What changed: a table, or a kind of thing.")
@click.option(
    "--operation",
    default="modify",
    show_default=True,
    type=click.Choice(OPERATIONS),
    help="What was done to it.",
)
@click.option(
    "--key", "pairs", multiple=True, metavar="NAME=VALUE", help="An attribute that names the row; repeat it."
)
@click.option("--old", metavar="JSON|@FILE", help="The row before.")
@click.option("--new", metavar="JSON|@FILE", help="The row after.")
@click.option("--region", default="", help="Where it happened.")
@click.option("--trace", default="", help="Trace id.")
@click.option("--file", type=click.File("rb"), help="Messages, one a line; - for standard input.")
@click.option(
    "--skip", default=0, type=click.IntRange(0), help="Lines of the file to leave out, from its beginning."
)
@click.option(
    "--batch", default=500, show_default=True, type=click.IntRange(1, MOST_TOGETHER), help="Messages at once."
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Messages a second at most.")
@click.option(
    "--failed", type=click.File("wb", lazy=True), help="Where to write what was not taken, one a line."
)
@click.option("--dry-run", is_flag=True, help="Check and print the messages; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
@click.pass_context
def command(context: click.Context, /, *, url: str, as_json: bool, dry_run: bool, **given: Any) -> None:
    """Publish a change, or every message of a file, to the transport at --to."""
    chosen = _chosen(given)
    if dry_run:
        publishers.of(url).close()
        context.exit(_rehearsed(chosen, as_json=as_json))
    with ExitStack() as stack:
        publisher = stack.enter_context(publishers.of(url))
        course = Course(publisher, batch=given["batch"], rate=given["rate"], left=_kept(given["failed"]))
        _watched(course, chosen)
    _tell(course, url, as_json=as_json)
    context.exit(LASTING if course.lasting else PASSING if course.passing else DONE)


def _kept(file: Any) -> IO[bytes] | None:
    return None if file is None else file


def _chosen(given: dict[str, Any]) -> Iterable[Line]:
    """Return what is to be published: the file's lines, or the one change that the options tell."""
    if (given["file"] is None) == (given["entity"] is None):
        raise click.UsageError("give either --entity, for a change, or --file, for many messages")
    if given["file"] is not None:
        if given["pairs"] or given["old"] or given["new"]:
            raise click.UsageError("--key, --old and --new go with --entity; a file's lines tell their own")
        return lines(given["file"], given["skip"])
    told = {name: given[name] for name in ("entity", "operation", "region", "trace")}
    told |= {
        "keys": keys(given["pairs"]),
        "old": row(given["old"], "--old"),
        "new": row(given["new"], "--new"),
    }
    try:
        return [Line(1, message_of({"staleproof": "change", **told}))]
    except EventError as error:
        raise click.UsageError(str(error)) from error


def _rehearsed(chosen: Iterable[Line], *, as_json: bool) -> int:
    """Print every message as it would be sent, and say what is wrong with the others; return the exit code."""
    good = bad = 0
    for line in chosen:
        if line.message is None:
            bad += 1
            click.echo(f"line {line.number}: {line.error}", err=True)
            continue
        good += 1
        if not as_json:
            click.echo(encode(line.message))
    if as_json:
        click.echo(json.dumps({"dry_run": True, "messages": good, "unreadable": bad}))
    return LASTING if bad else DONE


def _watched(course: Course, chosen: Iterable[Line]) -> None:
    console = Console(stderr=True)
    columns = (
        TextColumn("publishing"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeElapsedColumn(),
    )
    shown = Progress(*columns, console=console, transient=True) if console.is_terminal else nullcontext()
    with shown as progress:
        task = progress.add_task("publishing", total=None, rate=0.0) if progress else None
        began = time.monotonic()
        for step in course.run(chosen):
            if progress is not None and task is not None:
                done = course.taken + course.failed
                progress.update(task, advance=step, rate=done / max(time.monotonic() - began, 1e-9))


def _tell(course: Course, url: str, *, as_json: bool) -> None:
    where = masked_url(url).partition("?")[0]
    rate = course.taken / course.seconds if course.seconds else 0.0
    if as_json:
        summary = {
            "to": where,
            "dry_run": False,
            "taken": course.taken,
            "failed": course.failed,
            "passing": course.passing,
            "seconds": round(course.seconds, 3),
            "rate": round(rate, 1),
            "stopped_at_line": course.stopped,
            "failures": course.told,
        }
        click.echo(json.dumps(summary, indent=2))
        return
    for each in course.told:
        click.echo(f"line {each['line']}: {each['id']} {each['error']}".replace(":  ", ": "), err=True)
    if course.failed > MOST_TOLD:
        click.echo(f"and {course.failed - MOST_TOLD} more", err=True)
    if course.stopped is not None:
        click.echo(f"nobody takes messages: stopped; go on with --skip {course.stopped - 1}", err=True)
    click.echo(f"{where}: {course.taken} taken, {course.failed} not, {course.seconds:.1f} s, {rate:.0f}/s")
