"""What is sent to a dead letter when deliveries are given up, in AWS's shapes.

A stream mapping tells metadata only: which records of which shard, not what was in them; whoever redrives reads
them from the shard again within its 24 hours. An asynchronous invocation carries its event.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.event_sources.retry import Failed

if TYPE_CHECKING:
    from local.event_sources.retry import Discard, Record
    from local.function_host import FunctionError

MAX_ERROR = 1024
"""Bytes of an error message that an attribute carries."""


def instant(seconds: float) -> str:
    """Return a time as the envelope writes it, `2026-02-09T12:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stream_envelope(
    discard: Discard, *, function_arn: str, stream_arn: str, shard: str, now: float
) -> dict[str, Any]:
    """Return the message to an `OnFailure` destination about records that were given up at *now* (epoch seconds)."""
    first, last = discard.batch.records[0], discard.batch.records[-1]
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
    if isinstance(discard.outcome, Failed) and discard.outcome.unhandled:
        response["functionError"] = "Unhandled"
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": function_arn,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": discard.batch.invocations,
        },
        "responseContext": response,
        "version": "1.0",
        "timestamp": instant(now),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": instant(_arrival(first)),
            "approximateArrivalOfLastRecord": instant(_arrival(last)),
            "batchSize": len(discard.batch.records),
            "streamArn": stream_arn,
        },
    }


def event_message(event: Any, error: FunctionError, request_id: str) -> dict[str, Any]:
    """Return the `SendMessage` arguments about an *event* whose asynchronous invocations all failed."""
    message = f"{error.type}: {error.message}"[:MAX_ERROR]
    return {
        "MessageBody": json.dumps(event),
        "MessageAttributes": {
            "RequestID": {"DataType": "String", "StringValue": request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": message},
        },
    }


def _arrival(record: Record) -> float:
    return float(record.body["dynamodb"].get("ApproximateCreationDateTime", 0))
