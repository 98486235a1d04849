"""A supplier's price list behind HTTP, as far as caching sees it: it answers 304 to whoever has the latest already."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """What came back: the status, and with 200 the list and the ETag that names its state."""

    status: int
    prices: dict[str, int]
    etag: str


class Supplier:
    """Holds a price list, and counts how often it was sent whole."""

    def __init__(self) -> None:
        self._prices = {"pen": 120, "ink": 480}
        self._edition = 1
        self.sent = 0

    def publish(self, **prices: int) -> None:
        """Set some prices, in cents; a new edition if any of them changes."""
        if not prices.items() <= self._prices.items():
            self._prices |= prices
            self._edition += 1

    def get(self, if_none_match: str | None) -> Answer:
        """Answer a conditional request."""
        etag = f"edition-{self._edition}"
        if if_none_match == etag:
            return Answer(304, {}, etag)
        self.sent += 1
        return Answer(200, dict(self._prices), etag)
