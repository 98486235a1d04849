"""Bulk loading: items in batches, at a bounded rate, with progress. No I/O."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from staleproof.clock import Clock


class Item(NamedTuple):
    """One value to store: its key's text, the value, and the tags that it is stored under."""

    key: str
    value: Any
    tags: Iterable[str] = ()


class Progress(NamedTuple):
    """How far a bulk load came.

    Attributes:
        taken: items taken from the source.
        stored: those of them that were stored; a load or an invalidation that comes meanwhile wins over the others.
        seconds: since it began.
    """

    taken: int
    stored: int
    seconds: float

    @property
    def rate(self) -> float:
        """Items a second so far."""
        return self.taken / self.seconds if self.seconds else 0.0


class Bulk:
    """The books of one bulk load."""

    def __init__(self, batch: int, rate: float | None, clock: Clock) -> None:
        if batch < 1:
            raise ConfigurationError(f"batch={batch!r} must be 1 or more")
        if rate is not None and not rate > 0:
            raise ConfigurationError(f"rate={rate!r} must be above 0, in items a second; None is no limit")
        self._batch = batch
        self._rate = rate
        self._clock = clock
        self._began = clock.monotonic()
        self.progress = Progress(0, 0, 0.0)

    def item(self, given: Item | tuple[str, Any]) -> Item:
        """Return *given* as an `Item`."""
        return given if isinstance(given, Item) else Item(*given)

    def batches(self, items: Iterable[Item | tuple[str, Any]]) -> Iterator[list[Item]]:
        """Cut *items* into batches, taking no more from them than a batch ahead."""
        some: list[Item] = []
        for given in items:
            some.append(self.item(given))
            if len(some) == self._batch:
                yield some
                some = []
        if some:
            yield some

    async def async_batches(
        self, items: Iterable[Item | tuple[str, Any]] | AsyncIterable[Item | tuple[str, Any]]
    ) -> AsyncIterator[list[Item]]:
        """Cut *items*, which may be asynchronous, as `batches` does."""
        if not isinstance(items, AsyncIterable):
            for some in self.batches(items):
                yield some
            return
        ahead: list[Item | tuple[str, Any]] = []
        async for given in items:
            ahead.append(given)
            if len(ahead) == self._batch:
                yield list(map(self.item, ahead))
                ahead = []
        if ahead:
            yield list(map(self.item, ahead))

    def done(self, items: Sequence[Item], stored: int) -> None:
        """Count a batch."""
        taken, before, _ = self.progress
        self.progress = Progress(taken + len(items), before + stored, self._clock.monotonic() - self._began)

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of its rate."""
        if self._rate is None:
            return 0.0
        return max(0.0, self.progress.taken / self._rate - (self._clock.monotonic() - self._began))

    def pause(self) -> None:
        """Wait, if it is ahead of its rate."""
        if self.ahead > 0:
            time.sleep(self.ahead)


def checked_items(items: Sequence[Item]) -> list[Item]:
    """Return *items* without those whose key comes again later: the last value of a key counts."""
    return list({item.key: item for item in items}.values())
