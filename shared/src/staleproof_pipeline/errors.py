"""The one way to fail that the library does not know: a message that did not leave."""

from __future__ import annotations

from staleproof.errors import CacheError


class DeliveryError(CacheError):
    """A queue or a bus did not take a message: what it stood for is not done, so retry."""
