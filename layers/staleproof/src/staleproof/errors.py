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
`LoadTimeoutError`         retry: the loader took longer than the policy's `hard_timeout`
=========================  =====================================================================

A loader's own exception passes through unchanged (but for `StopIteration`, which Python makes a `RuntimeError`).
"""

from __future__ import annotations


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


class LeaseLostError(CacheError):
    """The lease went to somebody else before the value was stored."""


class LoadTimeoutError(CacheError):
    """A load took longer than the policy allows: retry; the load itself goes on, and may be stored."""
