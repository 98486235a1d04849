"""Every error that Staleproof raises, split by what the caller does next.

In a Lambda function that choice decides between a retry and the dead letter, so it is the
class that says it, never the text:

=========================  =====================================================================
`ConfigurationError`       fix the deployment or the code; a retry cannot help
`ProviderUnavailableError` retry: timeout, refused connection, server loading, failover under way
`CircuitOpenError`         retry a little later: the server failed so often that it is left alone for a while
`ProviderRejectedError`    do not retry as is: bad credentials, out of memory, wrong type
`CodecError`               a value cannot be written, or a stored one cannot be read (then: a miss)
`InexactError`             a value would come back equal, and of another class; a loaded one is served, not stored
`EventError`               poison: straight to the dead letter, with its payload
`LeaseLostError`           somebody else owns the key now; the value in hand may be used, not stored
`UnpublishedError`         some messages were not taken: its receipts say which, and what to do about each
`LimitedError`             retry after the time it tells: a rate limit was reached
`LockBusyError`            retry: another held the lock for as long as one waited
`LockLostError`            stop: the lock ran out while it was held, and another may have it
`LoadTimeoutError`         retry: the loader took longer than the policy's `hard_timeout`
=========================  =====================================================================

A loader's own exception passes through unchanged (but for `StopIteration`, which Python makes a `RuntimeError`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class CacheError(Exception):
    """The root of all of them."""


class ConfigurationError(CacheError):
    """The deployment or the code is wrong: fix it; never retried."""


class ProviderError(CacheError):
    """The cache server did not do what was asked."""


class ProviderUnavailableError(ProviderError):
    """The server cannot be reached or is not ready: retry."""


class CircuitOpenError(ProviderUnavailableError):
    """The server failed several times in a row and is not asked just now: retry a little later."""


class ProviderRejectedError(ProviderError):
    """The server refused the command: a retry of the same command fails again."""


class CodecError(CacheError):
    """A value cannot be encoded, or a stored entry cannot be read."""


class InexactError(CodecError):
    """A value would be read back as one that is equal to it, and of another class: it is served, and not stored."""


class EventError(CacheError):
    """A change event that can never be applied: dead-letter it with its payload.

    Attributes:
        reason: a short, low-cardinality name of what is wrong (a metric dimension may carry it).
    """

    reason = "event"


class MalformedEventError(EventError):
    """The record lacks a field, or a field has the wrong shape."""

    reason = "malformed"


class UnsupportedEventVersionError(EventError):
    """The record's schema version is not one this release reads."""

    reason = "unsupported-version"


class OversizedEventError(EventError):
    """The record, or a tag or key derived from it, exceeds a stated bound."""

    reason = "oversized"


class UnpublishedError(CacheError):
    """A transport did not take every message.

    Attributes:
        receipts: what became of each message, in order; see `staleproof.ports.Receipt`.
    """

    def __init__(self, receipts: Sequence[Any]) -> None:
        self.receipts = receipts
        missed = [receipt for receipt in receipts if receipt.error is not None]
        first = f"{missed[0].id}: {missed[0].error}" if missed else ""
        super().__init__(
            f"{len(missed)} of {len(receipts)} messages were not taken, the first of them {first}"
        )

    def __reduce__(self) -> tuple[type[UnpublishedError], tuple[Sequence[Any]]]:
        """Pickle and copy it by its receipts, of which the text is made."""
        return type(self), (self.receipts,)

    @property
    def passing(self) -> bool:
        """Whether it is enough to send those again that were not taken."""
        return all(isinstance(each.error, ProviderUnavailableError) for each in self.receipts if each.error)


class LeaseLostError(CacheError):
    """The lease went to somebody else before the value was stored."""


class LimitedError(CacheError):
    """A rate limit was reached: retry later.

    Attributes:
        retry_after: seconds after which as much would be let through, if nobody else came.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[LimitedError], tuple[str, float]]:
        return type(self), (str(self), self.retry_after)


class LockBusyError(CacheError):
    """Another held the lock for as long as one was willing to wait: retry."""


class LockLostError(CacheError):
    """The lock was not held any more: it ran out, and another may have had it. What was done, may be done twice."""


class LoadTimeoutError(CacheError):
    """A load took longer than the policy allows: retry; the load itself goes on, and may be stored."""
