"""Plain JSON objects: a message of an application that knows nothing of us is the row after the change.

It may say `operation` and `keys`, as an event's detail may; what it does not say stays unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof_pipeline.change import ChangeEvent, Operation
from staleproof_pipeline.sources.fields import wrong

if TYPE_CHECKING:
    from staleproof_pipeline.sources.carried import Carrier

_OPERATIONS = {each.value: each for each in Operation}


def change(row: dict[str, Any], carrier: Carrier, keys: dict[str, Any] | None = None) -> ChangeEvent:
    """Return the change that leaves *row*; *keys* are those that the transport knows, beside the row's own.

    Raises:
        MalformedEventError: a field is out of bounds, or nothing names the entity.
    """
    if not (carrier.entity or carrier.channel):
        raise wrong(
            "entity", "", "known: nothing says what the row is of", "publish a change, which names its entity"
        )
    told = row.get("keys")
    return ChangeEvent.of(
        id=carrier.id,
        source=carrier.source,
        channel=carrier.channel,
        entity=carrier.entity or carrier.channel,
        operation=operation(row.get("operation")),
        keys={**(keys or {}), **(told if isinstance(told, dict) else {})},
        new=row,
        images=frozenset({"new"}),
        changed_ms=carrier.changed_ms,
        position=carrier.position,
        region=carrier.region,
        trace=carrier.trace,
    )


def operation(told: Any) -> Operation:
    """Return the operation that a row names, `OTHER` if it names none that is known."""
    return _OPERATIONS.get(told, Operation.OTHER) if isinstance(told, str) else Operation.OTHER
