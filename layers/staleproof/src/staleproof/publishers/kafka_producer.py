"""`Producer`: kafka-python's producer, made so that nothing stays open if that fails, and closed in bounded time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

if TYPE_CHECKING:
    from collections.abc import Callable

CLOSING = 5.0
"""Seconds that closing waits for what is under way."""


class Producer:
    """A producer and its connections.

    Args:
        make: makes it of *options*.
        options: of kafka-python's producer.
    """

    def __init__(self, make: Callable[..., Any], options: dict[str, Any]) -> None:
        clients: list[Any] = []

        def client(**given: Any) -> Any:
            clients.append(KafkaNetClient(**given))
            return clients[-1]

        try:
            self._producer = make(**({"kafka_client": client} if make is KafkaProducer else {}), **options)
        except BaseException:
            for each in clients:
                each.close()
            raise

    def send(self, topic: str, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        """Take a record; return the promise of its place."""
        return self._producer.send(topic, value=value, key=key, headers=headers)

    def flush(self, timeout: float) -> None:
        """Wait until every record was acknowledged or has failed, for *timeout* seconds at most."""
        with contextlib.suppress(KafkaTimeoutError):  # the promises say which records are left
            self._producer.flush(timeout=timeout)

    def close(self) -> None:
        """Send what is under way, for some seconds at most, and close."""
        try:
            self._producer.close(timeout=CLOSING)
        except KafkaTimeoutError:
            self.abandon()

    def abandon(self) -> None:
        """Close, and give up what is under way."""
        sender = getattr(self._producer, "_sender", None)
        if sender is not None:  # `close` would flush first, and raise for what it cannot flush
            sender.force_close()
            sender.join(CLOSING)
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=CLOSING)


def unknown(options: dict[str, Any]) -> set[str]:
    """Return the names among *options* that kafka-python does not know."""
    return set(options.keys() - KafkaProducer.DEFAULT_CONFIG.keys())
