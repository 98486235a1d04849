"""Batches of stream records, answered in the shape that Lambda reads.

Powertools keeps the books (which record succeeded, which failed) and writes the response; the work is done for the
whole batch at once, since applying a hundred invalidations takes one round trip and not a hundred.

It never raises for records: an error would throw away what was done before the first failure. If every record
failed the response names them all, and Lambda delivers the batch again from the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType

from staleproof.errors import MalformedEventError
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse, PartialItemFailures

    from staleproof_pipeline.report import RecordOutcome, Report

    Apply = Callable[[Sequence[Any]], Report]


class BulkProcessor(BatchProcessor):
    """A `BatchProcessor` whose handler takes all records and returns a `Report`."""

    def __init__(self, event_type: EventType) -> None:
        super().__init__(event_type, raise_on_entire_batch_failure=False)

    def process(self) -> list[tuple[Any, ...]]:
        """Hand the records to the handler, and book each one's outcome."""
        report: Report = self.handler(self.records)
        return [self._book(*each) for each in zip(self.records, report.outcomes, strict=True)]

    def _book(self, record: Any, outcome: RecordOutcome) -> tuple[Any, ...]:
        typed = self._to_batch_type(record if isinstance(record, dict) else {}, self.event_type)
        if outcome.outcome is not Outcome.FAILED:
            return self.success_handler(typed, outcome.outcome)
        error = outcome.error or RuntimeError("unknown")
        return self.failure_handler(typed, (type(error), error, error.__traceback__))

    def _get_messages_to_report(self) -> list[PartialItemFailures]:
        # A record without a readable place can only be had again with the whole batch: an empty identifier says so.
        if all(_has_place(record) for record in self.fail_messages):
            return super()._get_messages_to_report()
        return [{"itemIdentifier": ""}]


def _has_place(record: Any) -> bool:
    told = record.raw_event.get("dynamodb")
    return isinstance(told, dict) and isinstance(told.get("SequenceNumber"), str)


def respond(event: Any, apply: Apply) -> PartialItemFailureResponse:
    """Apply the records of a DynamoDB stream *event*; return the response that Lambda expects.

    Raises:
        MalformedEventError: the event carries no list of records, so no mapping sent it.
    """
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        raise MalformedEventError(
            "event: there is no list 'Records'; invoke this function by a DynamoDB stream's event source mapping"
        )
    processor = BulkProcessor(EventType.DynamoDBStreams)
    with processor(records, apply):
        processor.process()
    return processor.response()
