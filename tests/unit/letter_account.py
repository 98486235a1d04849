"""An AWS account within the process: a queue, a bucket and streams, held to botocore's own shapes."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime
from typing import Any

from tests.unit.aws_shapes import Recording, refusal

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead"
TABLE_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/Flights/stream/2013-02-08T00:00:00.000"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/flights"
THEN = datetime(2026, 5, 1, tzinfo=UTC)


class Account:
    """What lies in it.

    Attributes:
        messages: bodies in the queue by message id; `taken` are invisible.
        objects: contents in the bucket by key.
        items: the table stream's records, as `GetRecords` returns them, of one shard.
        data: likewise of the Kinesis stream.
        clients: those that were made, by service.
    """

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.taken: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.items: list[dict[str, Any]] = []
        self.data: list[dict[str, Any]] = []
        self.clients: dict[str, Recording] = {}
        self.away: set[str] = set()
        self._ids = itertools.count(1)

    def client(self, service: str, region: str = "eu-west-1") -> Recording:
        """Make a client, as `bootstrap.client` does."""
        del region
        made = {
            "sqs": {
                "receive_message": self._receive,
                "delete_message_batch": self._delete,
                "change_message_visibility_batch": self._release,
                "send_message_batch": self._send,
            },
            "s3": {
                "list_objects_v2": self._list,
                "get_object": self._get,
                "put_object": self._put,
                "delete_object": self._delete_object,
            },
            "dynamodbstreams": {"get_shard_iterator": self._begin, "get_records": self._records(self.items)},
            "kinesis": {"get_shard_iterator": self._begin_kinesis, "get_records": self._records(self.data)},
        }
        return self.clients.setdefault(service, Recording(service, made[service]))

    def put(self, *bodies: str) -> None:
        """Put messages into the queue."""
        for body in bodies:
            self.messages[f"m{next(self._ids)}"] = body

    # --- the queue ----------------------------------------------------------------------------------

    def _receive(self, *, MaxNumberOfMessages: int, **_: Any) -> Any:  # noqa: N803
        self._here("receive_message")
        found = [each for each in self.messages if each not in self.taken][:MaxNumberOfMessages]
        self.taken.update(found)
        if not found:
            return {}
        return {
            "Messages": [
                {
                    "MessageId": each,
                    "ReceiptHandle": each,
                    "Body": self.messages[each],
                    "Attributes": {"SentTimestamp": "1777593600000"},
                }
                for each in found
            ]
        }

    def _delete(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        del QueueUrl
        self._here("delete_message_batch")
        for each in Entries:
            self.messages.pop(each["ReceiptHandle"], None)
        return {"Successful": [{"Id": each["Id"]} for each in Entries], "Failed": []}

    def _release(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        del QueueUrl
        self.taken.difference_update(each["ReceiptHandle"] for each in Entries)
        return {"Successful": [{"Id": each["Id"]} for each in Entries], "Failed": []}

    def _send(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        del QueueUrl
        self._here("send_message_batch")
        self.put(*(each["MessageBody"] for each in Entries))
        done = [{"Id": each["Id"], "MessageId": "m", "MD5OfMessageBody": "x"} for each in Entries]
        return {"Successful": done, "Failed": []}

    # --- the bucket ---------------------------------------------------------------------------------

    def _list(self, *, Prefix: str, ContinuationToken: str = "", **_: Any) -> Any:  # noqa: N803
        keys = sorted(each for each in self.objects if each.startswith(Prefix) and each > ContinuationToken)
        contents = [{"Key": each, "Size": len(self.objects[each]), "LastModified": THEN} for each in keys[:2]]
        more = {"NextContinuationToken": keys[1]} if len(keys) > 2 else {}
        return {"Contents": contents, "IsTruncated": bool(more), **more}

    def _get(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803
        del Bucket
        if Key not in self.objects:
            raise refusal("NoSuchKey", 404)
        raw = self.objects[Key]
        return {"Body": io.BytesIO(raw), "ContentLength": len(raw), "ETag": '"1"'}

    def _put(self, *, Key: str, Body: bytes, **_: Any) -> Any:  # noqa: N803
        self._here("put_object")
        self.objects[Key] = Body
        return {"ETag": '"2"'}

    def _delete_object(self, *, Key: str, **_: Any) -> Any:  # noqa: N803
        self._here("delete_object")
        self.objects.pop(Key, None)
        return {}

    # --- streams ------------------------------------------------------------------------------------

    def _begin(self, *, SequenceNumber: str, **_: Any) -> Any:  # noqa: N803
        first = int(self.items[0]["dynamodb"]["SequenceNumber"]) if self.items else 0
        if not self.items or int(SequenceNumber) < first:
            raise refusal("TrimmedDataAccessException")
        return {"ShardIterator": SequenceNumber}

    def _begin_kinesis(self, *, StartingSequenceNumber: str, **_: Any) -> Any:  # noqa: N803
        return {"ShardIterator": StartingSequenceNumber}

    def _records(self, held: list[dict[str, Any]]) -> Any:
        def page(*, ShardIterator: str, **_: Any) -> Any:  # noqa: N803
            at, empty = int(ShardIterator.removesuffix("e")), ShardIterator.endswith("e")
            if not empty:  # every other page is empty, as a shard's may be
                return {"Records": [], "NextShardIterator": f"{at}e", **_lag(held)}
            found = [each for each in held if _number(each) >= at][:2]
            following = _number(found[-1]) + 1 if found else at
            return {"Records": found, "NextShardIterator": str(following), **_lag(held)}

        return page

    def _here(self, method: str) -> None:
        if method in self.away:
            raise refusal("ServiceUnavailable", 503)


def _lag(held: list[dict[str, Any]]) -> dict[str, Any]:
    return {"MillisBehindLatest": 0} if held and "Data" in held[0] else {}


def _number(record: dict[str, Any]) -> int:
    return int(record["SequenceNumber"] if "Data" in record else record["dynamodb"]["SequenceNumber"])


def item(number: int, sequence: int) -> dict[str, Any]:
    """A change of flight *number*, as DynamoDB's `GetRecords` returns it."""
    image = {"flight_id": {"S": f"f{number}"}, "carrier": {"S": "UA"}, "raw": {"B": b"\x00"}}
    told = {
        "ApproximateCreationDateTime": THEN,
        "Keys": {"flight_id": image["flight_id"]},
        "NewImage": image,
        "OldImage": image,
        "SequenceNumber": str(sequence),
        "SizeBytes": 99,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventID": f"event-{number}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": told,
    }


def datum(body: bytes, sequence: int) -> dict[str, Any]:
    """A record of a Kinesis stream, as `GetRecords` returns it."""
    return {
        "SequenceNumber": str(sequence),
        "ApproximateArrivalTimestamp": THEN,
        "Data": body,
        "PartitionKey": "p",
    }


def undelivered(kind: str, arn: str, first: int, last: int, size: int) -> dict[str, Any]:
    """What an `OnFailure` destination tells of a batch."""
    return {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-05-01T00:00:00.000Z",
        f"{kind}BatchInfo": {
            "shardId": "shardId-00000001360332012000-0a1b2c3d",
            "startSequenceNumber": str(first),
            "endSequenceNumber": str(last),
            "approximateArrivalOfFirstRecord": "2026-05-01T00:00:00.000Z",
            "batchSize": size,
            "streamArn": arn,
        },
    }
