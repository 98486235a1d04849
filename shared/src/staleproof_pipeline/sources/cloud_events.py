"""Debezium's changes as CloudEvents: the same rows, with what an envelope tells of them beside it.

What an envelope has in `op` and `source` is in attributes of the event, such as `iodebeziumop` and `iodebeziumtable`.
All of these are texts. `data` has the rows, with or without a schema around them.

Source: https://debezium.io/documentation/reference/stable/integrations/cloudevents.html
"""

from __future__ import annotations

from typing import Any

from staleproof_pipeline.sources import debezium
from staleproof_pipeline.sources.fields import an_object, required

PREFIX = "iodebezium"
OPERATION = f"{PREFIX}op"
MAX_DIGITS = 19
"""Of a moment; what is longer is none."""


def is_change(payload: dict[str, Any]) -> bool:
    """Say whether *payload* is a change of Debezium's as an event."""
    return "specversion" in payload and OPERATION in payload


def envelope(event: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the envelope that *event* stands for, and the schema of its rows or None.

    Raises:
        MalformedEventError: its operation, or its data, is missing or wrong.
    """
    data, schema = debezium.unwrapped(event.get("data"))
    rows = an_object(data, "data")
    told = {name.removeprefix(PREFIX): each for name, each in event.items() if name.startswith(PREFIX)}
    moment = str(told.get("tsms", ""))
    source = {
        **told,
        "ts_ms": int(moment) if moment.isascii() and moment.isdecimal() and len(moment) <= MAX_DIGITS else 0,
    }
    made = {"op": required(event, OPERATION, str), "source": source}
    return {**made, "before": rows.get("before"), "after": rows.get("after")}, schema
