"""Publishers: how an application says what it changed, over whatever transport leads to the pipeline.

>>> from staleproof import publishers
>>> from staleproof.events import Change
>>> publisher = publishers.of("memory://")
>>> [receipt] = publisher.publish(Change.now("product", "modify", keys={"id": 42}))
>>> receipt.taken
True

Names are resolved at first use, so nobody pays for a transport that is not used; each needs an extra of its own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.publishers.addresses import async_of, of
    from staleproof.publishers.async_kafka import AsyncKafkaPublisher
    from staleproof.publishers.backoff import Pauses, pauses
    from staleproof.publishers.eventbridge import AsyncEventBridgePublisher, EventBridgePublisher
    from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher
    from staleproof.publishers.kafka import KafkaPublisher
    from staleproof.publishers.memory import (
        AsyncMemoryPublisher,
        AsyncNullPublisher,
        MemoryPublisher,
        NullPublisher,
    )
    from staleproof.publishers.outbox import AsyncOutboxPublisher, OutboxPublisher
    from staleproof.publishers.outbox_route import outbox_item, outbox_table
    from staleproof.publishers.redis_streams import AsyncRedisStreamsPublisher, RedisStreamsPublisher

_HOMES = {
    "AsyncEventBridgePublisher": "eventbridge",
    "AsyncKafkaPublisher": "async_kafka",
    "AsyncMemoryPublisher": "memory",
    "AsyncNullPublisher": "memory",
    "AsyncOutboxPublisher": "outbox",
    "AsyncRedisStreamsPublisher": "redis_streams",
    "AwaitingPublisher": "faces",
    "BlockingPublisher": "faces",
    "EventBridgePublisher": "eventbridge",
    "KafkaPublisher": "kafka",
    "MemoryPublisher": "memory",
    "NullPublisher": "memory",
    "OutboxPublisher": "outbox",
    "Pauses": "backoff",
    "RedisStreamsPublisher": "redis_streams",
    "async_of": "addresses",
    "of": "addresses",
    "outbox_item": "outbox_route",
    "outbox_table": "outbox_route",
    "pauses": "backoff",
}

__all__ = [
    "AsyncEventBridgePublisher",
    "AsyncKafkaPublisher",
    "AsyncMemoryPublisher",
    "AsyncNullPublisher",
    "AsyncOutboxPublisher",
    "AsyncRedisStreamsPublisher",
    "AwaitingPublisher",
    "BlockingPublisher",
    "EventBridgePublisher",
    "KafkaPublisher",
    "MemoryPublisher",
    "NullPublisher",
    "OutboxPublisher",
    "Pauses",
    "RedisStreamsPublisher",
    "async_of",
    "of",
    "outbox_item",
    "outbox_table",
    "pauses",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use, like everything here

    value: object = getattr(import_module(f"staleproof.publishers.{home}"), name)
    globals()[name] = value
    return value
