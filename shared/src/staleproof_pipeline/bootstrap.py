"""The composition root: puts the parts together. Every dependency is an argument with a default.

pipeline = bootstrap.pipeline()                       # in a function: everything from the environment
pipeline = bootstrap.pipeline(Settings(...), providers=Providers(MemoryProvider), dead_letters=..., links=[...])
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.clock import SYSTEM_CLOCK
from staleproof_pipeline import batch, dead_letter_stream, invocations, kafka_reading, live, mappings
from staleproof_pipeline import providers as namespaces
from staleproof_pipeline.aftermath import Aftermath
from staleproof_pipeline.consuming.drain import Drain
from staleproof_pipeline.consuming.gap import GapKeeper
from staleproof_pipeline.dead_letter_queue import DeadLetterQueue
from staleproof_pipeline.dead_letter_stream import DeadLetterStream
from staleproof_pipeline.deferral import DUE, DueTranslator
from staleproof_pipeline.deferral_queue import DeferralQueue
from staleproof_pipeline.deferral_set import DeferralSet
from staleproof_pipeline.invalidation import Invalidator
from staleproof_pipeline.observability import Observability
from staleproof_pipeline.purge_limit import PurgeLimit
from staleproof_pipeline.replication.eventbridge_link import EventBridgeLink
from staleproof_pipeline.replication.follow import Followed, JournalFollower
from staleproof_pipeline.replication.push import Pusher
from staleproof_pipeline.report import Report
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources import kafka
from staleproof_pipeline.translation import Translator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.batch import Response
    from staleproof_pipeline.dead_letter import DeadLetters
    from staleproof_pipeline.deferral import Deferrer
    from staleproof_pipeline.mappings import Mapping
    from staleproof_pipeline.providers import Providers
    from staleproof_pipeline.redriving.invocation import Redriving
    from staleproof_pipeline.replication.links import Link
    from staleproof_pipeline.rules.ruleset import Rules
    from staleproof_pipeline.sources import RecordSource
    from staleproof_pipeline.warm_requests import Warmer

RESERVE_SECONDS = 5.0
"""What a scheduled run leaves of its time, to write positions and metrics."""


class Pipeline(NamedTuple):
    """What the invalidating functions run."""

    invalidator: Invalidator
    observability: Observability

    due: Invalidator
    gaps: GapKeeper
    settings: Settings
    reading: kafka.Reading

    def apply_stream(self, event: Any) -> Response:
        """Deal with a batch of a DynamoDB or Kinesis stream; return the records to deliver again, in Lambda's shape."""
        return self._respond(event, mappings.of_stream(event))

    def apply_queue(self, event: Any) -> Response:
        """Deal with a batch of an SQS queue, standard or FIFO; what was put off comes by one, too."""
        name = self.settings.deferral_queue_url.rpartition("/")[2]
        if name and mappings.of_queue(event, name):
            apply = partial(self.due.apply, source=DUE, order=mappings.SQS.order)
            return batch.respond(event, apply, mappings.SQS)
        return self._respond(event, mappings.SQS)

    def apply_kafka(self, event: Any) -> Response:
        """Deal with a batch of a Kafka topic."""
        return self._respond(event, mappings.KAFKA, self.as_set(mappings.KAFKA.source))

    def as_set(self, source: RecordSource) -> RecordSource:
        """Return *source*; Kafka's so that it reads as the settings say."""
        return kafka.source(self.reading) if source.name == kafka.SOURCE.name else source

    def apply_event(self, event: Any) -> dict[str, int]:
        """Deal with what a bus, a topic, a bucket or a direct invocation hands over; return the outcomes.

        Raises:
            Exception: something failed, after the rest was applied: Lambda delivers it again, then gives it to the
                function's own dead letter.
        """
        reports = [
            self.invalidator.apply(records, self.as_set(source))
            for source, records in invocations.read(event)
        ]
        outcomes = [each for report in reports for each in report.outcomes]
        return Report([event], outcomes).acknowledged()

    def _respond(self, event: Any, mapping: Mapping, source: RecordSource | None = None) -> Response:
        apply = partial(self.invalidator.apply, source=source or mapping.source, order=mapping.order)
        return batch.respond(event, apply, mapping)


class Replication(NamedTuple):
    """What the replicating function runs."""

    follower: JournalFollower
    observability: Observability

    def run(self, remaining_ms: int) -> dict[str, Any]:
        """Ship what is owed within *remaining_ms*; return what was done."""
        done: Followed = self.follower.run(max(1.0, remaining_ms / 1_000 - RESERVE_SECONDS))
        return done._asdict()


def pipeline(
    settings: Settings | None = None,
    *,
    rules: Rules | None = None,
    providers: Providers | None = None,
    dead_letters: DeadLetters | None = None,
    links: Sequence[Link] | None = None,
    deferrer: Deferrer | None = None,
    warmer: Warmer | None = None,
    observability: Observability | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Pipeline:
    """Return what applies changes. Nothing is connected yet, but what has the rules if that is AWS.

    Raises:
        ConfigurationError: a setting is missing or wrong, or the rules are.
    """
    settings = settings or Settings.from_env()
    observability = observability or Observability(settings.region)
    deferrer = _deferrer(settings) if deferrer is None else deferrer
    rules = rules or live.rules(settings, _client, deferrer, observability, clock=clock)
    reading = kafka_reading.reading(settings, _client)
    rules.current()  # whoever has no rules does not start, and takes no record
    providers = providers or _providers(settings)
    dead_letters = _dead_letters(settings) if dead_letters is None else dead_letters
    links = _links(settings) if links is None else links
    pusher = Pusher(links, providers, settings.region, observer=observability)
    translator, due = (
        kind(rules, settings.region, settings.namespace, peers=settings.peers, clock=clock)
        for kind in (Translator, DueTranslator)
    )
    limit = PurgeLimit(settings.purge_rate, settings.clear_rate, clock=clock)
    aftermath = Aftermath(deferrer, warmer=warmer, observer=observability, clock=clock, limit=limit)
    common = partial(
        Invalidator, observer=observability, clock=clock, aftermath=aftermath, budget=settings.batch_budget
    )
    invalidator, later = (common(each, providers, dead_letters, pusher) for each in (translator, due))
    gaps = GapKeeper(translator, providers, pusher, clock=clock)
    return Pipeline(invalidator, observability, later, gaps, settings, reading)


def drain(settings: Settings | None = None, *, clock: Clock = SYSTEM_CLOCK, **parts: Any) -> Drain:
    """Return what drains a Redis stream; *parts* are further arguments of `pipeline`. Nothing is connected yet.

    Raises:
        ConfigurationError: a setting is missing or wrong, or the rules are.
    """
    settings = settings or Settings.from_env()
    from staleproof_pipeline.consuming import opening  # noqa: PLC0415 - only who reads a stream pays

    made = pipeline(settings, clock=clock, **parts)
    return Drain(made, partial(opening.stream_feed, settings, clock))


def redriving(settings: Settings | None = None, observability: Observability | None = None) -> Redriving:
    """Return what redrives dead letters. Nothing is connected yet.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    settings = settings or Settings.from_env()
    from staleproof_pipeline.redriving.invocation import Redriving  # noqa: PLC0415 - it composes this module's parts

    return Redriving(settings, observability or Observability(settings.region))


def replication(
    settings: Settings | None = None,
    *,
    providers: Providers | None = None,
    links: Sequence[Link] | None = None,
    observability: Observability | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Replication:
    """Return what ships the journal. Nothing is connected yet.

    Raises:
        ConfigurationError: a setting is missing or wrong, or the rules are.
    """
    settings = settings or Settings.from_env()
    providers = providers or _providers(settings)
    observability = observability or Observability(settings.region)
    named = live.namespaces(settings, _client)
    follower = JournalFollower(
        _links(settings) if links is None else links,
        providers,
        sorted({settings.namespace, *named}),
        settings.region,
        observer=observability,
        clock=clock,
        horizon_ms=round(settings.journal_horizon * 1_000),
    )
    return Replication(follower, observability)


def _providers(settings: Settings) -> Providers:
    return namespaces.of_url(settings.cache_url, timeout=settings.timeout, horizon=settings.journal_horizon)


def _dead_letters(settings: Settings) -> DeadLetters:
    if settings.dead_letter_stream:
        connect = partial(
            dead_letter_stream.line, settings.letters_url, settings.timeout, settings.dead_letter_stream
        )
        return DeadLetterStream(connect, settings.dead_letter_stream.encode())
    url = settings.require("dead_letter_queue_url")
    return DeadLetterQueue(partial(_client, "sqs", settings.region), url)


def _deferrer(settings: Settings) -> Deferrer | None:
    if settings.deferral_set:
        return deferral_set(settings)
    if not settings.deferral_queue_url:
        return None
    return DeferralQueue(partial(_client, "sqs", settings.region), settings.deferral_queue_url)


def deferral_set(settings: Settings) -> DeferralSet:
    """Return what keeps on the cache's server what rules put off. Nothing is connected yet."""
    connect = partial(dead_letter_stream.line, settings.cache_url, settings.timeout, settings.deferral_set)
    return DeferralSet(connect, settings.deferral_set.encode())


def _links(settings: Settings) -> list[Link]:
    if not settings.peers:
        return []
    return [EventBridgeLink(partial(_client, "events", settings.region), settings.bus, settings.region)]


def _client(service: str, region: str) -> Any:
    """A boto3 client that gives up early: what it was asked for is safe in the stream or in the journal.

    It leads to where AWS's own variables say (`AWS_ENDPOINT_URL`), or those of a LocalStack.
    """
    import boto3  # noqa: PLC0415 - a cold start without poison and peers does not pay for it
    from botocore.config import Config  # noqa: PLC0415

    from staleproof.publishers.aws_clients import localstack  # noqa: PLC0415

    config = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "max_attempts": 2})
    return boto3.client(service, region_name=region, config=config, endpoint_url=localstack(service))


client = _client
"""The clients that the pipeline makes, for whoever reads a source beside it."""
