"""Makes what redrives, of settings and an address. Nothing is connected yet.

=============================================  ==============================================================
address                                        store
=============================================  ==============================================================
""                                             the deployment's own dead letters
`https://sqs…/QUEUE` or any `http` URL         an SQS queue
`s3://BUCKET/PREFIX`                           every object below it: undelivered batches, and letters
`s3://BUCKET/KEY.ndjson`                       an object with a letter a line
`redis://…?stream=KEY`                         a Redis stream of letters
anything else                                  a file with a letter a line
=============================================  ==============================================================
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ConfigurationError
from staleproof_pipeline import bootstrap, dead_letter_stream
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.redriving import kafka_rereading, object_store
from staleproof_pipeline.redriving.attempt import Applying, Rehearsing
from staleproof_pipeline.redriving.letter_filter import LetterFilter
from staleproof_pipeline.redriving.line_store import FileText, LineStore, ObjectText
from staleproof_pipeline.redriving.object_store import ObjectStore
from staleproof_pipeline.redriving.queue_store import QueueStore
from staleproof_pipeline.redriving.redriver import Redriver
from staleproof_pipeline.redriving.rereading import Rereading
from staleproof_pipeline.redriving.stream_store import StreamStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.clock import Clock
    from staleproof_pipeline.redriving.store import LetterStore
    from staleproof_pipeline.settings import Settings

    Client = Callable[[str, str], Any]

_QUEUE = re.compile(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/")
"""The URL of a queue names its region, which may be another than ours."""

LINES = (".ndjson", ".jsonl")
SERVERS = ("redis://", "rediss://", "unix://")


class Wanted(NamedTuple):
    """What is to be redriven, and how.

    Attributes:
        address: of the store, see the module.
        filters: conditions, see `LetterFilter`.
        dry: change nothing.
        clear_lost: clear what records that are gone may have changed.
        rate: letters a second at most.
        servers: Kafka's brokers, for batches that name none.
        kafka_options: options of Kafka's client library.
    """

    address: str = ""
    filters: Sequence[str] = ()
    dry: bool = False
    clear_lost: bool = False
    rate: float | None = None
    servers: Sequence[str] = ()
    kafka_options: dict[str, Any] | None = None


def redriver(
    settings: Settings,
    wanted: Wanted,
    *,
    pause: Callable[[float], object],
    client: Client = bootstrap.client,
    clock: Clock = SYSTEM_CLOCK,
    **parts: Any,
) -> Redriver:
    """Return what redrives; *parts* are further arguments of `bootstrap.pipeline`.

    Raises:
        ConfigurationError: the address, a filter or a setting is wrong.
    """
    now_ms = partial(_now_ms, clock)
    chosen = LetterFilter.of(wanted.filters, now_ms())
    tray = MemoryDeadLetters()
    pipeline = bootstrap.pipeline(settings, dead_letters=tray, clock=clock, **parts)
    brokers = kafka_rereading.reader(wanted.servers, options=wanted.kafka_options, reading=pipeline.reading)
    return Redriver(
        store(settings, wanted.address, client),
        Rehearsing(pipeline) if wanted.dry else Applying(pipeline, tray, now_ms),
        Rereading(lambda service: client(service, settings.region), brokers),
        dry=wanted.dry,
        gaps=pipeline.gaps if wanted.clear_lost else None,
        wanted=chosen,
        rate=wanted.rate,
        pause=pause,
        clock=clock,
    )


def store(settings: Settings, address: str, client: Client) -> LetterStore:
    """Return the store at *address*.

    Raises:
        ConfigurationError: there can be none.
    """
    if not address:
        return _own(settings, client)
    if address.startswith(("http://", "https://")):
        named = _QUEUE.match(address)
        return QueueStore(client("sqs", named[1] if named else settings.region), address)
    if address.startswith("s3://"):
        bucket, key = object_store.place(address)
        made = client("s3", settings.region)
        if key.endswith(LINES):
            return LineStore(ObjectText(made, bucket, key))
        return ObjectStore(made, bucket, key)
    if address.startswith(SERVERS):
        return _stream(settings, *_split(address))
    return LineStore(FileText(Path(address)))


def _own(settings: Settings, client: Client) -> LetterStore:
    if settings.dead_letter_stream:
        return _stream(settings, settings.letters_url, settings.dead_letter_stream)
    return store(settings, settings.require("dead_letter_queue_url"), client)


def _stream(settings: Settings, url: str, key: str) -> LetterStore:
    return StreamStore(dead_letter_stream.line(url, settings.timeout, key), key.encode())


def _split(address: str) -> tuple[str, str]:
    """Return a server's address without `stream`, and that."""
    parts = urlsplit(address)
    told = dict(parse_qsl(parts.query))
    key = told.pop("stream", "")
    if not key:
        raise ConfigurationError(
            f"{parts.scheme}:… names no stream; write ?stream=KEY behind the server's address"
        )
    return urlunsplit(parts._replace(query=urlencode(told))), key


def _now_ms(clock: Clock) -> int:
    return round(clock.wall() * 1_000)
