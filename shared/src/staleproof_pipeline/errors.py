"""Errors that the library does not know: a message that did not leave, a wrong field, an event that may not act."""

from __future__ import annotations

from staleproof.errors import CacheError, EventError, MalformedEventError


class DeliveryError(CacheError):
    """A queue or a bus did not take a message: what it stood for is not done, so retry."""


class OverLimitError(DeliveryError):
    """More is to be invalidated at once than the limits allow, and nothing keeps it for later: deliver it again."""


class SlowCacheError(DeliveryError):
    """The cache answers, and too slowly for the whole batch: the rest stays in its source."""


class FieldError(MalformedEventError):
    """A field is missing or wrong.

    The message shows the value, which belongs into the dead letter and nowhere else; logs tell *path*.

    Args:
        message: the field, the value and the fix.
        path: of the field alone.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class UnforeseenEventError(MalformedEventError):
    """A record met a fault of ours, its cause: the dead letter keeps the record, and a log tells where."""


class ForbiddenEventError(EventError):
    """An event is well formed and asks for what its sender may not ask here."""

    reason = "forbidden"


class UnsupportedFormatError(EventError):
    """A record's bytes are in a form that this deployment cannot read: change the producer, or configure a schema."""

    reason = "unsupported-format"


class RefusedEventError(EventError):
    """The cache refused again and again what a record asks for, or a fault of ours stood in its way."""

    reason = "refused"


class SpentEventError(EventError):
    """A record was delivered again and again without an answer: whoever takes it may die of it."""

    reason = "spent"


class TrimmedEventError(EventError):
    """Records that were not applied cannot be read any more: whatever they changed must be cleared."""

    reason = "trimmed"
