"""Makes feeds of settings. Nothing is connected yet."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING

from staleproof.errors import ConfigurationError
from staleproof_pipeline.consuming.stream_feed import BLOCK, StreamFeed
from staleproof_pipeline.consuming.stream_group import Address, StreamGroup
from staleproof_pipeline.consuming.stream_line import StreamLine

if TYPE_CHECKING:
    from staleproof.clock import Clock
    from staleproof_pipeline.settings import Settings


def consumer_name() -> str:
    """Return a name that no other consumer has, by which people find the process: its host, its id, and a nonce."""
    host = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "").rpartition("]")[2] or socket.gethostname()
    return f"{host[:64]}-{os.getpid()}-{secrets.token_hex(4)}"


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
    from staleproof import aws  # noqa: PLC0415

    stream = settings.stream
    url = settings.stream_url or settings.cache_url
    if url.startswith("memory://"):
        raise ConfigurationError(
            "STALEPROOF_STREAM_URL is not set, and memory:// has no streams; set it to a server"
        )
    line = StreamLine(
        lambda: aws.connections(url, timeout=settings.timeout), stream.encode(), settings.timeout + BLOCK
    )
    name = consumer or consumer_name()
    group = StreamGroup(line, Address(stream.encode(), settings.stream_group.encode(), name.encode()))
    return StreamFeed(
        group, line, count=count, idle=settings.stream_idle, deliveries=deliveries, latest=latest, clock=clock
    )
