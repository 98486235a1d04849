"""Invalidations that are applied later: the port that keeps them until then, and how they come back.

Theory of operation. A rule with `delay` invalidates twice, the second time when replicas of the source have caught up;
one with `coalesce` puts changes off to the end of a window. What is put off is *stored first*: only then does its
record count as handled, and if storing fails the record fails and comes again. When its time has come it is a record
like any other (`DUE`): read by `DueTranslator`, applied by an `Invalidator`, retried and dead-lettered as any. A crash
at any point repeats something, and repeating is harmless.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CacheError, ConfigurationError, EventError
from staleproof.events.invalidation import decode, encode
from staleproof_pipeline import bounds
from staleproof_pipeline.errors import FieldError, ForbiddenEventError
from staleproof_pipeline.sources import RecordSource, Replicated
from staleproof_pipeline.translation import Translated, Translator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.clock import Clock
    from staleproof.events import Invalidation
    from staleproof_pipeline.followups import Deferred

MAX_BODY = 1_048_576
"""Characters of a message's body: as long as SQS carries."""


class Deferrer(Protocol):
    """Keeps invalidations until they are due."""

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """Store *items* so that no crash loses them; return the error of each that is not stored. Must not raise."""
        ...


class NoDeferrer:
    """Where nothing was configured: what should be put off fails, since half of its rule's work would be lost."""

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """See `Deferrer.defer`."""
        return [
            ConfigurationError(
                "a rule has 'delay' or 'coalesce', and nothing keeps what it puts off; give this pipeline a deferrer"
            )
            for _ in items
        ]


class MemoryDeferrer:
    """Keeps them in this process, for tests and for a worker whose source is delivered again after a crash.

    Args:
        clock: says when one is due.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Invalidation]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """See `Deferrer.defer`."""
        now = self._clock.monotonic()
        with self._lock:
            for each in items:
                due = now + each.delay_ms / 1_000
                heapq.heappush(self._waiting, (due, next(self._order), each.invalidation))
        return [None] * len(items)

    def due(self) -> list[str]:
        """Take what is due, as records of `DUE`. Whoever takes them must apply them, or `defer` them again."""
        now = self._clock.monotonic()
        taken: list[str] = []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= now:
                taken.append(encode(heapq.heappop(self._waiting)[2]).decode())
        return taken

    def next_due(self) -> float | None:
        """Return how many seconds until one is due, None if nothing waits."""
        with self._lock:
            return max(0.0, self._waiting[0][0] - self._clock.monotonic()) if self._waiting else None


def _due(record: Any) -> Replicated:
    """Read the body of a deferred message, or the record of a queue that carries it."""
    body = record.get("body") if isinstance(record, dict) else record
    if not isinstance(body, str | bytes) or len(body) > MAX_BODY:
        raise FieldError(
            "body: no text of a deferred invalidation; only this pipeline sends to its queue", "body"
        )
    found = bounds.checked(decode(body))
    return Replicated(found.origin, (found,))


DUE = RecordSource("deferred", _due, ordered=False)


class DueTranslator(Translator):
    """Reads what was put off here and is due; takes the same arguments as `Translator`."""

    def translate(self, record: Any, source: RecordSource) -> Translated:
        """Return what *record* asks for; never raises for what the record holds."""
        try:
            parsed = source.parse(record)
        except EventError as error:
            return Translated(error=error)
        asked = parsed.invalidations if isinstance(parsed, Replicated) else ()
        for each in asked:
            if each.origin != self.region and each.origin not in self._peers:
                refusal = ForbiddenEventError(
                    f"origin {each.origin!r} is neither this region nor a peer; its own queue has it"
                )
                return Translated(error=refusal)
            if (unfollowed := self._not_followed(each.namespace)) is not None:
                return Translated(error=unfollowed)
        now_ms = int(self._clock.wall() * 1_000)
        applied = tuple(msgspec.structs.replace(each, at_ms=now_ms) for each in asked)
        return Translated(applied, rules=tuple(rule for each in asked for rule in each.cause.rules))
