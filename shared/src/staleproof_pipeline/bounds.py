"""What an invalidation may hold. Beyond, a cache server would refuse it at every retry, or no entry could match."""

from __future__ import annotations

from functools import lru_cache

from staleproof.errors import ConfigurationError, MalformedEventError, OversizedEventError
from staleproof.events.invalidation import Invalidation, encode
from staleproof.keys import Keyspace

MAX_ROW_VERSION = 2**63 - 1
"""As wide as the field of a stored entry's header."""

MAX_LAG_MS = 60 * 60 * 1_000
"""A replica that lags an hour is down."""

MAX_KEY_CHARACTERS = 4_096
"""As the wire form allows."""


def checked(invalidation: Invalidation) -> Invalidation:
    """Return *invalidation* if every region can apply it.

    Raises:
        OversizedEventError: a tag, key, namespace, row version or lag exceeds its bound.
        MalformedEventError: a text is no Unicode.
    """
    try:
        encode(invalidation)
        _ = invalidation.tag_ids
        _check_namespace(invalidation.namespace)
    except ConfigurationError as error:
        raise OversizedEventError(str(error)) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise MalformedEventError(f"invalidation: {error}; send Unicode text and 64-bit numbers") from error
    _check_numbers(invalidation)
    for key in invalidation.keys:
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            raise OversizedEventError(
                f"key {key[:80]!r} has {len(key)} characters; use 1 to {MAX_KEY_CHARACTERS}"
            )
    return invalidation


@lru_cache(maxsize=256)
def _check_namespace(namespace: str) -> None:
    Keyspace(namespace)


def _check_numbers(invalidation: Invalidation) -> None:
    row, lag = invalidation.row_version, invalidation.lag_ms
    if row is not None and not 0 <= row <= MAX_ROW_VERSION:
        raise OversizedEventError(
            f"row_version {row} is not within 0 and 2^63; use a counter or milliseconds"
        )
    if not 0 <= lag <= MAX_LAG_MS:
        raise OversizedEventError(f"lag_ms {lag} is not within 0 and {MAX_LAG_MS}; shorten the rule's lag")
