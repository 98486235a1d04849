"""DynamoDB stream records: from what the API returns to what a Lambda function is given.

The API's client turns binary attributes into bytes and times into datetimes; a Lambda event is JSON, with binary as
base64 and the creation time as epoch seconds.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any


def lambda_record(record: dict[str, Any], stream_arn: str) -> dict[str, Any]:
    """Return *record*, as `GetRecords` returns it, in the shape of an event's `Records[]`."""
    body = dict(record["dynamodb"])
    created = body.get("ApproximateCreationDateTime")
    if isinstance(created, datetime):
        body["ApproximateCreationDateTime"] = int(created.timestamp())
    for image in ("Keys", "NewImage", "OldImage"):
        if image in body:
            body[image] = {name: attribute(value) for name, value in body[image].items()}
    shaped = {**record, "dynamodb": body, "eventSourceARN": stream_arn}
    if identity := record.get("userIdentity"):  # the API writes it with capitals, the event without
        shaped["userIdentity"] = {"principalId": identity["PrincipalId"], "type": identity["Type"]}
    return shaped


def attribute(value: dict[str, Any]) -> dict[str, Any]:
    """Return one attribute value, such as `{"B": b"…"}`, with its binary as base64 text, at any depth."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            content = _text(content)
        case "BS":
            content = [_text(item) for item in content]
        case "L":
            content = [attribute(item) for item in content]
        case "M":
            content = {name: attribute(item) for name, item in content.items()}
    return {kind: content}


def _text(binary: bytes) -> str:
    return base64.b64encode(binary).decode()
