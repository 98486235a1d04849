"""Functions that write what they were given to the Valkey server of their region, and misbehave on demand.

A test sees every delivery, in order, in the lists `deliveries` and `events`. How a record is failed is said by its
marker, the number in its attribute `v`: once for every element of the list `once:MARKER`, and always by
the hash `always`. The ways are below.
"""

import json
import os
import signal
import time
from typing import Any

from redis import Redis

server = Redis.from_url(os.environ["STALEPROOF_CACHE_URL"], decode_responses=True)


def marker(record: Any) -> str:
    """Return what a test calls the record."""
    image = record["dynamodb"].get("NewImage") or record["dynamodb"]["OldImage"]
    return str(image["v"]["N"])


def way(name: str) -> str:
    """Return how the record is to be failed now, or ""."""
    return str(server.lpop(f"once:{name}") or server.hget("always", name) or "")


def table(event: Any, context: Any) -> Any:
    """Take a batch of stream records."""
    names = [marker(record) for record in event["Records"]]
    server.rpush("events", json.dumps(event))
    server.rpush("deliveries", json.dumps([int(name) for name in names]))  # tests wait for this one
    ways = [way(name) for name in names]
    if "raise" in ways:
        raise ValueError("poison")
    if "hang" in ways:
        server.rpush("hanging", os.getpid())
        time.sleep(60)
    if "kill-driver" in ways:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if "wrong-key" in ways:
        return {"batchItemFailures": [{"id": "1"}]}
    failed = [record for record, how in zip(event["Records"], ways, strict=True) if how == "report"]
    return {"batchItemFailures": [{"itemIdentifier": each["dynamodb"]["SequenceNumber"]} for each in failed]}


def bus(event: Any, context: Any) -> None:
    """Take an event of a bus; raise if its detail says so."""
    server.rpush("bus", json.dumps(event))
    if event["detail"].get("fail"):
        raise RuntimeError("told to fail")


def replicate(event: Any, context: Any) -> None:
    """Take a scheduled event."""
    server.rpush("schedule", json.dumps(event))
