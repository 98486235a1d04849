"""Sources: a raw record in, what it tells out. Pure: no client, no clock.

A record that can never be read raises an `EventError`, which sends it to the dead letter; nothing else is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from staleproof_pipeline.change import ChangeEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from staleproof.errors import EventError
    from staleproof.events import Invalidation


class Replicated(NamedTuple):
    """Invalidations that another region has applied already, to be applied here too.

    Attributes:
        origin: the region that ships them.
        invalidations: those that can be read.
        errors: why others cannot.
    """

    origin: str
    invalidations: tuple[Invalidation, ...]
    errors: tuple[EventError, ...] = ()


class Asked(NamedTuple):
    """An invalidation that an application asks for by name: no rule is needed.

    Attributes:
        id: its identity, the same at every redelivery.
        namespace: where, or None for the deployment's own.
        tags: tag texts.
        keys: key texts.
        soft: what it names becomes stale instead of gone.
        row_version: the row's version after the change, or None.
        lag_ms: how long loads of older rows are not stored.
        trace: trace id, or "".
        channel: the place that carried it, as in `ChangeEvent`.
        position: its place in its source.
    """

    id: str
    namespace: str | None
    tags: tuple[str, ...]
    keys: tuple[str, ...]
    soft: bool = False
    row_version: int | None = None
    lag_ms: int = 0
    trace: str = ""
    channel: str = ""
    position: str = ""


class Ignored(NamedTuple):
    """Nothing changed: a heartbeat, a transaction marker, a test event.

    Attributes:
        reason: why, for people.
    """

    reason: str


class Several(NamedTuple):
    """What a record tells that carries others; it has one outcome, for all of them.

    Attributes:
        parts: what can be read, in the order of the record.
        errors: why other parts cannot; they cost these nothing.
    """

    parts: tuple[Single, ...]
    errors: tuple[EventError, ...] = ()


Single: TypeAlias = ChangeEvent | Replicated | Asked | Ignored
Parsed: TypeAlias = Single | Several


class RecordSource(NamedTuple):
    """How to read one kind of record.

    Attributes:
        name: for logs and dead letters.
        parse: reads a raw record; raises `EventError`.
        ordered: a failed record makes its source deliver everything after it again.
    """

    name: str
    parse: Callable[[Any], Parsed]
    ordered: bool


def combined(results: Iterable[Parsed | EventError]) -> Parsed:
    """Return *results* as one: itself if there is one part and no error, else `Several`, which never nests."""
    parts: list[Single] = []
    errors: list[EventError] = []
    for each in results:
        if isinstance(each, Several):
            parts += each.parts
            errors += each.errors
        elif isinstance(each, Exception):
            errors.append(each)
        else:
            parts.append(each)
    return parts[0] if len(parts) == 1 and not errors else Several(tuple(parts), tuple(errors))
