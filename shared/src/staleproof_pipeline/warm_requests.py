"""The port by which a pipeline asks for keys to be loaded again. It asks for speed: a lost request costs a miss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.followups import WarmRequested


class Warmer(Protocol):
    """Takes requests; must not raise."""

    def request(self, requests: Sequence[WarmRequested]) -> None:
        """Have what *requests* name loaded again, some time."""
        ...


class NullWarmer:
    """Takes requests, and forgets them."""

    def request(self, requests: Sequence[WarmRequested]) -> None:
        """See `Warmer.request`."""


class MemoryWarmer:
    """Remembers requests, for tests and for a worker that warms itself."""

    def __init__(self) -> None:
        self.requests: list[WarmRequested] = []

    def request(self, requests: Sequence[WarmRequested]) -> None:
        """See `Warmer.request`."""
        self.requests.extend(requests)
