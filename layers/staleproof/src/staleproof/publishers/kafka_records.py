"""Messages as records of a Kafka topic, and what the client library says of them.

A change's key is its entity and the row's keys, so that all changes of a row lie in one partition, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from kafka import errors as theirs

from staleproof.errors import (
    CacheError,
    EventError,
    OversizedEventError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.events.change import Change, Message, encode
from staleproof.ports import Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")

SPOILT = (
    theirs.OutOfOrderSequenceNumberError,
    theirs.UnknownProducerIdError,
    theirs.InvalidProducerEpochError,
    theirs.ProducerFencedError,
    theirs.IllegalStateError,
)
"""After these a producer accepts nothing more, and a new one is needed."""


class Sent(NamedTuple):
    """A message that the client library was given: what it promised, or why it refused."""

    message: Message
    promise: Any = None
    error: CacheError | None = None


def record_key(message: Message) -> bytes | None:
    """Return the key of *message*'s record: `["product",{"id":42}]`; None where no row is named."""
    return _encoder.encode([message.entity, message.keys]) if isinstance(message, Change) else None


def hand_over(producer: Any, topic: str, messages: Sequence[Message], where: str) -> list[Sent]:
    """Give *messages* to *producer*, in their order; the first that finds nobody there speaks for those behind it."""
    sent: list[Sent] = []
    away: CacheError | None = None
    for message in messages:
        if away is not None:
            sent.append(Sent(message, error=away))
            continue
        try:
            value = encode(message)
            headers = [("staleproof", b"change" if isinstance(message, Change) else b"invalidate")]
            promise = producer.send(topic, value=value, key=record_key(message), headers=headers)
        except theirs.KafkaTimeoutError as error:
            away = told(error, where)
            sent.append(Sent(message, error=away))
        except (theirs.KafkaError, ValueError) as error:
            sent.append(Sent(message, error=told(error, where)))
        except EventError as error:
            sent.append(Sent(message, error=error))
        else:
            sent.append(Sent(message, promise))
    return sent


def receipt(sent: Sent, where: str) -> Receipt:
    """Return what became of a message, after the wait for it is over."""
    if sent.error is not None:
        return Receipt(sent.message.id, error=sent.error)
    if not sent.promise.is_done:
        waited = f"{where}: no acknowledgement in time; it may arrive all the same: retry, harmlessly"
        return Receipt(sent.message.id, error=ProviderUnavailableError(waited))
    if sent.promise.exception is not None:
        return Receipt(sent.message.id, error=told(sent.promise.exception, where))
    placed = sent.promise.value
    return Receipt(sent.message.id, f"{placed.topic}-{placed.partition}:{placed.offset}")


def told(error: Exception, where: str) -> CacheError:
    """Return our error for the client library's *error*."""
    if isinstance(error, theirs.MessageSizeTooLargeError | theirs.RecordListTooLargeError):
        return OversizedEventError(
            f"{where} takes no such record: {error}; name keys, and leave old and new out"
        )
    passing = isinstance(error, (theirs.KafkaConnectionError, *SPOILT)) or getattr(error, "retriable", False)
    if passing:
        return ProviderUnavailableError(f"{where}: {error}; retry")
    return ProviderRejectedError(f"{where} refused it: {error}")


def expired(sent: Sequence[Sent]) -> bool:
    """Say whether a record was given up, or has no acknowledgement yet."""
    promises = [each.promise for each in sent if each.promise is not None]
    return any(not each.is_done or isinstance(each.exception, theirs.KafkaTimeoutError) for each in promises)


def spoilt(sent: Sequence[Sent]) -> bool:
    """Say whether the producer is of no further use."""
    return any(each.promise is not None and isinstance(each.promise.exception, SPOILT) for each in sent)
