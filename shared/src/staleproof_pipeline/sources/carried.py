"""What carried a message: the place that every source knows of a record before it reads the message in it."""

from __future__ import annotations

from typing import NamedTuple

from staleproof_pipeline.change import Position, Source


class Carrier(NamedTuple):
    """Where a message lay, and what stands in for whatever the message does not tell itself.

    Attributes:
        source: what a message is a change of that names no source of its own, such as a plain row on a topic.
        channel: topic, stream, queue or bus.
        id: the transport's identity of the record, the same at every redelivery.
        position: the record's place.
        entity: of a plain row; the channel if empty.
        changed_ms: UTC milliseconds of the record, 0 if unknown.
        region: of the transport, or "".
        trace: trace id, or "".
    """

    source: Source
    channel: str
    id: str
    position: Position = Position()
    entity: str = ""
    changed_ms: int = 0
    region: str = ""
    trace: str = ""
