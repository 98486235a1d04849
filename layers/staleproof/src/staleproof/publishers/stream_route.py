"""Messages as records of a Redis stream, and what the server answers. Pure, but for knowing the client's errors.

A record has one field, `m`. The stream is trimmed to about `maxlen` records as it grows: it is a transport, and keeps
for a reader that is away only what fits. A reader that fell behind sees so by the stream's first id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.exceptions as theirs

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.events.change import Message, encode
from staleproof.publishers.delivery import Failure, Limits, Verdict
from staleproof.publishers.figures import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

FIELD = "m"
MAXLEN = 100_000
TOGETHER = 200
BYTES = 4_194_304
MOST_RECORDS = 2**40
LONGEST_NAME = 512

DEMOTED = (theirs.ReadOnlyError, theirs.MasterDownError, theirs.ClusterDownError, theirs.BusyLoadingError)
"""The connection works, but leads to a node that is no primary any more, or not yet one."""

_PASSING = (*DEMOTED, theirs.TryAgainError, theirs.MaxConnectionsError)
_PASSING_WORDS = (
    "LOADING",
    "READONLY",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "BUSY",
    "NOREPLICAS",
    "UNBLOCKED",
)
_REFUSED = (theirs.AuthenticationError, theirs.AuthorizationError)


class StreamRoute:
    """From messages to records of one stream.

    Args:
        stream: the stream's key.
        maxlen: about how many records it keeps; 0 for all.
        where: the server, without credentials.

    Raises:
        ConfigurationError: the name is empty, or a figure is out of range.
    """

    limits = Limits(TOGETHER, BYTES)

    def __init__(self, stream: str, maxlen: int = MAXLEN, where: str = "the server") -> None:
        if not stream or len(stream) > LONGEST_NAME:
            raise ConfigurationError(
                f"stream={stream!r:.80} is no name; write redis://HOST:6379/0?stream=NAME"
            )
        whole(maxlen, "maxlen", 0, MOST_RECORDS)
        self.where = f"stream {stream!r} at {where}"
        trim: tuple[Any, ...] = ("MAXLEN", "~", maxlen) if maxlen else ()
        self._head = ("XADD", stream, *trim, "*", FIELD)

    def pack(self, message: Message) -> tuple[bytes, int]:
        """Return the record of *message*, and its size in bytes."""
        raw = encode(message)
        return raw, len(raw)

    def command(self, raw: bytes) -> tuple[Any, ...]:
        """Return the command that appends *raw*."""
        return (*self._head, raw)

    def verdicts(self, replies: Sequence[Any]) -> list[Verdict]:
        """Return what the server says of each record, in their order."""
        return [self._verdict(reply) for reply in replies]

    def _verdict(self, reply: Any) -> Verdict:
        if not isinstance(reply, Exception):
            return Verdict(place=reply.decode() if isinstance(reply, bytes) else str(reply))
        met = self.failure(reply)
        return Verdict(error=met.error, again=met.again)

    def failure(self, error: BaseException) -> Failure:
        """Return what *error* is to the request, or the command, that met it."""
        if isinstance(error, _REFUSED):
            told = f"{self.where}: the server refused the credentials: {error}; check user, password or IAM policy"
            return Failure(ProviderRejectedError(told))
        if isinstance(error, _PASSING) or str(error).startswith(_PASSING_WORDS):
            return Failure(ProviderUnavailableError(f"{self.where} is not ready: {error}; retry"), again=True)
        if isinstance(error, (theirs.MovedError, theirs.AskError, theirs.ClusterCrossSlotError)):
            told = f"{self.where} is on a cluster: {error}; write cluster=true in the address"
            return Failure(ConfigurationError(told))
        transport = (theirs.ConnectionError, theirs.TimeoutError, theirs.RedisClusterException, OSError)
        if isinstance(error, transport):
            return Failure(
                ProviderUnavailableError(f"{self.where} cannot be reached: {error}; retry"), again=True
            )
        return Failure(ProviderRejectedError(f"{self.where} refused a record: {error}"))


def stale(answer: Sequence[Any] | BaseException) -> bool:
    """Say whether a reply shows that connections lead to the wrong node, and are to be opened anew."""
    replies = [answer] if isinstance(answer, BaseException) else answer
    return any(isinstance(reply, DEMOTED) for reply in replies)
