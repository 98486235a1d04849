"""The options of the Kafka producer: ours, which keep what is promised, and the caller's, which pass through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws import kafka_iam
from staleproof.errors import ConfigurationError
from staleproof.publishers.figures import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 30.0
LONGEST_TIMEOUT = 600.0
LINGER_MS = 5
"""Milliseconds that a record waits for others to share its request."""

KEPT = {"enable_idempotence": True, "acks": "all"}
"""What nobody may change: without them a retry doubles or loses records, or reorders those of a row."""

OURS = frozenset(
    {*KEPT, "bootstrap_servers", "key_serializer", "value_serializer", "transactional_id", "retries"}
)
MOST_IN_FLIGHT = 5


def producer_options(servers: Sequence[str], timeout: float, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a producer is made with.

    Args:
        servers: `host:port` of some brokers.
        timeout: seconds within which a record is acknowledged, or fails.
        given: the caller's options of the client library, such as `security_protocol` and `sasl_mechanism`; and those
            of `staleproof.aws.kafka_iam`.

    Raises:
        ConfigurationError: an option is ours, or a figure is out of range.
    """
    seconds(timeout, "timeout", LONGEST_TIMEOUT)
    ours = sorted(OURS & given.keys())
    if ours:
        raise ConfigurationError(f"{ours[0]} is set by the publisher; leave it out")
    in_flight = given.get("max_in_flight_requests_per_connection", MOST_IN_FLIGHT)
    whole(
        in_flight, "max_in_flight_requests_per_connection", 1, MOST_IN_FLIGHT
    )  # beyond it the order is lost
    milliseconds = max(1, int(timeout * 1_000))
    delivery = max(1, milliseconds * 9 // 10)  # so that it is over, and known, when the wait for it ends
    linger = min(LINGER_MS, milliseconds // 4)
    bounds = {
        "linger_ms": linger,
        "request_timeout_ms": max(1, min(10_000, delivery - linger)),
        "delivery_timeout_ms": delivery,
        "max_block_ms": milliseconds,
        "bootstrap_timeout_ms": milliseconds,
    }
    return {**bounds, **kafka_iam.resolved(servers, given), **KEPT, "bootstrap_servers": list(servers)}
