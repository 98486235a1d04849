"""Deferred invalidations in an SQS queue, which holds each back for its delay. A standard queue: FIFO ones cannot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from staleproof.events.invalidation import encode
from staleproof_pipeline.queue_sending import Outgoing, QueueSender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.errors import CacheError
    from staleproof_pipeline.followups import Deferred

MAX_DELAY_SECONDS = 900
"""As long as SQS holds a message back."""


class DeferralQueue:
    """A `Deferrer`. Delays are rounded up to whole seconds: never too early, at most a second late.

    Args:
        client: makes the SQS client when the first item comes: most deployments never need one.
        url: the queue.
    """

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._queue = QueueSender(client, url, what="deferral queue", setting="STALEPROOF_DEFERRAL_QUEUE_URL")

    def defer(self, items: Sequence[Deferred]) -> list[CacheError | None]:
        """See `Deferrer.defer`. An item of several messages is stored when all of them are."""
        errors: list[CacheError | None] = [None] * len(items)
        messages = [message for at, each in enumerate(items) for message in _messages(at, each)]
        for at, error in self._queue.send(messages):
            errors[at] = error
        return errors


def _messages(at: int, item: Deferred) -> Iterator[Outgoing]:
    delay = min(MAX_DELAY_SECONDS, math.ceil(item.delay_ms / 1_000))
    for part in item.invalidation.parts():
        body = encode(part)
        yield Outgoing(at, len(body), {"MessageBody": body.decode(), "DelaySeconds": delay})
