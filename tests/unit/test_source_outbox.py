"""What `outbox_item` puts beside a row, the pipeline reads as the message that it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from staleproof.errors import MalformedEventError
from staleproof.events import Change, Invalidate
from staleproof.publishers import outbox_item
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.sources import Asked, Ignored
from staleproof_pipeline.sources.dynamodb_streams import SOURCE
from tests.architecture.tree import ROOT

CHANGE = Change.now("product", "modify", keys={"id": 42}, new={"id": 42, "price": 12.5}, region="eu-west-1")


def record(item: dict[str, Any], operation: str = "INSERT") -> dict[str, Any]:
    """Return the stream's record of *item*."""
    raw: dict[str, Any] = json.loads((ROOT / "events" / "dynamodb-insert.json").read_text())
    raw = raw["Records"][0] if "Records" in raw else raw
    image = "OldImage" if operation == "REMOVE" else "NewImage"
    told = {name: value for name, value in raw["dynamodb"].items() if name not in {"OldImage", "NewImage"}}
    return raw | {"eventName": operation, "dynamodb": told | {"Keys": {"id": item["id"]}, image: item}}


@pytest.mark.parametrize("operation", ["INSERT", "MODIFY"])
def test_a_change_in_an_outbox_is_the_change(operation: str) -> None:
    """Entity, rows and id are the message's: rules see what the application said, not the outbox's item."""
    found = SOURCE.parse(record(outbox_item(CHANGE), operation))

    assert isinstance(found, ChangeEvent)
    assert (found.id, found.entity, found.operation) == (CHANGE.id, "product", Operation.MODIFY)
    assert (found.source, found.keys, found.changed_ms) == (Source.APPLICATION, {"id": 42}, CHANGE.changed_ms)


def test_an_invalidation_in_an_outbox_needs_no_rule() -> None:
    """Tags and keys are asked for by name."""
    message = Invalidate.now("catalog", keys=["product:1"], soft=True, row_version=7)
    found = SOURCE.parse(record(outbox_item(message)))

    assert isinstance(found, Asked)
    assert (found.id, found.tags, found.keys, found.soft) == (message.id, ("catalog",), ("product:1",), True)


def test_an_item_that_goes_says_nothing_again() -> None:
    """The time to live removes items weeks later: what they said is not done a second time."""
    assert isinstance(SOURCE.parse(record(outbox_item(CHANGE), "REMOVE")), Ignored)


@pytest.mark.parametrize(
    "differs",
    [
        {"author": {"S": "somebody"}},
        {"id": {"S": "other"}},
        {"message": {"S": "hello"}},
        {"message": {"N": "1"}},
    ],
)
def test_another_table_with_a_message_is_no_outbox(differs: dict[str, Any]) -> None:
    """What people write into a `message` column of some table is that table's change, and nothing more."""
    found = SOURCE.parse(record(outbox_item(CHANGE) | differs))
    assert isinstance(found, ChangeEvent)
    assert found.source is Source.DYNAMODB


def test_a_message_that_is_cut_is_malformed() -> None:
    """An outbox item whose message cannot be read goes to the dead letter."""
    item = outbox_item(CHANGE)
    with pytest.raises(MalformedEventError):
        SOURCE.parse(record(item | {"message": {"S": item["message"]["S"][:-5]}}))
