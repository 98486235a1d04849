"""Functions that append what they were given to the Valkey server of their region, and fail on demand.

A list a function keeps the deliveries, so a test sees every one of them, in order. What fails, and how, is set in the
hash `fail`: sequence value or event marker -> way.
"""

import json
import os
import signal
import time
from typing import Any

from redis import Redis

server = Redis.from_url(os.environ["STALEPROOF_CACHE_URL"], decode_responses=True)


def _marker(record: Any) -> str:
    image = record["dynamodb"].get("NewImage") or record["dynamodb"]["OldImage"]
    return str(image["v"]["N"])


def table(event: Any, context: Any) -> Any:
    """Report the records whose marker is in `fail`, or do worse."""
    markers = [_marker(record) for record in event["Records"]]
    server.rpush("deliveries", json.dumps(markers))
    server.rpush("events", json.dumps(event))
    failures = []
    for marker, record in zip(markers, event["Records"], strict=True):
        way = server.hget("fail", marker)
        if way == "raise":
            raise ValueError(f"poison {marker}")
        if way == "report":
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
        if way == "hang":
            server.rpush("hanging", os.getpid())
            time.sleep(60)
        if way == "kill-driver" and server.hdel("fail", marker):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
    return {"batchItemFailures": failures}


def bus(event: Any, context: Any) -> None:
    """Keep the event; raise if its detail says so."""
    server.rpush("bus", json.dumps(event))
    if event["detail"].get("fail"):
        raise RuntimeError("told to fail")


def replicate(event: Any, context: Any) -> None:
    """Keep the event."""
    server.rpush("schedule", json.dumps(event))
