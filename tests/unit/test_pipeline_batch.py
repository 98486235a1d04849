"""The response to a stream's batch, in the exact shape that Lambda reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import MalformedEventError
from staleproof_pipeline.batch import respond
from staleproof_pipeline.report import Outcome, RecordOutcome, Report
from tests.unit.change_records import poison, record

if TYPE_CHECKING:
    from collections.abc import Sequence


def failing(*numbers: int) -> Any:
    """An apply that fails the records of *numbers*."""

    def apply(records: Sequence[Any]) -> Report:
        failed = RecordOutcome(Outcome.FAILED, RuntimeError("away"))
        done = RecordOutcome(Outcome.APPLIED)
        return Report(records, [failed if at in numbers else done for at in range(len(records))])

    return apply


def test_success_is_an_empty_list() -> None:
    """Nothing failed: nothing is named."""
    assert respond({"Records": [record(1)]}, failing()) == {"batchItemFailures": []}
    assert respond({"Records": []}, failing()) == {"batchItemFailures": []}


def test_exactly_the_failed_records_are_named() -> None:
    """By sequence number, as a string."""
    event = {"Records": [record(n) for n in range(4)]}

    assert respond(event, failing(1, 3)) == {
        "batchItemFailures": [{"itemIdentifier": "1001"}, {"itemIdentifier": "1003"}]
    }


def test_when_all_fail_all_are_named_and_nothing_is_raised() -> None:
    """A raise would say the same to Lambda and hide the reasons; the lowest number makes it start over."""
    event = {"Records": [record(n) for n in range(2)]}

    assert respond(event, failing(0, 1)) == {
        "batchItemFailures": [{"itemIdentifier": "1000"}, {"itemIdentifier": "1001"}]
    }


@pytest.mark.parametrize("nameless", [{}, {"dynamodb": {}}, {"dynamodb": None}, None, 5, []])
def test_a_failed_record_without_a_place_asks_for_the_whole_batch(nameless: Any) -> None:
    """It cannot be asked for by number, and must not pass for done."""
    event = {"Records": [record(1), nameless]}

    assert respond(event, failing(1)) == {"batchItemFailures": [{"itemIdentifier": ""}]}


def test_books_are_kept_anew_each_time() -> None:
    """One invocation's failures are not another's."""
    respond({"Records": [record(1)]}, failing(0))

    assert respond({"Records": [record(1), poison(2)]}, failing()) == {"batchItemFailures": []}


@pytest.mark.parametrize("event", [None, {}, [], {"Records": None}, {"Records": {}}, {"records": []}])
def test_an_event_that_no_mapping_sent_is_refused(event: Any) -> None:
    """A wrong trigger is told as such."""
    with pytest.raises(MalformedEventError, match="by a DynamoDB stream's event source mapping"):
        respond(event, failing())
