"""Dead letters in a Redis or Valkey stream, for workers without SQS.

The stream is as durable as its server: choose one that persists, and whose `maxmemory-policy` spares keys without a
time to live (`noeviction`, `volatile-*`). A letter counts as stored when the primary has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.errors import CacheError, ConfigurationError
from staleproof_pipeline.dead_letter import bodies
from staleproof_pipeline.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof_pipeline.consuming.stream_line import StreamLine
    from staleproof_pipeline.dead_letter import DeadLetter

FIELD, REASON = b"letter", b"reason"
MAX_ENTRY = 16 * 1_024 * 1_024
"""Bytes of an entry: a server takes far more, ElastiCache Serverless too."""


class DeadLetterStream:
    """Stores letters as entries.

    Args:
        connect: makes the line to the server when the first letter comes.
        stream: the stream's key.
    """

    def __init__(self, connect: Callable[[], StreamLine], stream: bytes) -> None:
        self._connect = connect
        self._line: StreamLine | None = None
        self._stream = stream

    def store(self, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """See `DeadLetters.store`."""
        return [self._stored(each) for each in letters]

    def _stored(self, letter: DeadLetter) -> Exception | None:
        self._line = self._line or self._connect()
        adding = [added(self._stream, letter, body) for body in bodies(letter, MAX_ENTRY)]
        try:
            carried(self._line.ask(("MULTI",), *adding, ("EXEC",)), self._line)
        except CacheError as error:
            return DeliveryError(
                f"dead-letter stream: {error}; check STALEPROOF_DEAD_LETTER_STREAM and its server"
            )
        return None


def line(url: str, timeout: float, stream: str) -> StreamLine:
    """Return the line to the server at *url* that has *stream*; nothing is connected yet.

    Args:
        url: of the server.
        timeout: seconds to wait for it.
        stream: the stream's key.

    Raises:
        ConfigurationError: the URL leads to no server.
    """
    from staleproof import aws  # noqa: PLC0415 - only who keeps letters there pays
    from staleproof_pipeline.consuming.stream_line import StreamLine  # noqa: PLC0415

    if url.startswith("memory://"):
        raise ConfigurationError(
            "memory:// keeps nothing; set STALEPROOF_DEAD_LETTER_STREAM_URL to a server's address"
        )
    return StreamLine(lambda: aws.connections(url, timeout=timeout), stream.encode(), timeout)


def added(stream: bytes, letter: DeadLetter, body: str) -> tuple[Any, ...]:
    """Return the command that stores *body*, a part of *letter*."""
    return ("XADD", stream, "*", FIELD, body, REASON, letter.reason)


def carried(replies: Sequence[Any], line: StreamLine) -> None:
    """Check the replies of a transaction.

    Raises:
        CacheError: the server refused it.
    """
    last = replies[-1]
    refused = [
        each
        for each in (*replies[:-1], *(last if isinstance(last, list) else [last]))
        if isinstance(each, Exception)
    ]
    if refused:
        raise line.refused(refused[0])
