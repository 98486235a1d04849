"""Items of an outbox table in DynamoDB: what its stream tells is the message in them, not that an item was written.

An item has exactly the attributes `id`, `message` and `expires_at`, and its id is the message's: a table that happens
to have a `message` column is none, whatever people write into it. An item that goes has said what it had to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import Ignored, published
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.documents import document

if TYPE_CHECKING:
    from staleproof_pipeline.sources import Asked

ATTRIBUTES = frozenset({"id", "message", "expires_at"})
PREFIX = '{"staleproof":'


def opened(found: ChangeEvent | Ignored) -> ChangeEvent | Asked | Ignored:
    """Return what the item of an outbox says, and anything else as it is.

    Raises:
        EventError: the message in it can never be read.
    """
    if isinstance(found, Ignored) or found.source is not Source.DYNAMODB:
        return found
    message = _message(found.new or found.old)
    if message is None:
        return found
    if found.operation is Operation.REMOVE:
        return Ignored("an item of an outbox was removed, after it had been read")
    carrier = Carrier(
        source=Source.DYNAMODB,
        channel=found.channel,
        id=found.id,
        position=found.position,
        changed_ms=found.changed_ms,
        region=found.region,
        trace=found.trace,
    )
    return published.read(message, carrier)


def _message(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None or row.keys() != ATTRIBUTES:
        return None
    text = row["message"]
    if not isinstance(text, str) or not text.startswith(PREFIX):
        return None
    told = document(text, "message")
    return told if published.is_published(told) and told.get("id") == row["id"] else None
