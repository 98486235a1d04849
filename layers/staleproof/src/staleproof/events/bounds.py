"""The bounds of a message's fields, said once: the JSON Schemas and the checks both read them here."""

from __future__ import annotations

from typing import Any

from staleproof.errors import MalformedEventError, OversizedEventError
from staleproof.events.values import well_formed

MAX_ID = 512
MAX_ENTITY = 256
MAX_REGION = 64
MAX_TRACE = 256
MAX_NAMESPACE = 64
MAX_KEY = 4_096
"""Characters of a key's text; what is longer than a server's name for it may be, is known there by its digest."""

MAX_TARGETS = 1_000
"""Tags, and keys, of one message."""

MAX_EPOCH_MS = 253_402_300_799_999
"""The end of the year 9999."""

MAX_ROW_VERSION = 2**63 - 1
MAX_LAG_MS = 3_600_000
MAX_MESSAGE = 1_048_576
"""Bytes of a message. Many transports take less, and say so."""


def text(value: Any, field: str, most: int, least: int = 0) -> None:
    """Check that *value* is a text of *least* to *most* characters.

    Raises:
        MalformedEventError: it is none, or too short.
        OversizedEventError: it is too long.
    """
    if not isinstance(value, str):
        raise MalformedEventError(f"{field}={value!r:.80} is no text; write it as one")
    if len(value) < least:
        raise MalformedEventError(f"{field} is empty; name it")
    if len(value) > most:
        raise OversizedEventError(f"{field} has {len(value)} characters; send at most {most}")
    well_formed(value, field)


def whole(value: Any, field: str, most: int) -> None:
    """Check that *value* is a whole number from 0 to *most*.

    Raises:
        MalformedEventError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise MalformedEventError(f"{field}={value!r:.80} is no whole number from 0 to {most}")


def flag(value: Any, field: str) -> None:
    """Check that *value* is a boolean.

    Raises:
        MalformedEventError: it is not.
    """
    if not isinstance(value, bool):
        raise MalformedEventError(f"{field}={value!r:.80} is no boolean; send true or false")


def texts(value: Any, field: str, most: int) -> tuple[str, ...]:
    """Return *value*, a list of texts of 1 to *most* UTF-8 bytes, as a tuple.

    Raises:
        MalformedEventError: it is none.
        OversizedEventError: it, or one of the texts, is too long.
    """
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise MalformedEventError(f"{field}={value!r:.80} is no list of texts; send [{field[:-1]!r}, ...]")
    if len(value) > MAX_TARGETS:
        raise OversizedEventError(
            f"{field} are {len(value)}; send at most {MAX_TARGETS} in a message, and several"
        )
    for at, each in enumerate(value):
        text(each, f"{field}[{at}]", most, 1)
        if not each.isascii() and len(each.encode()) > most:
            raise OversizedEventError(f"{field}[{at}] has {len(each.encode())} bytes; send at most {most}")
    return tuple(value)
