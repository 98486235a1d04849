"""One connection to the server that has a stream, beside those of its cache: a read may block it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.exceptions as theirs

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.failures import DEMOTED, REFUSED, translate
from staleproof.providers.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.providers.redis import ClusterConnections, Connections
    from staleproof.providers.redis.exchange import Command

_ELSEWHERE = (*DEMOTED, theirs.MovedError, theirs.AskError, theirs.TryAgainError)


class StreamLine:
    """A connection that is opened when something is asked, and anew after a failure.

    Args:
        connect: returns connections to the server, or to the cluster.
        stream: the stream's key; in a cluster it says to which node.
        patience: seconds to wait for an answer, blocking included.

    Attributes:
        opened: how often it was opened: what was on its way at a failure is to be looked for.
    """

    def __init__(
        self, connect: Callable[[], Connections | ClusterConnections], stream: bytes, patience: float
    ) -> None:
        self._connect = connect
        self._connections: Connections | ClusterConnections | None = None
        self._stream = stream
        self._patience = patience
        self._wire: Wire | None = None
        self._credentials: Any = None
        self._refused_once = False
        self.opened = 0

    def ask(self, *each: Command) -> list[Any]:
        """Send commands in one exchange; return their replies, error replies as exceptions.

        Raises:
            ProviderUnavailableError: the server cannot be reached, or leads elsewhere by now.
            ProviderRejectedError: it refused the handshake.
        """
        wire = self._wire or self._open()
        exchange = commands(each)
        try:
            replies: list[Any] = wire.exchange(exchange.packed, exchange.replies)
        except (theirs.RedisError, OSError) as error:
            self.close()
            raise self._met(error) from error
        self._refused_once = False
        self._check_place(replies)
        return replies

    @property
    def where(self) -> str:
        """The server's address, without credentials."""
        return self._connections.where if self._connections is not None else "the stream's server"

    def refused(self, error: Exception) -> Exception:
        """Return what to raise for an error reply."""
        return translate(error, self.where)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _open(self) -> Wire:
        if self._connections is None:
            self._connections = self._connect()
        try:
            connection = self._connections.apart(name=self._stream, socket_timeout=self._patience)
        except (theirs.RedisError, OSError) as error:
            raise translate(error, self.where) from error
        self._credentials = getattr(connection, "credential_provider", None)
        self._wire = Wire(connection, self._patience)
        self.opened += 1
        return self._wire

    def _met(self, error: Exception) -> Exception:
        """Return what to raise; changing credentials are fetched anew once, for they may have been rotated."""
        if isinstance(error, REFUSED) and hasattr(self._credentials, "rejected") and not self._refused_once:
            self._refused_once = True
            self._credentials.rejected()
            return ProviderUnavailableError(f"{self.where} refused credentials that may be old; retry")
        return translate(error, self.where)

    def _check_place(self, replies: Sequence[Any]) -> None:
        for reply in replies:
            if isinstance(reply, _ELSEWHERE):
                self.close()
                if self._connections is not None:
                    self._connections.renew()
                raise ProviderUnavailableError(f"{self.where} is not the stream's server: {reply}; retry")
