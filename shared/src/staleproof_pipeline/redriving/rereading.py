"""Reads the records of a batch again, from where Lambda has read them.

DynamoDB keeps a stream's records for a day, Kinesis as long as its stream says, Kafka as its topic. What is gone by
then cannot be named, so whatever it made stale must go: `TrimmedEventError`.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from staleproof.aws.clients import code, translated
from staleproof_pipeline.errors import TrimmedEventError
from staleproof_pipeline.redriving import batch_place
from staleproof_pipeline.sources import dynamodb_streams, kinesis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof_pipeline.redriving.batch_place import BatchPlace, Range
    from staleproof_pipeline.redriving.parcel import Run

PAGE = 1_000
EMPTY_PAGES = 50
"""Pages without a record that are read: a shard's pages may be empty before its end."""

_GONE = frozenset({"TrimmedDataAccessException", "ResourceNotFoundException", "InvalidArgumentException"})


class Rereading:
    """Reads batches.

    Args:
        client: makes a boto3 client of a service; only of what is asked for.
        kafka: reads those of Kafka; without it they cannot be.
    """

    def __init__(
        self, client: Callable[[str], Any], kafka: Callable[[BatchPlace], Run] | None = None
    ) -> None:
        self._make = client
        self._kafka = kafka
        self._clients: dict[str, Any] = {}

    def read(self, batch: BatchPlace) -> Run:
        """Return the records of *batch*, with what reads them.

        Raises:
            TrimmedEventError: some of them are gone.
            ConfigurationError: this process may not read them, or does not know how.
            ProviderUnavailableError: retry.
        """
        if batch.source == batch_place.KAFKA:
            if self._kafka is None:
                raise lost(batch, "no way to its brokers is configured")
            return self._kafka(batch)
        (place,) = batch.ranges
        if batch.source == batch_place.KINESIS:
            return kinesis.SOURCE, self._of_kinesis(batch, place)
        return dynamodb_streams.SOURCE, self._of_dynamodb(batch, place)

    def _of_dynamodb(self, batch: BatchPlace, place: Range) -> list[Any]:
        client = self._client("dynamodbstreams")
        start = {"StreamArn": batch.arn, "ShardId": place.shard, "SequenceNumber": place.first}
        pages = self._pages(
            batch,
            lambda: client.get_shard_iterator(ShardIteratorType="AT_SEQUENCE_NUMBER", **start),
            lambda iterator: client.get_records(ShardIterator=iterator, Limit=PAGE),
        )
        found = _between(pages, place, lambda each: int(each["dynamodb"]["SequenceNumber"]))
        _check(batch, place, [number for number, _ in found])
        return [dynamodb_streams.of_api(each, batch.arn) for _, each in found]

    def _of_kinesis(self, batch: BatchPlace, place: Range) -> list[Any]:
        client = self._client("kinesis")
        start = {"StreamARN": batch.arn, "ShardId": place.shard, "StartingSequenceNumber": place.first}
        pages = self._pages(
            batch,
            lambda: client.get_shard_iterator(ShardIteratorType="AT_SEQUENCE_NUMBER", **start),
            lambda iterator: client.get_records(ShardIterator=iterator, Limit=PAGE),
        )
        found = _between(pages, place, lambda each: int(each["SequenceNumber"]))
        _check(batch, place, [number for number, _ in found])
        return [_kinesis_record(each, batch.arn, place.shard) for _, each in found]

    def _pages(
        self, batch: BatchPlace, begin: Callable[[], Any], page: Callable[[str], Any]
    ) -> Iterator[list[Any]]:
        """Yield pages of records; an iterator that leads nowhere says that they are gone."""
        with translated(batch.arn, f"check the role that reads {batch.arn}"):
            try:
                iterator = begin()["ShardIterator"]
                while iterator:
                    answer = page(iterator)
                    yield answer["Records"]
                    iterator = answer.get("NextShardIterator")
            except Exception as error:
                if code(error) in _GONE:
                    raise lost(batch, code(error)) from error
                raise

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]


def lost(batch: BatchPlace, why: str) -> TrimmedEventError:
    """Return the error about a *batch* that cannot be read any more."""
    place = batch.ranges[0]
    return TrimmedEventError(
        f"{batch.arn or batch.source}: records {place.first} to {place.last} of {place.shard} cannot be read any more "
        f"({why}); clear what they may have changed, `staleproof invalidate --clear` or the tags concerned, or redrive "
        "with --clear-lost"
    )


def _between(pages: Iterator[list[Any]], place: Range, number: Callable[[Any], int]) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    first, last = int(place.first), int(place.last)
    empty = 0
    for page in pages:
        numbered = [(number(each), each) for each in page]
        found += [each for each in numbered if first <= each[0] <= last]
        empty = 0 if page else empty + 1
        if empty > EMPTY_PAGES or (numbered and numbered[-1][0] >= last):
            break
    return found


def _check(batch: BatchPlace, place: Range, numbers: list[int]) -> None:
    """A stream that was trimmed begins later, silently."""
    ends = {int(place.first), int(place.last)}
    if len(numbers) < batch.size or not ends <= set(numbers):
        raise lost(batch, f"{len(numbers)} of {batch.size} are left")


def _kinesis_record(record: dict[str, Any], arn: str, shard: str) -> dict[str, Any]:
    """Return a record of the API's `GetRecords` as an event source mapping would deliver it."""
    arrived = record.get("ApproximateArrivalTimestamp")
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": arrived.timestamp() if isinstance(arrived, datetime) else 0,
        },
        "eventSource": kinesis.EVENT_SOURCE,
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "awsRegion": arn.split(":")[3] if arn.count(":") > 3 else "",  # noqa: PLR2004 - the ARN's fourth part
        "eventSourceARN": arn,
    }
