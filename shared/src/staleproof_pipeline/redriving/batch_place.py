"""Where the records of a batch are that Lambda gave up delivering: what its `OnFailure` destination tells. Pure.

AWS Lambda Developer Guide, "Capturing discarded batches" of DynamoDB streams, Kinesis and Kafka: metadata go to SQS and
SNS; S3 gets the batch as well, as `payload`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import MalformedEventError

if TYPE_CHECKING:
    from collections.abc import Mapping

DYNAMODB, KINESIS, KAFKA = "dynamodb", "kinesis", "kafka"
_INFOS = {"DDBStreamBatchInfo": DYNAMODB, "KinesisBatchInfo": KINESIS, "KafkaBatchInfo": KAFKA}


class Range(NamedTuple):
    """Records of one shard or partition, from first to last, both included.

    Attributes:
        shard: a shard's id, or `topic-partition`.
        first: sequence number or offset, as the source writes it; compared as a number.
        last: likewise.
    """

    shard: str
    first: str
    last: str


class BatchPlace(NamedTuple):
    """Where they are.

    Attributes:
        source: `dynamodb`, `kinesis` or `kafka`.
        arn: of the stream or the cluster.
        ranges: one, or of Kafka one a partition.
        size: how many records there were.
        servers: Kafka's brokers.
        at_ms: when Lambda gave up, in UTC milliseconds; 0 if it does not tell.
    """

    source: str
    arn: str
    ranges: tuple[Range, ...]
    size: int
    servers: tuple[str, ...] = ()
    at_ms: int = 0

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> BatchPlace | None:
        """Return what an envelope tells; None if it is none.

        Raises:
            MalformedEventError: it is one, and a field is missing or wrong.
        """
        name = next((each for each in _INFOS if isinstance(found.get(each), dict)), None)
        if name is None:
            return None
        info, source = found[name], _INFOS[name]
        ranges = _partitions(info) if source == KAFKA else (_shard(name, info),)
        arn = info.get("eventSourceArn" if source == KAFKA else "streamArn")
        servers = info.get("bootstrapServers")
        return cls(
            source,
            arn if isinstance(arn, str) else "",
            ranges,
            int(_number(info.get("batchSize"), f"{name}.batchSize")),
            tuple(servers.split(",")) if isinstance(servers, str) and servers else (),
            _instant(found.get("timestamp")),
        )


def _shard(name: str, info: Mapping[str, Any]) -> Range:
    shard = info.get("shardId")
    if not isinstance(shard, str) or not shard:
        raise MalformedEventError(f"{name}.shardId: {shard!r} is no text; clear the namespace instead")
    first, last = (
        _number(info.get(each), f"{name}.{each}") for each in ("startSequenceNumber", "endSequenceNumber")
    )
    return Range(shard, first, last)


def _partitions(info: Mapping[str, Any]) -> tuple[Range, ...]:
    told = info.get("recordsInfo")
    if not isinstance(told, dict) or not told:
        raise MalformedEventError(
            "KafkaBatchInfo.recordsInfo: it names no partition; clear the namespace instead"
        )
    path = "KafkaBatchInfo.recordsInfo"
    return tuple(
        Range(
            str(name),
            _number(_field(each, "firstRecordOffset"), f"{path}.{name}.firstRecordOffset"),
            _number(_field(each, "lastRecordOffset"), f"{path}.{name}.lastRecordOffset"),
        )
        for name, each in told.items()
    )


def _field(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


def _number(found: Any, path: str) -> str:
    text = str(found) if type(found) is int else found
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > 129:  # noqa: PLR2004
        raise MalformedEventError(f"{path}: {str(found)[:80]!r} is no number; clear the namespace instead")
    return text


def _instant(found: Any) -> int:
    try:
        return round(datetime.fromisoformat(found).timestamp() * 1_000)
    except (TypeError, ValueError, OverflowError):
        return 0
