"""Batches of an event source mapping, answered in the shape that Lambda reads.

It never raises for records: an error would throw away what was done before the first failure. If every record
failed the response names them all, and Lambda delivers the batch again. A failed record whose name cannot be read
can only be had again with the whole batch: an empty identifier says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from staleproof_pipeline.mappings import DYNAMODB
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.mappings import Mapping
    from staleproof_pipeline.report import Report

    Apply = Callable[[Sequence[Any]], Report]


class ItemFailure(TypedDict):
    """A record to deliver again; of Kafka the identifier is an object, else a text."""

    itemIdentifier: Any


class Response(TypedDict):
    """What a function answers to a mapping with `ReportBatchItemFailures`."""

    batchItemFailures: list[ItemFailure]


WHOLE_BATCH: list[ItemFailure] = [{"itemIdentifier": ""}]


def respond(event: Any, apply: Apply, mapping: Mapping = DYNAMODB) -> Response:
    """Apply the records that *mapping* delivered in *event*; return the response that Lambda expects.

    Raises:
        MalformedEventError: the event carries no records, so no such mapping sent it.
    """
    records = mapping.taken(event)
    outcomes = apply(records).outcomes if records else ()
    failed = {at for at, each in enumerate(outcomes) if each.outcome is Outcome.FAILED}
    if not failed:
        return {"batchItemFailures": []}
    failed.update(mapping.order.behind(records, failed))
    names = [mapping.identifier(records[at]) for at in sorted(failed)]
    if any(name is None for name in names):
        return {"batchItemFailures": [*WHOLE_BATCH]}
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}
