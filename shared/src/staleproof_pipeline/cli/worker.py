"""`staleproof worker`: applies changes of one source until it is told to stop."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ConfigurationError
from staleproof_pipeline import bootstrap
from staleproof_pipeline.cli.kafka_option import client_options
from staleproof_pipeline.consuming.deferral_feed import DeferralFeed
from staleproof_pipeline.observability import Observability
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.worker.health import HealthServer
from staleproof_pipeline.worker.plain_observer import PlainObservability
from staleproof_pipeline.worker.process import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof_pipeline.bootstrap import Pipeline
    from staleproof_pipeline.consuming.feed import Feed

SOURCES = ("redis-stream", "kafka", "dynamodb-streams")
HEALTH = "127.0.0.1:8787"
SERVICE = "worker"

EXAMPLES = """\b
Examples:
  staleproof worker --source redis-stream --stream changes
  staleproof worker --source kafka --bootstrap broker:9092 --topic shop.public.product --json
  staleproof worker --source kafka --bootstrap broker:9094 --topic changes --kafka-config kafka.json
  staleproof worker --source dynamodb-streams --table Flights --from latest
  staleproof worker --source redis-stream --until-idle --health none
\b
Cache, rules, dead-letter queue and peers are set as for the functions: STALEPROOF_CACHE_URL, STALEPROOF_NAMESPACE,
STALEPROOF_RULES, STALEPROOF_DEAD_LETTER_QUEUE_URL, STALEPROOF_PEERS, STALEPROOF_BUS. Start as many workers as you
like under one --group: entries, partitions or shards are shared among them.
\b
SIGTERM finishes the batch, acknowledges it and leaves the group; nothing is lost by SIGKILL either.
Exit code 0: it was stopped, or --until-idle found nothing more; 1: the source or the cache refused; 2: something is
configured wrongly.
"""


class Choice(NamedTuple):
    """What the command line says of the source."""

    source: str
    topics: tuple[str, ...]
    servers: tuple[str, ...]
    kafka_config: Path | None
    table: str | None
    stream_arn: str | None
    consumer: str
    latest: bool
    batch: int
    lease: float
    deliveries: int


@click.command("worker", epilog=EXAMPLES)
@click.option("--source", required=True, type=click.Choice(SOURCES), help="Where changes come from.")
@click.option("--group", help="Consumer group; as STALEPROOF_STREAM_GROUP names it.")
@click.option(
    "--consumer", default="", help="This worker's name, which no other has.  [default: host, pid, nonce]"
)
@click.option(
    "--from",
    "start",
    type=click.Choice(["earliest", "latest"]),
    default="earliest",
    show_default=True,
    help="Where a group begins that has never read.",
)
@click.option("--stream", help="redis-stream: key of the stream; as STALEPROOF_STREAM names it.")
@click.option("--stream-url", help="redis-stream: its server; as STALEPROOF_STREAM_URL names it.")
@click.option(
    "--deliveries",
    default=5,
    show_default=True,
    type=click.IntRange(3),
    help="redis-stream: deliveries without an answer before the dead letter.",
)
@click.option("--topic", "topics", multiple=True, help="kafka: a topic; may be repeated.")
@click.option("--bootstrap", "servers", multiple=True, help="kafka: a broker, host:port; may be repeated.")
@click.option(
    "--kafka-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="kafka: JSON file of kafka-python's options, such as those of SASL and TLS.",
)
@click.option("--table", help="dynamodb-streams: the table whose latest stream is read.")
@click.option("--stream-arn", help="dynamodb-streams: the stream.")
@click.option(
    "--lease",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.5, 3_600),
    help="dynamodb-streams: seconds after which a dead worker's shards are taken over.",
)
@click.option(
    "--batch", default=500, show_default=True, type=click.IntRange(1, 10_000), help="Records at once."
)
@click.option(
    "--attempts",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="How often what the cache refuses is tried before the dead letter.",
)
@click.option("--health", default=HEALTH, show_default=True, help="host:port of /live and /ready, or none.")
@click.option("--until-idle", is_flag=True, help="End when there is nothing more.")
@click.option(
    "--json", "as_json", is_flag=True, help="Log JSON lines and metrics (EMF), and print a JSON summary."
)
def command(*, group: str | None, stream: str | None, stream_url: str | None, start: str, attempts: int, health: str,
            until_idle: bool, as_json: bool, **chosen: Any) -> None:  # fmt: skip
    """Apply changes of a source until told to stop: the pipeline of the functions, as a long-lived process.

    A change is acknowledged after its invalidation is applied and journaled, never before. While the cache is away the
    worker pauses and takes nothing.
    """
    choice = Choice(latest=start == "latest", **chosen)
    _check(choice)
    settings = Settings.from_env(given={"stream_group": group, "stream": stream, "stream_url": stream_url})
    made: type[Observability] = Observability if as_json else PlainObservability
    observability = made(settings.region, service=SERVICE, samples=10)
    pipeline = bootstrap.pipeline(settings, observability=observability)
    stop = threading.Event()
    feed = _feed(pipeline, choice, stop.wait)
    late = DeferralFeed(bootstrap.deferral_set(settings)) if settings.deferral_set else None
    worker = Worker(pipeline, feed, flush=observability.flush, attempts=attempts, stop=stop, late=late)
    with worker.signals(), _listening(health, worker) as server:
        where = f", health at http://{server.address}" if server is not None else ""
        _tell(observability, f"worker of {choice.source}, group {settings.stream_group!r}{where}")
        done = worker.run(until_idle=until_idle)
    summary = done._asdict()
    click.echo(json.dumps(summary) if as_json else ", ".join(f"{each} {summary[each]}" for each in summary))


def _check(choice: Choice) -> None:
    needed: dict[str, dict[str, Any]] = {
        "kafka": {"--topic": choice.topics, "--bootstrap": choice.servers},
        "dynamodb-streams": {"--table or --stream-arn": choice.table or choice.stream_arn},
    }
    for option, given in needed.get(choice.source, {}).items():
        if not given:
            raise click.UsageError(f"--source {choice.source} needs {option}")
    foreign: dict[str, dict[str, Any]] = {
        "kafka": {
            "--topic": choice.topics,
            "--bootstrap": choice.servers,
            "--kafka-config": choice.kafka_config,
        },
        "dynamodb-streams": {"--table": choice.table, "--stream-arn": choice.stream_arn},
    }
    for source, options in foreign.items():
        for option, given in options.items():
            if given and source != choice.source:
                raise click.UsageError(
                    f"{option} is of --source {source}, not of {choice.source}; leave it out"
                )
    if choice.table and choice.stream_arn:
        raise click.UsageError("give one of --table and --stream-arn")


def _feed(pipeline: Pipeline, choice: Choice, pause: Callable[[float], object]) -> Feed:
    from staleproof_pipeline.consuming import opening  # noqa: PLC0415 - after the command line was read

    settings = pipeline.settings
    common: dict[str, Any] = {"count": choice.batch, "latest": choice.latest}
    if choice.source == "kafka":
        options = client_options(choice.kafka_config)
        named: dict[str, Any] = {"servers": choice.servers, "topics": choice.topics, "options": options}
        return opening.kafka_feed(settings, SYSTEM_CLOCK, reading=pipeline.reading, **named, **common)
    if choice.source == "dynamodb-streams":
        client = bootstrap.client("dynamodbstreams", settings.region)
        arn = choice.stream_arn or _latest_stream(settings, str(choice.table))
        return opening.dynamodb_feed(
            settings,
            SYSTEM_CLOCK,
            client=client,
            stream_arn=arn,
            pause=pause,
            lease=choice.lease,
            consumer=choice.consumer,
            **common,
        )
    return opening.stream_feed(
        settings, SYSTEM_CLOCK, consumer=choice.consumer, deliveries=choice.deliveries, **common
    )


def _latest_stream(settings: Settings, table: str) -> str:
    from staleproof.aws.clients import translated  # noqa: PLC0415

    with translated(f"table {table}"):
        described = bootstrap.client("dynamodb", settings.region).describe_table(TableName=table)
    arn = described["Table"].get("LatestStreamArn")
    if not arn:
        raise ConfigurationError(f"--table {table}: it has no stream; enable one with NEW_AND_OLD_IMAGES")
    return str(arn)


def _listening(health: str, worker: Worker) -> Any:
    if health == "none":
        return nullcontext()
    host, _, port = health.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigurationError(f"--health {health!r}: write host:port, such as {HEALTH}, or none")
    try:
        return HealthServer(worker.health, host, int(port))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"--health {health}: {error}; name another port, or none") from error


def _tell(observability: Observability, text: str) -> None:
    if isinstance(observability, PlainObservability):
        observability.tell(text)
    else:
        observability.logger.info(text)
