"""What a message says, whatever transport carried it: the kinds of JSON documents that tell changes.

They are told apart by their marks, in this order: a published message, an event of a bus, a change that DynamoDB wrote
to a stream, Debezium's, and what is left is a plain row. A list of documents is each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import EventError, OversizedEventError
from staleproof_pipeline.change import Source
from staleproof_pipeline.errors import ForbiddenEventError
from staleproof_pipeline.sources import (
    Ignored,
    Parsed,
    Replicated,
    cloud_events,
    combined,
    debezium,
    dynamodb_streams,
    eventbridge,
    published,
    rows,
    s3,
)
from staleproof_pipeline.sources.documents import document as text_document
from staleproof_pipeline.sources.fields import an_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.sources.carried import Carrier

MAX_DOCUMENTS = 10_000
"""Of one record; an invocation's payload has room for few more."""


def read(document: Any, carrier: Carrier, keys: dict[str, Any] | None = None) -> Parsed:
    """Return what *document* tells; *keys* are those of the record that carried it.

    Raises:
        EventError: it can never be read.
    """
    if isinstance(document, list):
        return each(document, lambda one, at: read_one(one, carrier._replace(id=f"{carrier.id}:{at}"), keys))
    return read_one(document, carrier, keys)


def read_one(document: Any, carrier: Carrier, keys: dict[str, Any] | None = None) -> Parsed:
    """Return what *document* tells, which is no list; raises as `read` does."""
    told, schema = debezium.unwrapped(document)
    if isinstance(told, str) and told.startswith("{"):  # a connector that takes the document for a text
        told = text_document(told, "message")
    payload = an_object(told, "message")
    if cloud_events.is_change(payload):
        payload, schema = cloud_events.envelope(payload)
    if published.is_published(payload):
        return published.read(payload, carrier)
    if eventbridge.is_event(payload):
        return _of_bus(payload, carrier)
    if dynamodb_streams.is_kinesis(payload):
        return dynamodb_streams.of_kinesis(payload, carrier)
    if payload.get("eventSource") == dynamodb_streams.EVENT_SOURCE:
        return dynamodb_streams.change(payload)
    if s3.is_test(payload):
        return s3.parse(payload)
    return _row(payload, schema, carrier, keys or {})


def _of_bus(event: dict[str, Any], carrier: Carrier) -> Parsed:
    """What an event tells.

    Regions tell each other by buses, behind which there may be queues, and not by topics or streams: whoever may write
    into one of these could otherwise clear what no published message may.
    """
    found = eventbridge.parse(event)
    if isinstance(found, Replicated) and carrier.source in _APPLICATIONS_OWN:
        raise ForbiddenEventError(
            f"invalidations of region {found.origin[:64]!r} by {carrier.source} {carrier.channel[:80]!r}; send them by "
            "the bus of this region, or publish an invalidation"
        )
    return found


_APPLICATIONS_OWN = (Source.KAFKA, Source.REDIS_STREAM)


def _row(payload: dict[str, Any], schema: Any, carrier: Carrier, keys: dict[str, Any]) -> Parsed:
    marker: Ignored | None = debezium.marker(payload, carrier.channel)
    if marker is not None:
        return marker
    if debezium.is_envelope(payload):
        return debezium.change(payload, schema, carrier, keys)
    if debezium.is_flat(payload):
        return debezium.flat_change(payload, schema, carrier, keys)
    return rows.change(payload, carrier, keys)


def each(documents: Sequence[Any], reader: Callable[[Any, int], Parsed]) -> Parsed:
    """Read *documents* one by one; an error of one costs the others nothing.

    Raises:
        OversizedEventError: there are more than `MAX_DOCUMENTS`.
    """
    if len(documents) > MAX_DOCUMENTS:
        raise OversizedEventError(f"message: {len(documents)} documents exceed {MAX_DOCUMENTS}; send several")
    return combined(_attempt(reader, one, at) for at, one in enumerate(documents))


def _attempt(reader: Callable[[Any, int], Parsed], one: Any, at: int) -> Parsed | EventError:
    try:
        return reader(one, at)
    except EventError as error:
        return error
