"""Publisher to a Kafka topic, or MSK, for blocking code.

The producer of the client library is idempotent and waits for all replicas in sync; it retries by itself, and a retry
neither doubles a record nor changes the order in a partition. `send` waits until every record was acknowledged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from staleproof.errors import CacheError, ConfigurationError, ProviderUnavailableError
from staleproof.ports import Receipt
from staleproof.publishers.faces import BlockingPublisher
from staleproof.publishers.kafka_options import TIMEOUT, producer_options
from staleproof.publishers.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.events import Message
    from staleproof.publishers.kafka_records import Sent

_SERVER = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
_TOPIC = re.compile(r"(?a)[\w.-]{1,249}")


class KafkaPublisher(BlockingPublisher):
    """Appends messages to a topic; needs the extra `kafka`.

    Args:
        servers: `host:port` of some brokers.
        topic: the topic.
        timeout: seconds within which a record is acknowledged, or fails.
        producer: makes the producer of the options; that of kafka-python by default.
        options: `iam=True` for a cluster with IAM access control, and its `region` if no broker's name tells it; and
            options of kafka-python's producer: `security_protocol="SASL_SSL"`, `sasl_mechanism="SCRAM-SHA-512"`,
            `ssl_cafile`, `compression_type` and the rest.

    Raises:
        ConfigurationError: a server, the topic or an option cannot be, or the extra is not installed.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        topic: str,
        *,
        timeout: float = TIMEOUT,
        producer: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        listed = servers.split(",") if isinstance(servers, str) else list(servers)
        wrong = next((each for each in listed if not _SERVER.fullmatch(each)), None)
        if wrong is not None or not listed:
            raise ConfigurationError(
                f"servers: {wrong!r:.80} is no broker; write host:9092, several with commas"
            )
        if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
            raise ConfigurationError(f"topic={topic!r:.80} is no topic; write kafka://host:9092/TOPIC")
        self._topic, self._timeout = topic, timeout
        self.where = f"topic {topic!r} at {listed[0]}"
        self._options = producer_options(listed, timeout, options)
        self._make = producer
        self._client = Opened(self._connect)
        self._check()

    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """See `Publisher.send`. Waits for the acknowledgements, `timeout` seconds at most once there is a broker."""
        from staleproof.publishers import kafka_records as records  # noqa: PLC0415 - needs the extra

        if not messages:
            return []
        try:
            producer = self._client.get()
        except ProviderUnavailableError as error:
            return [Receipt(message.id, error=error) for message in messages]
        sent = self._carry(producer, messages)
        if records.spoilt(sent):
            # Nothing of these was written: the brokers lost, or never had, what the producer counts on. A new one
            # begins to count anew, once: a second time would be no accident.
            self._abandon()
            sent = self._carried_anew(sent)
        if records.expired(sent):
            self._abandon()  # what it knows of the brokers may be out of date
        return [records.receipt(each, self.where) for each in sent]

    def _carry(self, producer: Any, messages: Sequence[Message]) -> list[Sent]:
        from staleproof.publishers.kafka_records import hand_over  # noqa: PLC0415 - needs the extra

        sent = hand_over(producer, self._topic, messages, self.where)
        if any(each.promise is not None for each in sent):
            producer.flush(self._timeout)
        return sent

    def _abandon(self) -> None:
        producer = self._client.take()
        if producer is not None:
            producer.abandon()

    def _carried_anew(self, sent: list[Sent]) -> list[Sent]:
        from staleproof.publishers.kafka_records import spoilt  # noqa: PLC0415 - needs the extra

        try:
            producer = self._client.get()
        except ProviderUnavailableError:
            return sent
        anew = iter(self._carry(producer, [each.message for each in sent if spoilt([each])]))
        return [next(anew) if spoilt([each]) else each for each in sent]

    def _check(self) -> None:
        """Refuse options that the client library does not know; it would tell their values, too."""
        try:
            from staleproof.publishers.kafka_producer import unknown  # noqa: PLC0415 - needs the extra
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "publishing to Kafka needs kafka-python; install staleproof[kafka]"
            ) from error
        names = unknown(self._options)
        if names:
            raise ConfigurationError(f"{min(names)!r} is no option of kafka-python's producer; leave it out")

    def _connect(self) -> Any:
        from kafka import KafkaProducer  # noqa: PLC0415 - an extra, and heavy
        from kafka.errors import KafkaError  # noqa: PLC0415

        from staleproof.publishers.kafka_producer import Producer  # noqa: PLC0415

        try:
            return Producer(self._make or KafkaProducer, self._options)
        except KafkaError as error:
            raise self._unconnected(error) from error
        except (AssertionError, TypeError, ValueError, OSError) as error:
            raise ConfigurationError(f"{self.where}: {error}; correct the producer's options") from error

    def _unconnected(self, error: Exception) -> CacheError:
        if getattr(error, "retriable", False):
            return ProviderUnavailableError(
                f"{self.where}: {error}; retry, and check security_protocol if it lasts"
            )
        return ConfigurationError(f"{self.where}: {error}; correct the producer's options")

    def close(self) -> None:
        """See `Publisher.close`. What is under way is waited for, some seconds at most."""
        self._client.close()
