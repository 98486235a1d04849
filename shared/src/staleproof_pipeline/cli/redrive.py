"""`staleproof redrive`: applies dead letters, and what AWS gave up delivering, by the rules that hold now."""

from __future__ import annotations

import json
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from staleproof.config.secret import masked_url
from staleproof.errors import CacheError, ConfigurationError
from staleproof_pipeline.cli.kafka_option import client_options
from staleproof_pipeline.cli.printing import table
from staleproof_pipeline.redriving import opening
from staleproof_pipeline.redriving.letter_filter import NAMES
from staleproof_pipeline.redriving.step import Fate, Step, counts
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.worker.plain_observer import PlainObservability

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE, LEFT = 0, 1
"""Exit codes."""

MOST_TOLD = 100
"""Letters that are told one by one; the rest is counted."""

TOLD = (Fate.AGAIN, Fate.TRIMMED, Fate.UNREADABLE)

EXAMPLES = """\b
Examples:
  staleproof redrive --dry-run
  staleproof redrive --filter reason=malformed --filter since=2d --rate 100
  staleproof redrive --from https://sqs.eu-west-1.amazonaws.com/123456789012/undelivered --limit 10
  staleproof redrive --from s3://undelivered-batches/aws/lambda/ --clear-lost
  staleproof redrive --from letters.ndjson --filter source=kafka --filter contains=product-42 --json
  staleproof redrive --from redis://127.0.0.1:6379/0?stream=dead-letters
\b
Cache, rules and peers are set as for the functions: STALEPROOF_CACHE_URL, STALEPROOF_NAMESPACE, STALEPROOF_RULES, ...
A letter goes only after it was applied, or ignored by the rules. One that fails again stays, with another attempt
counted. Redriving twice, or months later, is harmless: what is not stale by now costs a load.
\b
Exit code 0: nothing that was wanted is left; 1: something is, or the cache or the store is away: try again later;
2: something must be mended first.
"""


@click.command("redrive", epilog=EXAMPLES)
@click.option(
    "--from",
    "address",
    default="",
    help="URL of an SQS queue, s3://BUCKET/PREFIX, redis://...?stream=KEY, or a file with a letter a line.  "
    "[default: this deployment's dead letters]",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would happen by the rules that hold now; change nothing."
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"Which letters: {', '.join(NAMES)}. All names must hold; of a name that is repeated, any value.",
)
@click.option("--limit", type=click.IntRange(1), help="Letters at most.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Letters a second at most.")
@click.option(
    "--clear-lost",
    is_flag=True,
    help="Where records cannot be read any more: clear every namespace of the rules instead.",
)
@click.option("--bootstrap", "servers", multiple=True, help="Kafka: a broker, host:port; may be repeated.")
@click.option(
    "--kafka-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kafka: JSON file of kafka-python's options, such as those of SASL and TLS.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    address: str,
    dry_run: bool,
    limit: int | None,
    as_json: bool,
    kafka_config: Path | None,
    **chosen: Any,
) -> None:
    """Apply dead letters, and batches and events that AWS gave up delivering, once their cause is gone."""
    settings = Settings.from_env()
    options = client_options(kafka_config)
    wanted = opening.Wanted(address, dry=dry_run, kafka_options=options, **chosen)
    redriver = opening.redriver(
        settings,
        wanted,
        pause=threading.Event().wait,
        observability=PlainObservability(settings.region, service="redrive"),
    )
    steps: list[Step] = []
    began = time.monotonic()
    stopped = _followed(redriver.run(limit=limit), steps)
    _tell(steps, stopped, address=address, dry_run=dry_run, as_json=as_json, seconds=time.monotonic() - began)
    if isinstance(stopped, ConfigurationError):
        raise stopped
    context.exit(LEFT if stopped or any(each.fate in TOLD for each in steps) else DONE)


def _followed(run: Iterator[Step], steps: list[Step]) -> CacheError | None:
    """Collect *steps*, and show progress where somebody looks; return what stopped it, if something did."""
    console = Console(stderr=True)
    columns = (
        TextColumn("redriving"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    shown = Progress(*columns, console=console, transient=True) if console.is_terminal else nullcontext()
    with shown as progress:
        task = progress.add_task("redriving", total=None, told="") if progress else None

        def show(told: str) -> None:
            if progress is not None and task is not None:
                progress.update(task, advance=1, told=told)

        try:
            for step in run:
                steps.append(step)
                show(f"{step.fate} {step.reason}")
        except CacheError as error:
            return error
    return None


def _tell(
    steps: list[Step],
    stopped: CacheError | None,
    *,
    address: str,
    dry_run: bool,
    as_json: bool,
    seconds: float,
) -> None:
    found = counts(steps)
    shown = [each for each in steps if each.fate is not Fate.PASSED and (dry_run or each.fate in TOLD)]
    if as_json:
        summary = {
            "from": masked_url(address).partition("?")[0] if "://" in address else address,
            "dry_run": dry_run,
            **found,
            "seconds": round(seconds, 3),
            "stopped": str(stopped) if stopped else None,
            "letters": [each.document() for each in shown[:MOST_TOLD]],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    if shown:
        headings = ("fate", "letter", "reason", "source", "rules", "what falls, or is wrong")
        rows = [
            (each.fate.value, each.name, each.reason, each.source, ", ".join(each.rules), each.told)
            for each in shown[:MOST_TOLD]
        ]
        table(headings, rows)
    if len(shown) > MOST_TOLD:
        click.echo(f"and {len(shown) - MOST_TOLD} more", err=True)
    would = "would be " if dry_run else ""
    click.echo(would + ", ".join(f"{name} {number}" for name, number in found.items()), err=True)
    if stopped is not None and not isinstance(stopped, ConfigurationError):
        click.echo(f"stopped: {stopped}", err=True)
