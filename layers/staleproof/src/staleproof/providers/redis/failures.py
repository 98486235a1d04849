"""What redis-py raises, in our words. The border: nothing of redis-py's error tree goes further up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import redis.exceptions as theirs

from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

TRANSPORT = (theirs.ConnectionError, theirs.TimeoutError, OSError)
"""The connection is of no further use."""

TIMEOUTS = (theirs.TimeoutError, TimeoutError, BlockingIOError)
"""The server is slow or hangs: trying again at once would only wait again."""

DEMOTED = (theirs.ReadOnlyError, theirs.MasterDownError, theirs.ClusterDownError, theirs.BusyLoadingError)
"""The connection works, but leads to a node that is no primary any more, or not yet one: all others lead there too."""

MOST_RUNS = 4
"""How often a step is run at most: for a script that is not known, and for connections that broke."""


UNREADABLE = (TypeError, ValueError, AttributeError, LookupError)
"""What reading a reply raises that is of another shape than the question wants."""


class UnsureError(theirs.ConnectionError):
    """A connection broke after something was sent that must not be sent again; the step is to be run anew."""


_PASSING = (
    theirs.BusyLoadingError,
    theirs.ReadOnlyError,
    theirs.TryAgainError,
    theirs.ClusterDownError,
    theirs.MasterDownError,
    theirs.MaxConnectionsError,
)
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
REFUSED = (theirs.AuthenticationError, theirs.AuthorizationError)
"""The server does not believe who we are."""


def is_foreign(error: Exception) -> bool:
    """Say whether a command met a key of a type that we never store."""
    return str(error).startswith("WRONGTYPE")


def translate(error: BaseException, where: str) -> ProviderError:
    """Return our error for redis-py's *error*; *where* names the server, without credentials."""
    if isinstance(error, UNREADABLE):
        return unreadable(error, where)
    if isinstance(error, REFUSED):
        return ProviderRejectedError(
            f"{where} refused the credentials: {error}; check user, password or IAM policy"
        )
    if isinstance(error, _PASSING) or str(error).startswith(_PASSING_WORDS):
        return ProviderUnavailableError(f"{where} is not ready: {error}; retry")
    if isinstance(error, TIMEOUTS):
        return ProviderUnavailableError(
            f"{where} cannot be reached: no answer within the timeout; retry, and raise the timeout if it lasts"
        )
    if isinstance(error, TRANSPORT):
        return ProviderUnavailableError(
            f"{where} cannot be reached: {error}; retry, and check endpoint, security group and TLS if it lasts"
        )
    return _rejected(error, where)


def _rejected(error: BaseException, where: str) -> ProviderRejectedError:
    if isinstance(error, (theirs.AskError, theirs.ClusterCrossSlotError)):
        return ProviderRejectedError(
            f"{where} is a node of a cluster: {error}; use cluster=True, or cluster=true in the URL"
        )
    if isinstance(error, theirs.OutOfMemoryError):
        return ProviderRejectedError(
            f"{where} is full (OOM): {error} Use a larger node, or maxmemory-policy volatile-lru or allkeys-lru"
        )
    return ProviderRejectedError(f"{where} refused a command: {error}")


def unreadable(error: Exception, where: str) -> ProviderRejectedError:
    """Return our error for a reply that could not be read for *error*."""
    return ProviderRejectedError(
        f"{where} answered what it was not asked for ({type(error).__name__}); "
        "see that it is a Redis or Valkey server, and that nothing between changes its replies"
    )


def go_on(step: Generator[Any, Any, Any], replies: Any, where: str) -> Any:
    """Return what *step* sends next, having read *replies*; None begins it.

    Raises:
        StopIteration: it is done.
        ProviderRejectedError: the replies cannot be read.
    """
    try:
        return step.send(replies)
    except UNREADABLE as error:
        if replies is None:  # what was asked is to blame
            raise
        raise unreadable(error, where) from error


class Pool(Protocol):
    """What a failure has to do with a pool of connections."""

    where: str

    def renew(self) -> None:
        """Close what is idle; the next exchanges look the server up again."""
        ...


def failed(error: Any, pool: Pool) -> Exception:
    """Return what to raise for an error reply, or one of another shape; a demoted server's connections are closed."""
    if isinstance(error, theirs.NoScriptError):
        return error  # the step runs again with the script's text
    if isinstance(error, DEMOTED):
        pool.renew()
    return translate(error, pool.where)


def check(replies: Sequence[Any], pool: Pool, *, foreign: bool = False) -> None:
    """Raise the first error among *replies*; where *foreign* is set, a key of another type is none."""
    for reply in replies:
        if isinstance(reply, Exception) and not (foreign and is_foreign(reply)):
            raise failed(reply, pool)
