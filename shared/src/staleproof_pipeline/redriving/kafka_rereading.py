"""Reads the records of a Kafka batch again, by their offsets. No group is joined, and nothing is committed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof_pipeline.redriving.rereading import lost
from staleproof_pipeline.sources import kafka

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.redriving.batch_place import BatchPlace, Range
    from staleproof_pipeline.redriving.parcel import Run

GROUP = "staleproof-redrive"
POLL_MS = 1_000
PATIENCE = 10
"""Polls without a record before a broker's silence counts as the end."""


def reader(
    servers: Sequence[str] = (),
    *,
    options: dict[str, Any] | None = None,
    reading: kafka.Reading = kafka.PLAIN,
) -> Callable[[BatchPlace], Run]:
    """Return what reads batches of Kafka.

    Args:
        servers: brokers, host:port; those that a batch names by default.
        options: further ones of the client library, such as those of SASL and TLS.
        reading: how records are read.
    """
    return partial(read, servers=servers, options=options or {}, reading=reading)


def read(
    batch: BatchPlace, *, servers: Sequence[str], options: dict[str, Any], reading: kafka.Reading
) -> Run:
    """Return the records of *batch*; see `reader`.

    Raises:
        TrimmedEventError: some are gone.
        ConfigurationError: no broker is known, or the extra `kafka` is not installed.
        ProviderUnavailableError: retry.
    """
    from staleproof_pipeline.consuming.kafka_client import consumer_of, translated  # noqa: PLC0415 - an extra

    brokers = tuple(servers) or batch.servers
    if not brokers:
        raise ConfigurationError(
            f"{batch.arn or 'kafka'}: the batch names no broker; give --bootstrap host:port"
        )
    consumer = consumer_of(brokers, GROUP, options=options)
    try:
        with translated():
            found = [record for place in batch.ranges for record in _records(consumer, batch, place)]
    finally:
        consumer.close(autocommit=False)
    return kafka.source(reading), [kafka.record(each) for each in found]


def _records(consumer: Any, batch: BatchPlace, place: Range) -> list[Any]:
    from kafka.structs import TopicPartition  # noqa: PLC0415

    topic, _, number = place.shard.rpartition("-")
    if not topic or not number.isdecimal():
        raise lost(batch, f"{place.shard!r} is no partition")
    partition = TopicPartition(topic, int(number))
    first, last = int(place.first), int(place.last)
    begins, ends = consumer.beginning_offsets([partition]), consumer.end_offsets([partition])
    if begins[partition] > first or ends[partition] <= last:
        raise lost(batch, f"the partition has {begins[partition]} to {ends[partition] - 1}")
    consumer.assign([partition])
    consumer.seek(partition, first)
    found: list[Any] = []
    silent = 0
    # Offsets of transaction markers are no records, so the position tells the end, and not the last offset.
    while consumer.position(partition) <= last:
        page = consumer.poll(timeout_ms=POLL_MS).get(partition, [])
        silent = 0 if page else silent + 1
        if silent == PATIENCE:
            raise lost(batch, "its brokers give nothing") if not found else _stopped(place)
        found += [each for each in page if each.offset <= last]
    return found


def _stopped(place: Range) -> ConfigurationError:
    return ConfigurationError(
        f"{place.shard}: its brokers stopped giving records before {place.last}; try again"
    )
