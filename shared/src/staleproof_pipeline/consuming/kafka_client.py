"""The client library of Kafka: how its consumer is made, and its errors in our words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from staleproof.aws import kafka_iam
from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def translated() -> Iterator[None]:
    """Make errors of the client ours in this block."""
    from kafka import errors  # noqa: PLC0415 - an extra

    try:
        yield
    except errors.KafkaConfigurationError:
        raise
    except (errors.SaslAuthenticationFailedError, errors.AuthorizationError) as error:
        raise ProviderRejectedError(f"kafka refused: {error}; check credentials and access lists") from error
    except (errors.KafkaError, OSError) as error:
        raise ProviderUnavailableError(f"kafka: {type(error).__name__}: {error}; retry") from error


def consumer_of(servers: Sequence[str], group: str, *, options: dict[str, Any]) -> Any:
    """Return the client's consumer; *options* are further ones of the client, and those of `aws.kafka_iam`.

    Raises:
        ConfigurationError: the extra is not installed, or an option is ours or unknown.
        ProviderUnavailableError: no broker answers.
    """
    try:
        from kafka import KafkaConsumer  # noqa: PLC0415
        from kafka.errors import KafkaConfigurationError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError("reading Kafka needs kafka-python; install staleproof[kafka]") from error
    make: Any = KafkaConsumer
    options = kafka_iam.resolved(servers, options)
    ours: dict[str, Any] = {
        "bootstrap_servers": list(servers),
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
    }
    if taken := sorted(ours.keys() & options.keys()):
        raise ConfigurationError(f"{taken[0]} is set by the worker; leave it out of the Kafka options")
    try:
        with translated():
            return make(
                **{"isolation_level": "read_committed", "bootstrap_timeout_ms": 10_000, **options, **ours}
            )
    except (AssertionError, KafkaConfigurationError, TypeError, ValueError) as error:
        raise ConfigurationError(f"Kafka options: {error}") from error
