"""Makes feeds of settings. Nothing is connected yet."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof_pipeline.consuming.stream_feed import BLOCK, StreamFeed
from staleproof_pipeline.consuming.stream_group import Address, StreamGroup
from staleproof_pipeline.consuming.stream_line import StreamLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.consuming.dynamodb_feed import DynamoDbFeed
    from staleproof_pipeline.consuming.kafka_feed import KafkaFeed
    from staleproof_pipeline.settings import Settings
    from staleproof_pipeline.sources.kafka import Reading


def consumer_name() -> str:
    """Return a name that no other consumer has, by which people find the process: its host, its id, and a nonce."""
    host = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "").rpartition("]")[2] or socket.gethostname()
    return f"{host[:64]}-{os.getpid()}-{secrets.token_hex(4)}"


def kafka_feed(
    settings: Settings,
    clock: Clock,
    *,
    servers: Sequence[str],
    topics: Sequence[str],
    options: dict[str, Any],
    count: int = 500,
    latest: bool = False,
    reading: Reading,
) -> KafkaFeed:
    """Return the feed of Kafka topics, read as *reading* says; *options* are further ones of the client library."""
    from staleproof_pipeline.consuming.kafka_client import consumer_of  # noqa: PLC0415 - an extra
    from staleproof_pipeline.consuming.kafka_feed import KafkaFeed  # noqa: PLC0415
    from staleproof_pipeline.sources import kafka  # noqa: PLC0415

    return KafkaFeed(
        lambda: consumer_of(servers, settings.stream_group, options=options),
        topics,
        count=count,
        latest=latest,
        source=kafka.source(reading),
        clock=clock,
    )


def dynamodb_feed(
    settings: Settings,
    clock: Clock,
    *,
    client: Any,
    stream_arn: str,
    pause: Callable[[float], object],
    lease: float,
    consumer: str = "",
    count: int = 500,
    latest: bool = False,
) -> DynamoDbFeed:
    """Return the feed of a DynamoDB stream; how far it has come is kept on the cache's server.

    Raises:
        ConfigurationError: the cache is no server.
    """
    from staleproof_pipeline.consuming.dynamodb_feed import DynamoDbFeed  # noqa: PLC0415
    from staleproof_pipeline.consuming.shard_ledger import ShardLedger, keys  # noqa: PLC0415
    from staleproof_pipeline.consuming.stream_api import StreamApi  # noqa: PLC0415

    name = f"{settings.stream_group}:{stream_arn}"
    line = _line(settings, settings.cache_url, keys(name)[0])
    ledger = ShardLedger(line, name, consumer or consumer_name(), lease=lease, clock=clock)
    api = StreamApi(client, stream_arn)
    return DynamoDbFeed(api, ledger, pause=pause, count=count, latest=latest, clock=clock)


def _line(settings: Settings, url: str, key: bytes) -> StreamLine:
    from staleproof import aws  # noqa: PLC0415

    if url.startswith("memory://"):
        raise ConfigurationError(
            "memory:// has no streams and keeps no positions; set STALEPROOF_CACHE_URL, or STALEPROOF_STREAM_URL for a "
            "Redis stream, to a server"
        )
    return StreamLine(lambda: aws.connections(url, timeout=settings.timeout), key, settings.timeout + BLOCK)


def stream_feed(
    settings: Settings,
    clock: Clock,
    *,
    consumer: str = "",
    count: int = 500,
    deliveries: int = 5,
    latest: bool = False,
) -> StreamFeed:
    """Return the feed of the stream that *settings* name.

    Raises:
        ConfigurationError: they name a server that has no streams.
    """
    stream = settings.stream.encode()
    line = _line(settings, settings.stream_url or settings.cache_url, stream)
    name = consumer or consumer_name()
    group = StreamGroup(line, Address(stream, settings.stream_group.encode(), name.encode()))
    return StreamFeed(
        group, line, count=count, idle=settings.stream_idle, deliveries=deliveries, latest=latest, clock=clock
    )
