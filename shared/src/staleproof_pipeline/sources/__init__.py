"""Sources: a raw record in, a `ChangeEvent` out. Pure: no client, no clock.

A record that can never be read raises an `EventError`, which sends it to the dead letter; nothing else is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from staleproof.errors import EventError
    from staleproof.events import Invalidation
    from staleproof_pipeline.change import ChangeEvent


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


class RecordSource(NamedTuple):
    """How to read one kind of record.

    Attributes:
        name: for logs and dead letters.
        parse: reads a raw record; raises `EventError`.
        ordered: a failed record makes its source deliver everything after it again.
    """

    name: str
    parse: Callable[[Any], ChangeEvent | Replicated]
    ordered: bool


if TYPE_CHECKING:
    Parsed: TypeAlias = ChangeEvent | Replicated
