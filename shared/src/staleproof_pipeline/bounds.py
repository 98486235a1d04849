"""What an invalidation may hold. Beyond, a cache server would refuse it at every retry, or no entry could match."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter

from staleproof.errors import ConfigurationError, MalformedEventError, OversizedEventError
from staleproof.events.invalidation import Invalidation, encode
from staleproof.keys import Keyspace
from staleproof.tags import tag_id
from staleproof_pipeline.change import MAX_EPOCH_MS

MAX_ROW_VERSION = 2**63 - 1
"""As wide as the field of a stored entry's header."""

MAX_LAG_MS = 60 * 60 * 1_000
"""A replica that lags an hour is down."""

MAX_CHARACTERS = {
    "id": 512,
    "origin": 64,
    "trace": 256,
    "cause.source": 300,
    "cause.position": 2_048,
    "cause.entity": 256,
    "cause.operation": 64,
}
"""As long as the fields of a `ChangeEvent` from which they are made."""

_TEXTS = tuple((name, attrgetter(name), limit) for name, limit in MAX_CHARACTERS.items())

MAX_CAUSE_RULES = 500
"""As many as a rules file has."""

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
    except (ValueError, OverflowError) as error:  # no Unicode, or a number of thousands of digits
        raise MalformedEventError(f"invalidation: {error}; send Unicode text and 64-bit numbers") from error
    _check_numbers(invalidation)
    _check_texts(invalidation)
    for key in invalidation.keys:
        checked_key(key)
    return invalidation


def checked_tag(tag: str) -> str:
    """Return *tag*, a Unicode text, if an entry can carry it.

    Raises:
        OversizedEventError: it is empty, or too long.
    """
    try:
        tag_id(tag)
    except ConfigurationError as error:
        raise OversizedEventError(str(error)) from error
    return tag


def checked_key(key: str) -> str:
    """Return *key* if an entry can have it.

    Raises:
        OversizedEventError: it is empty, or too long.
    """
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise OversizedEventError(
            f"key {key[:80]!r} has {len(key)} characters; use 1 to {MAX_KEY_CHARACTERS}"
        )
    return key


@lru_cache(maxsize=256)
def _check_namespace(namespace: str) -> None:
    Keyspace(namespace)


def _check_numbers(invalidation: Invalidation) -> None:
    row, lag = invalidation.row_version, invalidation.lag_ms
    for name, at in (("at_ms", invalidation.at_ms), ("cause.changed_ms", invalidation.cause.changed_ms)):
        if not 0 <= at <= MAX_EPOCH_MS:
            raise OversizedEventError(
                f"{name} {at} is not within 0 and {MAX_EPOCH_MS}; send UTC milliseconds"
            )
    if row is not None and not 0 <= row <= MAX_ROW_VERSION:
        raise OversizedEventError(
            f"row_version {row} is not within 0 and 2^63; use a counter or milliseconds"
        )
    if not 0 <= lag <= MAX_LAG_MS:
        raise OversizedEventError(f"lag_ms {lag} is not within 0 and {MAX_LAG_MS}; shorten the rule's lag")


def _check_texts(invalidation: Invalidation) -> None:
    """Journals, peers and near caches all carry these along, so they are short."""
    for name, found, limit in _TEXTS:
        _check_text(name, found(invalidation), limit)
    if len(invalidation.cause.rules) > MAX_CAUSE_RULES:
        raise OversizedEventError(
            f"cause.rules has {len(invalidation.cause.rules)} names; send at most {MAX_CAUSE_RULES}"
        )
    for rule in invalidation.cause.rules:
        _check_text("cause.rules", rule, 64)


def _check_text(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise OversizedEventError(f"{name} has {len(text)} characters; send at most {limit}")
