"""The course of a publication: batches, a rate, what became of each line, and where it stopped."""

from __future__ import annotations

import time
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.events.change import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from staleproof.cli.publish_messages import Line
    from staleproof.errors import CacheError
    from staleproof.ports import Publisher, Receipt

MOST_TOLD = 100
"""Failures that are told one by one; the rest is counted."""


class Course:
    """Publishes lines, and keeps account.

    Args:
        publisher: takes the messages.
        batch: how many messages go together.
        rate: messages a second at most, None for as fast as it goes.
        left: takes what was not taken, in its wire form, a line each; to be published again. A line that cannot be
            read is kept as it is, to be mended first.
        clock: the present, in seconds of any origin.
        sleep: waits.

    Attributes:
        taken: messages that the transport has.
        passing: messages that it may take later.
        lasting: messages, and lines, for which something must be mended.
        told: of the first failures, the line, the message's id and the error.
        stopped: the line at which to go on, None if every line had its turn.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        batch: int,
        rate: float | None = None,
        left: IO[bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._publisher = publisher
        self._batch = batch if rate is None else max(1, min(batch, int(rate)))
        self._rate = rate
        self._left = left
        self._clock = clock
        self._sleep = sleep
        self.taken = self.passing = self.lasting = 0
        self.told: list[dict[str, Any]] = []
        self.stopped: int | None = None
        self.seconds = 0.0

    @property
    def failed(self) -> int:
        """Messages and lines that were not taken."""
        return self.passing + self.lasting

    def run(self, lines: Iterable[Line]) -> Iterator[int]:
        """Publish *lines*; yield, after each batch, how many had their turn.

        If of a whole batch nothing was taken, for a reason that is not the messages', it stops, and says where.
        """
        began = self._clock()
        waiting = iter(lines)
        while batch := list(islice(waiting, self._batch)):
            took = self._publish(batch)
            self.seconds = self._clock() - began
            yield len(batch)
            if not took:
                self.stopped = batch[0].number
                return
            self._slow_down(began)

    def _publish(self, batch: list[Line]) -> bool:
        """Publish a batch; say whether anybody was there."""
        good = [(line, line.message) for line in batch if line.message is not None]
        receipts = self._publisher.send([message for _, message in good])
        for line in batch:
            if line.error is not None:
                self._note(line.number, "", line.error)
                self._keep(line.raw)
        for (line, message), receipt in zip(good, receipts, strict=True):
            self._account(line, receipt, message)
        nobody = (ProviderUnavailableError, ConfigurationError)
        return not receipts or not all(isinstance(receipt.error, nobody) for receipt in receipts)

    def _account(self, line: Line, receipt: Receipt, message: Any) -> None:
        if receipt.error is None:
            self.taken += 1
            return
        self._note(line.number, receipt.id, receipt.error)
        self._keep(encode(message))

    def _keep(self, raw: bytes) -> None:
        if self._left is not None and raw:
            self._left.write(raw + b"\n")

    def _note(self, number: int, name: str, error: CacheError) -> None:
        passing = isinstance(error, ProviderUnavailableError)
        self.passing += passing
        self.lasting += not passing
        if len(self.told) < MOST_TOLD:
            self.told.append({"line": number, "id": name, "error": str(error), "passing": passing})

    def _slow_down(self, began: float) -> None:
        if self._rate is not None:
            early = (self.taken + self.failed) / self._rate - (self._clock() - began)
            if early > 0:
                self._sleep(early)
